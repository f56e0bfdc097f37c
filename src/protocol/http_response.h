#pragma once

// HTTP/1.1 responses (RFC 9112): written by the server, read by the load generator.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "protocol/chunked_body.h"
#include "protocol/http_head.h"
#include "protocol/http_header.h"

namespace holdfast::protocol {

// "Not Found" for 404. Static text; "Unknown" for a status without a registered phrase.
std::string_view status_text(int status);

// Whether a response of that status has content (RFC 9110 6.4.1, 15.3.6): not with 204, 205, 304.
bool has_content(int status);

// A whole response; `status` is 200..599. Adds Content-Length and Connection: keep-alive, or close,
// with "upgrade" listed when `headers` contain Upgrade (RFC 9110 7.8). A status without content
// goes out without `body`; 204 and 304 without Content-Length too, which would tell of another
// answer (RFC 9110 8.6). The status, and that no name and value in `headers` holds a line end, are
// CHECKed, since they are ours. Without `with_body`, the answer to a HEAD (RFC 9110 9.3.2):
// Content-Length tells of a body that is not sent.
std::string http_response(int status, std::span<const HttpHeader> headers, std::string_view body,
                          bool keep_alive, bool with_body = true);

// The head of a response with status 200 whose body lasts until the connection ends (RFC 9112 6.3).
std::string http_stream_head(std::span<const HttpHeader> headers);

// Views into the parser, alive until its reset() or destruction.
struct HttpResponse {
  int status = 0;
  std::string_view reason;  // the phrase, as sent
  std::span<const HttpHeader> headers;
  Bytes body;  // decoded when it came in chunks
  bool keep_alive = false;

  // The value of the first field of that name; names are compared without case.
  std::optional<std::string_view> header(std::string_view name) const;
};

// Reads one response to a request that was not HEAD. Copies what it keeps; used by one thread at a
// time.
class HttpResponseParser {
 public:
  using Progress = HttpProgress;

  // `limits` must outlive the parser.
  explicit HttpResponseParser(const HttpLimits* limits);

  // Consumes from the front of `input`. kDone: response() is whole and `input` starts at the first
  // byte after it: after the head of a 101, the first byte of the first frame. Interim responses
  // (other 1xx) are skipped. After kDone and kError it changes nothing until reset().
  Progress feed(Bytes& input);
  // The peer ended its side: kDone for a body that lasts until then, else kError.
  Progress finish();
  // After kDone; from head_done() on, all but the body.
  const HttpResponse& response() const { return response_; }
  // After kError; static text.
  std::string_view error_reason() const { return error_reason_; }
  bool started() const { return started_; }
  bool head_done() const { return head_.done(); }
  // Ready for the next response. Keeps the memory that it has.
  void reset();

 private:
  enum class Body : std::uint8_t { kNone, kSized, kChunked, kUntilEnd };

  Progress begin_body();
  Progress read_body(Bytes& input);
  Progress fail(std::string_view reason);

  const HttpLimits* limits_;
  HttpHeadParser head_;
  ChunkedBody chunks_;
  std::vector<std::byte> body_;
  HttpResponse response_;
  Progress progress_ = Progress::kMore;
  Body body_kind_ = Body::kNone;
  bool started_ = false;
  std::uint64_t body_left_ = 0;
  std::string_view error_reason_;
};

}  // namespace holdfast::protocol
