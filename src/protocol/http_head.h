#pragma once

// The start line and header fields of one HTTP message. llhttp reads them; what it would let
// through although a neighbour may read it otherwise (folded lines, a bare CR or LF) is refused by
// LineGuard before llhttp sees it.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <llhttp.h>

#include "base/bytes.h"
#include "protocol/http_header.h"

namespace holdfast::protocol {

enum class HttpProgress : std::uint8_t { kMore, kDone, kError };

// Follows lines that must each end with CR LF, and finds the empty one that ends them. Holds no
// bytes.
class LineGuard {
 public:
  struct Stretch {
    std::size_t bytes;  // from the front, that may be read: up to the end, the wrong byte or the
                        // end of the input
    bool end;           // the empty line is the last of them
    std::string_view wrong;  // static text: the byte behind them must not be there
  };
  // `ends_at_once`: an empty first line is the end (trailers); otherwise empty lines in front are
  // passed over (heads).
  explicit LineGuard(bool ends_at_once) : line_seen_(ends_at_once) {}
  Stretch scan(Bytes input);

 private:
  bool line_seen_;
  bool line_empty_ = true;
  bool after_cr_ = false;
};

// Collects a head and knows its parts. Once warm it allocates nothing.
class HttpHeadParser {
 public:
  enum class Kind : std::uint8_t { kRequest, kResponse };

  // `limits` must outlive the parser.
  HttpHeadParser(Kind kind, const HttpLimits* limits);

  // Consumes from the front of `input` to the end of the head (kDone) or of the input (kMore).
  HttpProgress feed(Bytes& input);
  void reset();

  bool started() const { return !text_.empty(); }
  bool done() const { return done_; }

  // After kDone. Views live until reset() or destruction.
  std::string_view method() const;
  std::string_view target() const { return view(target_); }
  int status() const { return parser_.status_code; }
  std::string_view reason() const { return view(target_); }
  int minor_version() const { return parser_.http_minor; }
  std::span<const HttpHeader> headers() const { return headers_; }
  // What Connection and the version say (RFC 9112 9.3).
  bool keep_alive() const;
  // Content-Length is llhttp's reading: digits only, at most once.
  bool has_content_length() const { return (parser_.flags & F_CONTENT_LENGTH) != 0; }
  std::uint64_t content_length() const { return parser_.content_length; }

  // After kError: as HttpRequestParser's.
  int error_status() const { return error_status_; }
  std::string_view error_reason() const { return error_reason_; }

 private:
  // A part of text_, by place: text_ may move while it grows.
  struct Place {
    std::uint32_t begin = 0;
    std::uint32_t size = 0;
  };
  struct Field {
    Place name;
    Place value;
  };
  struct Callbacks;

  HttpProgress parse(Bytes part, bool end);
  HttpProgress fail(int status, std::string_view reason);
  HttpProgress finish();
  void extend(Place& place, const char* at, std::size_t size) const;
  std::string_view view(Place place) const { return {text_.data() + place.begin, place.size}; }

  const HttpLimits* limits_;
  llhttp_t parser_;
  LineGuard guard_{false};
  std::vector<char> text_;  // the head as it was sent
  std::vector<Field> fields_;
  std::vector<HttpHeader> headers_;
  Place target_;  // or a response's reason phrase
  Kind kind_;
  bool done_ = false;
  bool field_open_ = false;
  bool too_many_headers_ = false;
  int error_status_ = 0;
  std::string_view error_reason_;
};

}  // namespace holdfast::protocol
