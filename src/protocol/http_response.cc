#include "protocol/http_response.h"

#include <algorithm>

#include "base/check.h"

namespace holdfast::protocol {
namespace {

bool has_line_end(std::string_view text) {
  return text.find_first_of("\r\n") != std::string_view::npos;
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
  CHECK(!has_line_end(name) && !has_line_end(value));
  out.append(name).append(": ").append(value).append("\r\n");
}

void append_start(std::string& out, int status, std::span<const HttpHeader> headers) {
  out.append("HTTP/1.1 ").append(std::to_string(status)).append(" ").append(status_text(status));
  out.append("\r\n");
  for (const HttpHeader& header : headers) append_header(out, header.name, header.value);
}

}  // namespace

// The registered phrases of RFC 9110 15 and RFC 6585 that a server of ours may say or a report may
// print.
std::string_view status_text(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 205:
      return "Reset Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

bool has_content(int status) { return status != 204 && status != 205 && status != 304; }

std::string http_response(int status, std::span<const HttpHeader> headers, std::string_view body,
                          bool keep_alive, bool with_body) {
  CHECK(status >= 200 && status <= 599);  // RFC 9110 15; 1xx are not whole
  if (!has_content(status)) body = {};
  std::string out;
  out.reserve(256 + body.size());
  append_start(out, status, headers);
  const bool upgrade = find_header(headers, "upgrade") != nullptr;
  if (status != 204 && status != 304)
    append_header(out, "Content-Length", std::to_string(body.size()));
  const std::string_view connection = keep_alive ? "keep-alive" : "close";
  out.append("Connection: ").append(connection).append(upgrade ? ", upgrade\r\n\r\n" : "\r\n\r\n");
  return with_body ? out.append(body) : out;
}

std::string http_stream_head(std::span<const HttpHeader> headers) {
  std::string out;
  append_start(out, 200, headers);
  append_header(out, "Connection", "close");
  return out.append("\r\n");
}

std::optional<std::string_view> HttpResponse::header(std::string_view name) const {
  const HttpHeader* found = find_header(headers, name);
  if (found == nullptr) return std::nullopt;
  return found->value;
}

HttpResponseParser::HttpResponseParser(const HttpLimits* limits)
    : limits_(limits), head_(HttpHeadParser::Kind::kResponse, limits) {}

void HttpResponseParser::reset() {
  head_.reset();
  chunks_.reset();
  body_.clear();
  response_ = {};
  progress_ = Progress::kMore;
  body_kind_ = Body::kNone;
  started_ = false;
  body_left_ = 0;
  error_reason_ = {};
}

HttpResponseParser::Progress HttpResponseParser::feed(Bytes& input) {
  if (progress_ != Progress::kMore) return progress_;
  started_ = started_ || !input.empty();
  while (!head_.done()) {
    const Progress head = head_.feed(input);
    if (head == Progress::kMore) return head;
    if (head == Progress::kError) return fail(head_.error_reason());
    // RFC 9110 15.2: any number of interim responses may come before the final one. 101 is final
    // for us.
    if (head_.status() < 200 && head_.status() != 101) {
      head_.reset();
    } else if (begin_body() == Progress::kError) {
      return progress_;
    }
  }
  return read_body(input);
}

// RFC 9112 6.3, without the rules for HEAD and CONNECT.
HttpResponseParser::Progress HttpResponseParser::begin_body() {
  response_.status = head_.status();
  response_.reason = head_.reason();
  response_.headers = head_.headers();
  response_.keep_alive = head_.keep_alive();
  if (response_.status == 101 || response_.status == 204 || response_.status == 304) {
    return Progress::kMore;
  }
  if (const auto coding = response_.header("transfer-encoding")) {
    if (!equals_ignoring_case(*coding, "chunked")) return fail("transfer coding not implemented");
    body_kind_ = Body::kChunked;
  } else if (head_.has_content_length()) {
    if (head_.content_length() > limits_->body_bytes_max) return fail("body too large");
    body_kind_ = Body::kSized;
    body_left_ = head_.content_length();
  } else {
    body_kind_ = Body::kUntilEnd;
    response_.keep_alive = false;
  }
  return Progress::kMore;
}

HttpResponseParser::Progress HttpResponseParser::read_body(Bytes& input) {
  switch (body_kind_) {
    case Body::kNone:
      break;
    case Body::kSized: {
      const Bytes part = input.first(std::min<std::uint64_t>(body_left_, input.size()));
      body_.insert(body_.end(), part.begin(), part.end());
      body_left_ -= part.size();
      input = input.subspan(part.size());
      if (body_left_ != 0) return Progress::kMore;
      break;
    }
    case Body::kChunked: {
      const Progress chunks = chunks_.feed(input, *limits_, limits_->body_bytes_max, body_);
      if (chunks == Progress::kMore) return chunks;
      if (chunks == Progress::kError) return fail(chunks_.error_reason());
      break;
    }
    case Body::kUntilEnd:
      if (input.size() > limits_->body_bytes_max - body_.size()) return fail("body too large");
      body_.insert(body_.end(), input.begin(), input.end());
      input = {};
      return Progress::kMore;
  }
  response_.body = body_;
  progress_ = Progress::kDone;
  return progress_;
}

HttpResponseParser::Progress HttpResponseParser::finish() {
  if (progress_ != Progress::kMore) return progress_;
  if (!head_.done() || body_kind_ != Body::kUntilEnd) return fail("ended too early");
  response_.body = body_;
  progress_ = Progress::kDone;
  return progress_;
}

HttpResponseParser::Progress HttpResponseParser::fail(std::string_view reason) {
  error_reason_ = reason;
  progress_ = Progress::kError;
  return progress_;
}

}  // namespace holdfast::protocol
