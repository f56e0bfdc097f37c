#include "commands/quantities.h"

#include <fmt/format.h>

#include "base/units.h"

namespace holdfast::commands {
namespace {

template <class Value>
std::string complaint(const Result<Value>& value, Value least, Value most, std::string_view text,
                      const std::string& least_text, const std::string& most_text) {
  if (!value) return value.error().message;
  if (*value < least || *value > most) return fmt::format("'{}' is out of bounds: {} to {}", text, least_text, most_text);
  return {};
}

CLI::Validator validator(std::function<std::string(std::string&)> check, const char* type) {
  return CLI::Validator(std::move(check), type);
}

}  // namespace

CLI::Validator count_between(std::uint64_t least, std::uint64_t most) {
  return validator(
      [=](std::string& text) {
        return complaint(parse_count(text), least, most, text, format_count(least), format_count(most));
      },
      "N");
}

CLI::Validator auto_or_count_between(std::uint64_t least, std::uint64_t most) {
  return validator(
      [=](std::string& text) {
        if (text == "auto") return std::string();
        std::string wrong = complaint(parse_count(text), least, most, text, format_count(least), format_count(most));
        return wrong.empty() ? wrong : wrong + ", or auto";
      },
      "N|auto");
}

CLI::Validator bytes_between(std::uint64_t least, std::uint64_t most) {
  return validator(
      [=](std::string& text) {
        return complaint(parse_bytes(text), least, most, text, format_bytes(static_cast<double>(least)),
                         format_bytes(static_cast<double>(most)));
      },
      "BYTES");
}

CLI::Validator duration_between(std::string least, std::string most) {
  return validator(
      [=](std::string& text) {
        return complaint(parse_duration(text), *parse_duration(least), *parse_duration(most), text, least, most);
      },
      "TIME");
}

std::uint64_t count_or_auto(const std::string& text) { return text == "auto" ? 0 : parse_count(text).value_or(0); }

}  // namespace holdfast::commands
