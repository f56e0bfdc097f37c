#pragma once

// An HTTP/1.1 request as it arrives (RFC 9112). The same parser serves upgrades, the publishing API
// and the admin pages.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "protocol/chunked_body.h"
#include "protocol/http_head.h"
#include "protocol/http_header.h"

namespace holdfast::protocol {

// Views into the parser, alive until its reset() or destruction.
struct HttpRequest {
  std::string_view method;  // "GET"
  std::string_view target;  // as sent: "/topics/a?x=1"
  std::string_view path;    // of the target, as sent (not percent-decoded): "/topics/a"; of
                            // "http://host/a?x", "/a"
  std::string_view query;   // behind the '?': "x=1"
  std::span<const HttpHeader> headers;
  Bytes body;               // whole, and decoded when it came in chunks
  bool keep_alive = false;  // the connection may carry another request after this one
  bool upgrade =
      false;  // it wants a WebSocket: Upgrade lists "websocket", or there is a Sec-WebSocket-Key
  int minor_version = 1;  // HTTP/1.0 or HTTP/1.1

  // The value of the first field of that name; names are compared without case.
  std::optional<std::string_view> header(std::string_view name) const;
  // How many fields have that name.
  int count(std::string_view name) const;
};

// Reads one request at a time. It copies what it keeps, so that the input may go away between two
// feeds; once warm (after requests of similar size) it allocates nothing. Used by one thread at a
// time; movable, which invalidates request().
class HttpRequestParser {
 public:
  using Progress = HttpProgress;

  // `limits` must outlive the parser.
  explicit HttpRequestParser(const HttpLimits* limits);

  // Consumes from the front of `input`. kMore: all was taken and more is needed. kDone: request()
  // is whole and `input` starts at the first byte after it (for an upgrade, the first byte of the
  // first frame). kError: answer error_status() and close; `input` is of no use any more. After
  // kDone and kError it changes nothing until reset().
  Progress feed(Bytes& input);
  // After kDone; from head_done() on, all but the body.
  const HttpRequest& request() const { return request_; }
  // After kError: 400 malformed, 413 body too large, 431 head too large, 501 a transfer coding that
  // we do not know, 505 a version other than 1.0 and 1.1. The reason is static text for the
  // response's body and the log.
  int error_status() const { return error_status_; }
  std::string_view error_reason() const { return error_reason_; }
  // Whether any byte came since construction or reset(): a keep-alive connection is idle as long as
  // this is false.
  bool started() const { return head_.started(); }
  bool head_done() const { return head_.done(); }
  // Ready for the next request. Keeps the memory that it has.
  void reset();

 private:
  enum class Body : std::uint8_t { kNone, kSized, kChunked };

  Progress begin_body();
  Progress judge_fields();
  Progress judge_codings(int codings, int chunked);
  Progress read_body(Bytes& input);
  Progress fail(int status, std::string_view reason);
  bool split_target();
  std::uint64_t body_bytes_max() const;

  const HttpLimits* limits_;
  HttpHeadParser head_;
  ChunkedBody chunks_;
  std::vector<std::byte> body_;
  HttpRequest request_;
  Progress progress_ = Progress::kMore;
  Body body_kind_ = Body::kNone;
  std::uint64_t body_left_ = 0;
  std::uint64_t body_bytes_max_ = 0;  // of a chunked one
  int error_status_ = 0;
  std::string_view error_reason_;
};

}  // namespace holdfast::protocol
