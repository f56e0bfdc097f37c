// Any bytes as requests, one behind the other, and as responses: however they are split, the same
// must come of them.

#include <algorithm>
#include <string>
#include <vector>

#include "base/check.h"
#include "protocol/handshake.h"
#include "protocol/http_request.h"
#include "protocol/http_response.h"

using namespace holdfast;
using namespace holdfast::protocol;

namespace {

constexpr std::size_t kMessagesMax = 8;

void append(std::string& out, std::string_view text) { out.append(text).append(1, '\n'); }

std::string tell(const HttpRequestParser& parser) {
  const HttpRequest& request = parser.request();
  std::string out;
  for (std::string_view part :
       {request.method, request.target, request.path, request.query, as_text(request.body)}) {
    append(out, part);
  }
  append(out, request.keep_alive ? "alive" : "close");
  append(out, request.upgrade ? "upgrade" : "");
  for (const auto& [name, value] : request.headers) {
    CHECK(!name.empty() && value == trim(value));
    CHECK(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
    append(out, name);
    append(out, value);
  }
  const HandshakeVerdict verdict = judge_handshake(request);
  append(out, std::to_string(verdict.status));
  if (verdict.status == 101) {
    std::byte response[kHandshakeResponseBytesMax];
    append(out, as_text({response, write_handshake_response(response, verdict.key)}));
  }
  return out;
}
std::string tell(const HttpResponseParser& parser) {
  const HttpResponse& response = parser.response();
  std::string out = std::to_string(response.status);
  append(out, response.reason);
  append(out, as_text(response.body));
  for (const auto& [name, value] : response.headers) {
    append(out, name);
    append(out, value);
  }
  return out;
}

std::string failure_of(const HttpRequestParser& parser) {
  CHECK(!parser.error_reason().empty() && parser.error_status() >= 400);
  return "error " + std::to_string(parser.error_status());
}
std::string failure_of(const HttpResponseParser& parser) {
  CHECK(!parser.error_reason().empty());
  return "error";
}

template <class Parser>
std::string outcome_of(Bytes wire, std::size_t piece_bytes, const HttpLimits& limits) {
  std::string out;
  Parser parser(&limits);
  std::size_t messages = 0;
  for (std::size_t at = 0; at < wire.size(); at += piece_bytes) {
    const Bytes piece = wire.subspan(at, std::min(piece_bytes, wire.size() - at));
    const std::vector<std::byte> memory(piece.begin(), piece.end());
    Bytes input = memory;
    while (!input.empty()) {
      const HttpProgress progress = parser.feed(input);
      if (progress == HttpProgress::kMore) CHECK(input.empty());
      if (progress == HttpProgress::kError) return out + failure_of(parser);
      if (progress == HttpProgress::kDone) {
        out += tell(parser);
        if (++messages == kMessagesMax) return out;
        parser.reset();
      }
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  HttpLimits limits;
  if ((data[0] & 1) != 0) limits = {.head_bytes_max = 128, .headers_max = 4, .body_bytes_max = 16};
  const std::size_t piece_bytes = data[0] / 2 + 1u;
  const Bytes wire = as_bytes({reinterpret_cast<const char*>(data) + 1, size - 1});
  const std::string whole = outcome_of<HttpRequestParser>(wire, wire.size() + 1, limits);
  CHECK(outcome_of<HttpRequestParser>(wire, piece_bytes, limits) == whole);
  CHECK(outcome_of<HttpRequestParser>(wire, 1, limits) == whole);
  const std::string response = outcome_of<HttpResponseParser>(wire, wire.size() + 1, limits);
  CHECK(outcome_of<HttpResponseParser>(wire, piece_bytes, limits) == response);
  return 0;
}
