#include "commands/quantities.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/units.h"

namespace holdfast::commands {
namespace {

template <class Value>
std::string complaint(const Result<Value>& value, Value least, Value most, std::string_view text,
                      const std::string& least_text, const std::string& most_text) {
  if (!value) return value.error().message;
  if (*value < least || *value > most)
    return fmt::format("'{}' is out of bounds: {} to {}", text, least_text, most_text);
  return {};
}

// Without a description of its own: the option's type and help say it.
CLI::Validator validator(std::function<std::string(std::string&)> check) {
  return {std::move(check), ""};
}

}  // namespace

CLI::Validator count_between(std::uint64_t least, std::uint64_t most) {
  return validator([=](std::string& text) {
    return complaint(parse_count(text), least, most, text, format_count(least), format_count(most));
  });
}

CLI::Validator auto_or_count_between(std::uint64_t least, std::uint64_t most) {
  return validator([=](std::string& text) {
    if (text == "auto") return std::string();
    std::string wrong =
        complaint(parse_count(text), least, most, text, format_count(least), format_count(most));
    return wrong.empty() ? wrong : wrong + ", or auto";
  });
}

CLI::Validator bytes_between(std::uint64_t least, std::uint64_t most) {
  return validator([=](std::string& text) {
    return complaint(parse_bytes(text), least, most, text, format_bytes(static_cast<double>(least)),
                     format_bytes(static_cast<double>(most)));
  });
}

CLI::Validator duration_between(const std::string& least, const std::string& most) {
  return validator([=](std::string& text) {
    return complaint(parse_duration(text), *parse_duration(least), *parse_duration(most), text,
                     least, most);
  });
}

CLI::Validator number_between(double least, double most) {
  return validator([=](std::string& text) -> std::string {
    double number = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (error != std::errc() || end != text.data() + text.size())
      return fmt::format("'{}' is not a number; write one as 0.25", text);
    if (number < least || number > most)
      return fmt::format("'{}' is out of bounds: {} to {}", text, least, most);
    return {};
  });
}

CLI::Validator one_of(std::vector<std::string> words) {
  return validator([words = std::move(words)](std::string& text) -> std::string {
    if (std::find(words.begin(), words.end(), text) != words.end()) return {};
    return fmt::format("'{}' is none of {}", text, fmt::join(words, ", "));
  });
}

std::uint64_t count_or_auto(const std::string& text) {
  return text == "auto" ? 0 : parse_count(text).value_or(0);
}

}  // namespace holdfast::commands
