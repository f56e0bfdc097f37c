#include "protocol/deflate_terms.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "protocol/extension_list.h"

namespace holdfast::protocol {
namespace {

constexpr std::string_view kDeflate = "permessage-deflate";
constexpr std::string_view kServerNoTakeover = "server_no_context_takeover";
constexpr std::string_view kClientNoTakeover = "client_no_context_takeover";
constexpr std::string_view kServerBits = "server_max_window_bits";
constexpr std::string_view kClientBits = "client_max_window_bits";
constexpr std::size_t kSeparatorBytes = 2;  // "; "
constexpr std::size_t kBitsValueBytes = 3;  // "=15"
static_assert(kDeflate.size() + 4 * kSeparatorBytes + kServerNoTakeover.size() +
                  kClientNoTakeover.size() + kServerBits.size() + kClientBits.size() +
                  2 * kBitsValueBytes <=
              kDeflateTermsBytesMax);

enum class From : std::uint8_t { kClient, kServer };

// RFC 7692 7.1.2.1: "a decimal integer value without leading zeroes between 8 to 15, inclusive".
std::optional<std::uint8_t> read_window_bits(std::string_view text) {
  int bits = 0;
  for (const char c : text) {
    if (c < '0' || c > '9' || text.size() > 2) return std::nullopt;
    bits = 10 * bits + (c - '0');
  }
  if (text.starts_with('0') || bits < kWindowBitsMin || bits > kWindowBitsMax) return std::nullopt;
  return static_cast<std::uint8_t>(bits);
}

// Takes the current parameter of `list` into `terms`; false when it may not stand there. RFC 7692
// 7.1: no unknown names, none twice, no invalid values.
bool take_parameter(const ExtensionList& list, From from, DeflateTerms& terms) {
  const auto take_flag = [&](bool& flag) {
    if (flag || list.has_value()) return false;
    return flag = true;
  };
  const auto take_bits = [&](std::optional<std::uint8_t>& bits, bool value_may_miss) {
    if (bits) return false;
    bits = list.has_value() ? read_window_bits(list.value())
           : value_may_miss ? std::optional(kAnyWindowBits)
                            : std::nullopt;
    return bits.has_value();
  };
  if (equals_ignoring_case(list.name(), kServerNoTakeover)) {
    return take_flag(terms.server_no_context_takeover);
  }
  if (equals_ignoring_case(list.name(), kClientNoTakeover)) {
    return take_flag(terms.client_no_context_takeover);
  }
  if (equals_ignoring_case(list.name(), kServerBits)) {
    return take_bits(terms.server_max_window_bits, false);
  }
  if (equals_ignoring_case(list.name(), kClientBits)) {
    return take_bits(terms.client_max_window_bits, from == From::kClient);
  }
  return false;
}

// The elements of all Sec-WebSocket-Extensions fields, one by one.
class Elements {
 public:
  struct Element {
    std::string_view name;
    std::optional<DeflateTerms> terms;  // of permessage-deflate, when all parameters are right
  };

  Elements(std::span<const HttpHeader> headers, From from)
      : headers_(headers), from_(from), list_({}) {}

  // Nothing after the last one, and from a malformed one on.
  std::optional<Element> next() {
    while (!has_extension_) {
      if (!advance()) return std::nullopt;
    }
    Element element{list_.name(), std::nullopt};
    DeflateTerms terms;
    bool right = equals_ignoring_case(element.name, kDeflate);
    auto part = list_.next();
    for (; part == ExtensionList::Part::kParameter; part = list_.next()) {
      right = right && take_parameter(list_, from_, terms);
    }
    has_extension_ = part == ExtensionList::Part::kExtension;
    if (right && part != ExtensionList::Part::kMalformed) element.terms = terms;
    return element;
  }

 private:
  // To the first element of the next field that has one. False when there is no field left.
  bool advance() {
    while (!headers_.empty() && !equals_ignoring_case(headers_.front().name, kExtensionsField)) {
      headers_ = headers_.subspan(1);
    }
    if (headers_.empty()) return false;
    list_ = ExtensionList(headers_.front().value);
    headers_ = headers_.subspan(1);
    has_extension_ = list_.next() == ExtensionList::Part::kExtension;
    return true;
  }

  std::span<const HttpHeader> headers_;
  From from_;
  ExtensionList list_;
  bool has_extension_ = false;
};

DeflateTerms answer_to(const DeflateTerms& offer, const DeflatePolicy& policy) {
  DeflateTerms terms;
  // RFC 7692 7.1.1: a server may say either although the offer does not.
  terms.server_no_context_takeover = offer.server_no_context_takeover || !policy.takeover;
  terms.client_no_context_takeover = offer.client_no_context_takeover || !policy.takeover;
  // RFC 7692 7.1.2.1: what was offered is confirmed, with the same or a smaller value.
  if (offer.server_max_window_bits) {
    const bool kept = !terms.server_no_context_takeover;
    terms.server_max_window_bits = kept
                                       ? std::min(*offer.server_max_window_bits, policy.window_bits)
                                       : *offer.server_max_window_bits;
  }
  // RFC 7692 7.1.2.2: must not be said when it was not offered. A lent window is the largest, so
  // only a kept one is worth the words.
  if (offer.client_max_window_bits && !terms.client_no_context_takeover) {
    const std::uint8_t most = *offer.client_max_window_bits == kAnyWindowBits
                                  ? kWindowBitsMax
                                  : *offer.client_max_window_bits;
    terms.client_max_window_bits = std::min(most, policy.window_bits);
  }
  return terms;
}

// RFC 7692 7.1.1, 7.1.2: what an answer must say, and must not, for an offer. Static text, or
// empty.
std::string_view wrong_with(const DeflateTerms& answer, const DeflateTerms& offer) {
  if (offer.server_no_context_takeover && !answer.server_no_context_takeover) {
    return "the server would keep its compression window although it was asked not to";
  }
  if (offer.server_max_window_bits && answer.server_window_bits() > *offer.server_max_window_bits) {
    return "the server's compression window is larger than was asked for";
  }
  if (answer.client_max_window_bits) {
    if (!offer.client_max_window_bits) return "client_max_window_bits was not offered";
    if (*offer.client_max_window_bits != kAnyWindowBits &&
        *answer.client_max_window_bits > *offer.client_max_window_bits) {
      return "client_max_window_bits is larger than what was offered";
    }
  }
  return {};
}

}  // namespace

std::size_t write_deflate_terms(char* out, const DeflateTerms& terms) {
  char* end = out;
  const auto append = [&end](std::string_view text) {
    std::memcpy(end, text.data(), text.size());
    end += text.size();
  };
  const auto append_flag = [&](std::string_view name, bool flag) {
    if (!flag) return;
    append("; ");
    append(name);
  };
  const auto append_bits = [&](std::string_view name, std::optional<std::uint8_t> bits) {
    if (!bits) return;
    CHECK(*bits == kAnyWindowBits || (*bits >= kWindowBitsMin && *bits <= kWindowBitsMax));
    append_flag(name, true);
    if (*bits == kAnyWindowBits) return;
    *end++ = '=';
    if (*bits >= 10) *end++ = '1';
    *end++ = static_cast<char>('0' + *bits % 10);
  };
  append(kDeflate);
  append_flag(kServerNoTakeover, terms.server_no_context_takeover);
  append_flag(kClientNoTakeover, terms.client_no_context_takeover);
  append_bits(kServerBits, terms.server_max_window_bits);
  append_bits(kClientBits, terms.client_max_window_bits);
  return static_cast<std::size_t>(end - out);
}

std::optional<DeflateTerms> accept_deflate(std::span<const HttpHeader> headers,
                                           const DeflatePolicy& policy) {
  Elements offers(headers, From::kClient);
  while (const auto offer = offers.next()) {
    if (offer->terms) return answer_to(*offer->terms, policy);
  }
  return std::nullopt;
}

DeflateAnswer read_deflate_answer(std::span<const HttpHeader> headers, const DeflateTerms& offer) {
  switch (judge_extensions(headers)) {
    case ExtensionsVerdict::kNone:
      return {};
    case ExtensionsVerdict::kMalformed:
      return {std::nullopt, "a malformed Sec-WebSocket-Extensions"};
    case ExtensionsVerdict::kWellFormed:
      break;
  }
  Elements answers(headers, From::kServer);
  DeflateAnswer result;
  while (const auto answer = answers.next()) {
    // RFC 6455 4.1: an extension that was not asked for fails the connection.
    if (!equals_ignoring_case(answer->name, kDeflate)) {
      return {std::nullopt, "an extension that was not asked for"};
    }
    if (result.terms) return {std::nullopt, "permessage-deflate is answered twice"};
    if (!answer->terms) return {std::nullopt, "a permessage-deflate parameter that is not right"};
    if (const auto wrong = wrong_with(*answer->terms, offer); !wrong.empty()) {
      return {std::nullopt, wrong};
    }
    result.terms = answer->terms;
  }
  return result;
}

}  // namespace holdfast::protocol
