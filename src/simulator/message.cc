#include "simulator/message.h"

#include <array>
#include <charconv>
#include <string_view>

#include "simulator/random.h"

namespace holdfast::simulator {
namespace {

constexpr std::array<std::string_view, 6> kCharacters = {"a", "Z", "7", "é", "€", "😀"};
constexpr char kPublication = 'P';

}  // namespace

std::string make_message(char verb, std::uint64_t number, std::uint64_t serial, std::size_t bytes,
                         bool is_text) {
  std::string text = verb + std::to_string(number) + '.' + std::to_string(serial) + ':';
  Random random(number * 1'000'003 + serial);
  while (text.size() < bytes) {
    if (is_text) {
      text += kCharacters[random.below(kCharacters.size())];
    } else {
      text += static_cast<char>(random.below(256));
    }
  }
  return text;
}

std::string make_publication_text(std::uint32_t number, std::size_t bytes) {
  return make_message(kPublication, number, 0, bytes, true);
}

std::int64_t publication_number(std::string_view payload) {
  if (payload.empty() || payload.front() != kPublication) return -1;
  std::int64_t number = -1;
  std::from_chars(payload.data() + 1, payload.data() + payload.size(), number);
  return number;
}

}  // namespace holdfast::simulator
