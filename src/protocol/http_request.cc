#include "protocol/http_request.h"

#include <algorithm>

namespace holdfast::protocol {

std::optional<std::string_view> HttpRequest::header(std::string_view name) const {
  const HttpHeader* found = find_header(headers, name);
  if (found == nullptr) return std::nullopt;
  return found->value;
}

int HttpRequest::count(std::string_view name) const {
  return static_cast<int>(std::count_if(headers.begin(), headers.end(), [name](const auto& header) {
    return equals_ignoring_case(header.name, name);
  }));
}

HttpRequestParser::HttpRequestParser(const HttpLimits* limits)
    : limits_(limits), head_(HttpHeadParser::Kind::kRequest, limits) {}

void HttpRequestParser::reset() {
  head_.reset();
  chunks_.reset();
  body_.clear();
  request_ = {};
  progress_ = Progress::kMore;
  body_kind_ = Body::kNone;
  body_left_ = 0;
  error_status_ = 0;
  error_reason_ = {};
}

HttpRequestParser::Progress HttpRequestParser::feed(Bytes& input) {
  if (progress_ != Progress::kMore) return progress_;
  if (!head_.done()) {
    const Progress head = head_.feed(input);
    if (head == Progress::kMore) return head;
    if (head == Progress::kError) return fail(head_.error_status(), head_.error_reason());
    if (begin_body() == Progress::kError) return progress_;
  }
  return read_body(input);
}

// The head is there: what does it say, and which body follows?
HttpRequestParser::Progress HttpRequestParser::begin_body() {
  request_.method = head_.method();
  request_.target = head_.target();
  request_.headers = head_.headers();
  request_.keep_alive = head_.keep_alive();
  request_.minor_version = head_.minor_version();
  if (!split_target()) return fail(400, "malformed request target");
  return judge_fields();
}

std::uint64_t HttpRequestParser::body_bytes_max() const {
  const std::uint64_t common = limits_->body_bytes_max;
  if (!limits_->body_bytes_max_at) return common;
  return std::max(common, limits_->body_bytes_max_at(request_.path));
}

HttpRequestParser::Progress HttpRequestParser::judge_fields() {
  int hosts = 0;
  int codings = 0;
  int chunked = 0;
  for (const HttpHeader& header : request_.headers) {
    if (equals_ignoring_case(header.name, "host")) {
      ++hosts;
      if (!is_host(header.value)) return fail(400, "malformed Host");
    } else if (equals_ignoring_case(header.name, "upgrade")) {
      request_.upgrade = request_.upgrade || lists_token(header.value, "websocket");
    } else if (equals_ignoring_case(header.name, "sec-websocket-key")) {
      request_.upgrade = true;
    } else if (equals_ignoring_case(header.name, "transfer-encoding")) {
      ++codings;
      for (std::string_view coding : Tokens(header.value)) {
        ++codings;
        if (equals_ignoring_case(coding, "chunked")) ++chunked;
      }
    }
  }
  // RFC 9112 3.2: exactly one Host in HTTP/1.1.
  if (hosts > 1) return fail(400, "more than one Host");
  if (hosts == 0 && request_.minor_version == 1) return fail(400, "no Host");
  if (codings > 0) return judge_codings(codings, chunked);
  if (!head_.has_content_length() || head_.content_length() == 0) return Progress::kMore;
  const std::uint64_t length = head_.content_length();
  if (length > limits_->body_bytes_max && length > body_bytes_max())
    return fail(413, "body too large");
  body_kind_ = Body::kSized;
  body_left_ = length;
  return Progress::kMore;
}

// `codings` counts the Transfer-Encoding fields and the codings in them.
HttpRequestParser::Progress HttpRequestParser::judge_codings(int codings, int chunked) {
  // RFC 9112 6.1: faulty framing in HTTP/1.0. With Content-Length, llhttp has refused it before.
  if (request_.minor_version == 0) return fail(400, "Transfer-Encoding in HTTP/1.0");
  if (chunked == 1 && codings == 2) {
    body_kind_ = Body::kChunked;
    body_bytes_max_ = body_bytes_max();
    return Progress::kMore;
  }
  if (chunked > 1 || codings == 1) return fail(400, "malformed Transfer-Encoding");
  return fail(501, "transfer coding not implemented");
}

// RFC 9112 3.2: origin-form "/path?query", absolute-form "http://host/path?query", "*", and
// CONNECT's "host:port".
bool HttpRequestParser::split_target() {
  std::string_view rest = request_.target;
  if (rest.find('#') != std::string_view::npos) return false;
  if (rest.empty()) return false;
  if (rest.front() != '/' && rest != "*" && request_.method != "CONNECT") {
    const std::size_t authority = rest.find("://");
    if (authority == std::string_view::npos) return false;
    const std::size_t path = rest.find_first_of("/?", authority + 3);
    rest = path == std::string_view::npos ? std::string_view() : rest.substr(path);
  }
  const std::size_t mark = rest.find('?');
  request_.path = rest.substr(0, mark);
  if (request_.path.empty()) request_.path = "/";
  if (mark != std::string_view::npos) request_.query = rest.substr(mark + 1);
  return true;
}

HttpRequestParser::Progress HttpRequestParser::read_body(Bytes& input) {
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
      const Progress chunks = chunks_.feed(input, *limits_, body_bytes_max_, body_);
      if (chunks == Progress::kMore) return chunks;
      if (chunks == Progress::kError) return fail(chunks_.error_status(), chunks_.error_reason());
      break;
    }
  }
  request_.body = body_;
  progress_ = Progress::kDone;
  return progress_;
}

HttpRequestParser::Progress HttpRequestParser::fail(int status, std::string_view reason) {
  error_status_ = status;
  error_reason_ = reason;
  progress_ = Progress::kError;
  return progress_;
}

}  // namespace holdfast::protocol
