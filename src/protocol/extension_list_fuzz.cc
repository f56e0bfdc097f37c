// Any value of Sec-WebSocket-Extensions, whole or as two fields: what is read of it stays within
// the grammar, and an answer is always one that its own client would take.

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "base/check.h"
#include "protocol/deflate_terms.h"
#include "protocol/extension_list.h"

using namespace holdfast::protocol;

namespace {

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < 0x7F &&
           std::string_view("\"(),/:;<=>?@[\\]{}").find(c) == std::string_view::npos;
  });
}

void walk(std::string_view field) {
  ExtensionList list(field);
  bool in_extension = false;
  for (std::size_t parts = 0;; ++parts) {
    CHECK(parts <= field.size());
    const auto part = list.next();
    if (part == ExtensionList::Part::kEnd || part == ExtensionList::Part::kMalformed) return;
    CHECK(is_token(list.name()));
    CHECK(!list.has_value() || is_token(list.value()));
    CHECK(in_extension || part == ExtensionList::Part::kExtension);
    in_extension = true;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  walk(text);
  const std::string_view whole(text);
  const std::size_t cut = std::min<std::size_t>(data[0] >> 1, whole.size());
  const std::vector<HttpHeader> headers{{kExtensionsField, whole.substr(0, cut)},
                                        {kExtensionsField, whole.substr(cut)}};
  const DeflatePolicy policy{.takeover = (data[0] & 1) != 0, .window_bits = 12};
  const auto terms = accept_deflate(headers, policy);
  if (!terms) return 0;
  std::array<char, kDeflateTermsBytesMax> out;
  const std::string answer(out.data(), write_deflate_terms(out.data(), *terms));
  const std::vector<HttpHeader> answers{{kExtensionsField, answer}};
  // The most liberal offer that the answer may belong to.
  DeflateTerms offer{.server_max_window_bits = terms->server_max_window_bits};
  if (terms->client_max_window_bits) offer.client_max_window_bits = kAnyWindowBits;
  const DeflateAnswer read = read_deflate_answer(answers, offer);
  CHECK(read.wrong.empty() && read.terms == terms);
  return 0;
}
