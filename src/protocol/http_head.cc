#include "protocol/http_head.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace holdfast::protocol {
namespace {

constexpr std::string_view kVersionRefused = "HTTP version not supported";

}  // namespace

LineGuard::Stretch LineGuard::scan(Bytes input) {
  const std::string_view text = as_text(input);
  std::size_t at = 0;
  while (at < text.size()) {
    if (after_cr_) {
      // RFC 9112 2.2: a CR that no LF follows is invalid.
      if (text[at] != '\n') return {at, false, "CR without LF"};
      ++at;
      after_cr_ = false;
      if (line_empty_ && line_seen_) return {at, true, {}};
      line_seen_ = line_seen_ || !line_empty_;
      line_empty_ = true;
      continue;
    }
    // RFC 9112 5.2: a server refuses a folded line; 2.2: and white space in front of the first
    // field.
    if (line_empty_ && (text[at] == ' ' || text[at] == '\t')) {
      return {at, false, "line begins with white space"};
    }
    const std::size_t cr = std::min(text.find('\r', at), text.size());
    const std::size_t lf = text.substr(0, cr).find('\n', at);
    if (lf != std::string_view::npos) return {lf, false, "LF without CR"};
    if (cr > at) line_empty_ = false;
    at = cr;
    if (at < text.size()) {
      after_cr_ = true;
      ++at;
    }
  }
  return {at, false, {}};
}

struct HttpHeadParser::Callbacks {
  static HttpHeadParser& self(llhttp_t* parser) {
    return *static_cast<HttpHeadParser*>(parser->data);
  }

  static int on_target(llhttp_t* parser, const char* at, std::size_t size) {
    self(parser).extend(self(parser).target_, at, size);
    return HPE_OK;
  }
  static int on_field(llhttp_t* parser, const char* at, std::size_t size) {
    HttpHeadParser& head = self(parser);
    if (!head.field_open_) {
      head.fields_.emplace_back();
      head.field_open_ = true;
    }
    head.extend(head.fields_.back().name, at, size);
    return HPE_OK;
  }
  // Counted here rather than where a name begins: llhttp tells of a name's begin sooner or later,
  // as its bytes come.
  static int on_field_complete(llhttp_t* parser) {
    HttpHeadParser& head = self(parser);
    head.too_many_headers_ = head.fields_.size() > head.limits_->headers_max;
    return head.too_many_headers_ ? HPE_USER : HPE_OK;
  }
  static int on_value(llhttp_t* parser, const char* at, std::size_t size) {
    if (!self(parser).field_open_) return HPE_USER;
    self(parser).extend(self(parser).fields_.back().value, at, size);
    return HPE_OK;
  }
  static int on_value_complete(llhttp_t* parser) {
    self(parser).field_open_ = false;
    return HPE_OK;
  }
  // The body is read elsewhere, so llhttp stops here.
  static int on_headers_complete(llhttp_t*) { return HPE_PAUSED; }

  static const llhttp_settings_t* settings(Kind kind) {
    static const llhttp_settings_t request = [] {
      llhttp_settings_t made{};
      made.on_url = on_target;
      made.on_header_field = on_field;
      made.on_header_field_complete = on_field_complete;
      made.on_header_value = on_value;
      made.on_header_value_complete = on_value_complete;
      made.on_headers_complete = on_headers_complete;
      return made;
    }();
    static const llhttp_settings_t response = [] {
      llhttp_settings_t made = request;
      made.on_url = nullptr;
      made.on_status = on_target;
      return made;
    }();
    return kind == Kind::kRequest ? &request : &response;
  }
};

HttpHeadParser::HttpHeadParser(Kind kind, const HttpLimits* limits) : limits_(limits), kind_(kind) {
  reset();
}

void HttpHeadParser::reset() {
  llhttp_init(&parser_, kind_ == Kind::kRequest ? HTTP_REQUEST : HTTP_RESPONSE,
              Callbacks::settings(kind_));
  guard_ = LineGuard(false);
  text_.clear();
  fields_.clear();
  headers_.clear();
  target_ = {};
  done_ = false;
  field_open_ = false;
  too_many_headers_ = false;
  error_status_ = 0;
  error_reason_ = {};
}

HttpProgress HttpHeadParser::feed(Bytes& input) {
  if (done_) return HttpProgress::kDone;
  if (error_status_ != 0) return HttpProgress::kError;
  const std::size_t room = limits_->head_bytes_max - text_.size();
  const Bytes window = input.first(std::min(room, input.size()));
  const LineGuard::Stretch stretch = guard_.scan(window);
  input = input.subspan(stretch.bytes);
  // Whatever stands before a wrong byte is judged first, so that the verdict does not depend on how
  // the bytes were split.
  const HttpProgress progress = parse(window.first(stretch.bytes), stretch.end);
  if (progress != HttpProgress::kMore) return progress;
  if (!stretch.wrong.empty()) return fail(400, stretch.wrong);
  if (text_.size() == limits_->head_bytes_max) return fail(431, "request head too large");
  return HttpProgress::kMore;
}

HttpProgress HttpHeadParser::parse(Bytes part, bool end) {
  const std::size_t begin = text_.size();
  const std::string_view text = as_text(part);
  text_.insert(text_.end(), text.begin(), text.end());
  parser_.data = this;  // set anew each time: the parser may have moved
  const llhttp_errno_t error = llhttp_execute(&parser_, text_.data() + begin, text.size());
  if (error == HPE_PAUSED) return end ? finish() : fail(400, "head ends too early");
  // Only the preface of HTTP/2 goes on behind its empty line (RFC 9113 3.4).
  if (error == HPE_OK) return end ? fail(505, kVersionRefused) : HttpProgress::kMore;
  if (error == HPE_INVALID_VERSION) return fail(505, kVersionRefused);
  if (too_many_headers_) return fail(431, "too many header fields");
  const char* reason = llhttp_get_error_reason(&parser_);
  return fail(400, reason != nullptr ? reason : "malformed head");
}

HttpProgress HttpHeadParser::finish() {
  if (parser_.http_major != 1 || parser_.http_minor > 1) {
    return fail(505, kVersionRefused);
  }
  for (const Field& field : fields_) {
    // RFC 9110 5.1: a name is a token, of at least one character; llhttp takes none as well.
    if (field.name.size == 0) return fail(400, "header field without name");
    headers_.push_back({view(field.name), trim(view(field.value))});
  }
  done_ = true;
  return HttpProgress::kDone;
}

HttpProgress HttpHeadParser::fail(int status, std::string_view reason) {
  error_status_ = status;
  error_reason_ = reason;
  return HttpProgress::kError;
}

void HttpHeadParser::extend(Place& place, const char* at, std::size_t size) const {
  if (place.size == 0) place.begin = static_cast<std::uint32_t>(at - text_.data());
  // Parts of one place lie side by side in text_, for folded lines never come here.
  CHECK(text_.data() + place.begin + place.size == at);
  place.size += static_cast<std::uint32_t>(size);
}

std::string_view HttpHeadParser::method() const {
  return llhttp_method_name(static_cast<llhttp_method_t>(parser_.method));
}

bool HttpHeadParser::keep_alive() const {
  if (parser_.http_minor == 0) return (parser_.flags & F_CONNECTION_KEEP_ALIVE) != 0;
  return (parser_.flags & F_CONNECTION_CLOSE) == 0;
}

}  // namespace holdfast::protocol
