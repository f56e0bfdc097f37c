#include "commands/option_row.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "base/units.h"
#include "net/address.h"
#include "server/listener_spec.h"

namespace holdfast::commands {
namespace {

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

constexpr std::string_view kNoneWord = "none";  // of a list

struct Scale {
  std::string_view name;
  std::uint64_t factor;
};
constexpr std::array kDurationScales = {Scale{"h", 3'600'000}, Scale{"m", 60'000}, Scale{"s", 1000},
                                        Scale{"ms", 1}};
constexpr std::array kByteScales = {Scale{"GiB", 1u << 30}, Scale{"MiB", 1u << 20},
                                    Scale{"KiB", 1u << 10}, Scale{"B", 1}};

// The largest unit that tells the value without a fraction.
std::string scaled_text(std::uint64_t value, std::span<const Scale> scales) {
  for (const Scale& scale : scales) {
    if (value % scale.factor == 0 && value >= scale.factor)
      return fmt::format("{}{}", value / scale.factor, scale.name);
  }
  return "0";
}

std::string number_text(Unit unit, std::uint64_t value) {
  switch (unit) {
    case Unit::kDuration:
      return scaled_text(value, kDurationScales);
    case Unit::kBytes:
      return scaled_text(value, kByteScales);
    case Unit::kCount:
    case Unit::kPercent:
      return std::to_string(value);
  }
  return {};
}

Result<std::uint64_t> parse_number(Unit unit, std::string_view text) {
  switch (unit) {
    case Unit::kDuration:
      return parse_duration(text).map(
          [](std::chrono::milliseconds d) { return static_cast<std::uint64_t>(d.count()); });
    case Unit::kBytes:
      return parse_bytes(text);
    case Unit::kPercent:
      if (!text.empty() && text.back() == '%') text.remove_suffix(1);
      return parse_count(text);
    case Unit::kCount:
      return parse_count(text);
  }
  return failure("no such unit");
}

std::uint64_t load(const Quantity& quantity, const ServeSettings& settings) {
  return std::visit(
      Overloaded{[&](Options::Milliseconds ServeSettings::* field) {
                   return static_cast<std::uint64_t>((settings.*field).count());
                 },
                 [&](auto field) { return static_cast<std::uint64_t>(settings.*field); }},
      quantity.field);
}

void store(const Quantity& quantity, std::uint64_t value, ServeSettings& settings) {
  std::visit(Overloaded{[&](Options::Milliseconds ServeSettings::* field) {
                          settings.*field = Options::Milliseconds(static_cast<std::int64_t>(value));
                        },
                        [&](std::uint32_t ServeSettings::* field) {
                          settings.*field = static_cast<std::uint32_t>(value);
                        },
                        [&](std::uint64_t ServeSettings::* field) { settings.*field = value; }},
             quantity.field);
}

std::string range_text(const Quantity& quantity) {
  std::string text = number_text(quantity.unit, quantity.least) + " to " +
                     number_text(quantity.unit, quantity.most);
  if (!quantity.zero_word.empty()) text += fmt::format(", or {}", quantity.zero_word);
  if (!quantity.presets.empty()) text += ", or a preset:";
  for (const Preset& preset : quantity.presets) text += fmt::format(" {}", preset.word);
  return text;
}

std::string joined(std::span<const std::string_view> words, std::string_view separator) {
  return fmt::format("{}", fmt::join(words.begin(), words.end(), separator));
}

Result<void> read(const OptionRow& row, const Quantity& quantity, std::string_view text,
                  ServeSettings& settings) {
  if (!quantity.zero_word.empty() && text == quantity.zero_word) {
    store(quantity, 0, settings);
    return {};
  }
  for (const Preset& preset : quantity.presets) {
    if (text != preset.word) continue;
    store(quantity, preset.value, settings);
    return {};
  }
  const Result<std::uint64_t> value = parse_number(quantity.unit, text);
  if (!value) {
    std::string message = value.error().message;
    if (!quantity.zero_word.empty()) message += fmt::format(", or {}", quantity.zero_word);
    if (!quantity.presets.empty()) message += ", or a preset:";
    for (const Preset& preset : quantity.presets) message += fmt::format(" {}", preset.word);
    return failure(std::move(message));
  }
  const bool meant_by_zero = *value == 0 && !quantity.zero_word.empty();
  if (!meant_by_zero && (*value < quantity.least || *value > quantity.most)) {
    return failure(
        fmt::format("'{}' is out of bounds; give {} ({})", text, range_text(quantity), row.reason));
  }
  store(quantity, *value, settings);
  return {};
}

Result<void> read(const Flag& flag, std::string_view text, ServeSettings& settings) {
  constexpr std::array<std::string_view, 4> kYes = {"true", "yes", "on", "1"};
  constexpr std::array<std::string_view, 4> kNo = {"false", "no", "off", "0"};
  const bool yes = std::find(kYes.begin(), kYes.end(), text) != kYes.end();
  if (!yes && std::find(kNo.begin(), kNo.end(), text) == kNo.end()) {
    return failure(fmt::format("'{}' is neither true nor false", text));
  }
  settings.*flag.field = yes;
  return {};
}

Result<void> read(const Choice& choice, std::string_view text, ServeSettings& settings) {
  const auto word = std::find(choice.words.begin(), choice.words.end(), text);
  if (word == choice.words.end()) {
    return failure(
        fmt::format("'{}' is not known; give one of: {}", text, joined(choice.words, ", ")));
  }
  std::visit(
      [&](auto field) {
        using Enum = std::remove_reference_t<decltype(settings.*field)>;
        settings.*field = static_cast<Enum>(word - choice.words.begin());
      },
      choice.field);
  return {};
}

Result<void> check_address(std::string_view text) {
  const Result<net::Address> address = net::Address::parse(text);
  if (!address) return tl::unexpected(address.error());
  return {};
}

Result<void> read(const AddressOrOff& address, const std::string& text, ServeSettings& settings) {
  if (text != "off") {
    if (Result<void> good = check_address(text); !good) {
      return failure(good.error().message + ", or off", good.error().code);
    }
  }
  settings.*address.field = text;
  return {};
}

Result<void> read(const Addresses& addresses, const std::vector<std::string>& texts,
                  ServeSettings& settings) {
  std::vector<std::string> result;
  std::vector<std::string> seen;
  for (const std::string& text : texts) {
    const auto listeners = server::parse_listeners(text);
    if (!listeners) return tl::unexpected(listeners.error());
    for (const server::ListenerSpec& listener : *listeners) {
      const bool chosen_by_kernel = listener.address.ends_with(":0");
      if (!chosen_by_kernel &&
          std::find(seen.begin(), seen.end(), listener.address) != seen.end()) {
        return failure(fmt::format("'{}' is given twice", listener.address));
      }
      seen.push_back(listener.address);
      result.push_back(listener.to_string());
    }
  }
  if (result.empty()) return failure("no address is given; give at least one ADDR:PORT");
  settings.*addresses.field = std::move(result);
  return {};
}

Result<void> read(const Texts& kind, const std::vector<std::string>& texts,
                  ServeSettings& settings) {
  std::vector<std::string> result;
  for (std::string_view list : texts) {
    if (list == kind.empty_word && texts.size() == 1) break;
    while (true) {
      const std::size_t comma = list.find(',');
      const std::string text(list.substr(0, comma));
      if (Result<void> good = kind.judge(text); !good) {
        return failure(fmt::format("{}, or {}", good.error().message, kind.empty_word));
      }
      if (std::find(result.begin(), result.end(), text) != result.end()) {
        return failure(fmt::format("'{}' is given twice", text));
      }
      result.push_back(text);
      if (comma == std::string_view::npos) break;
      list.remove_prefix(comma + 1);
    }
  }
  settings.*kind.field = std::move(result);
  return {};
}

Result<void> read(const Secret& secret, const std::string& text, ServeSettings& settings) {
  const auto unfit = [](char c) { return c <= ' ' || c > '~'; };
  if (std::any_of(text.begin(), text.end(), unfit)) {
    return failure(
        "the value (not shown) holds characters that an HTTP header cannot carry; use letters, "
        "digits and punctuation");
  }
  settings.*secret.field = text;
  return {};
}

}  // namespace

Result<void> read_option(const OptionRow& row, const std::vector<std::string>& texts,
                         ServeSettings& settings) {
  if (texts.size() != 1 && !takes_many(row)) {
    return failure(fmt::format("is given {} times; give it once", texts.size()));
  }
  return std::visit(
      Overloaded{[&](const Quantity& kind) { return read(row, kind, texts.front(), settings); },
                 [&](const Addresses& kind) { return read(kind, texts, settings); },
                 [&](const Texts& kind) { return read(kind, texts, settings); },
                 [&](const auto& kind) { return read(kind, texts.front(), settings); }},
      row.kind);
}

std::vector<std::string> option_texts(const OptionRow& row, const ServeSettings& settings) {
  using Strings = std::vector<std::string>;
  return std::visit(
      Overloaded{
          [&](const Quantity& kind) {
            const std::uint64_t value = load(kind, settings);
            if (value == 0 && !kind.zero_word.empty()) return Strings{std::string(kind.zero_word)};
            return Strings{number_text(kind.unit, value)};
          },
          [&](const Flag& kind) { return Strings{settings.*kind.field ? "true" : "false"}; },
          [&](const Choice& kind) {
            const auto index = std::visit(
                [&](auto field) { return static_cast<std::size_t>(settings.*field); }, kind.field);
            return Strings{std::string(kind.words[index])};
          },
          [&](const AddressOrOff& kind) { return Strings{settings.*kind.field}; },
          [&](const Addresses& kind) { return settings.*kind.field; },
          [&](const Texts& kind) {
            const Strings& texts = settings.*kind.field;
            return texts.empty() ? Strings{std::string(kind.empty_word)} : texts;
          },
          [&](const Secret& kind) { return Strings{settings.*kind.field}; },
      },
      row.kind);
}

std::string value_placeholder(const OptionRow& row) {
  return std::visit(
      Overloaded{[](const Quantity& kind) -> std::string {
                   std::string text;
                   switch (kind.unit) {
                     case Unit::kCount:
                       text = "N";
                       break;
                     case Unit::kBytes:
                       text = "BYTES";
                       break;
                     case Unit::kDuration:
                       text = "TIME";
                       break;
                     case Unit::kPercent:
                       text = "PERCENT";
                       break;
                   }
                   if (!kind.zero_word.empty()) text.append("|").append(kind.zero_word);
                   if (!kind.presets.empty()) text.append("|PRESET");
                   return text;
                 },
                 [](const Flag&) -> std::string { return ""; },
                 [](const Choice& kind) -> std::string { return joined(kind.words, "|"); },
                 [](const AddressOrOff&) -> std::string { return "ADDR:PORT|off"; },
                 [](const Addresses&) -> std::string { return "ADDR:PORT"; },
                 [](const Texts& kind) -> std::string {
                   return fmt::format("{}|{}", kind.placeholder, kind.empty_word);
                 },
                 [](const Secret&) -> std::string { return "TEXT"; }},
      row.kind);
}

std::string bounds_text(const OptionRow& row) {
  const auto* quantity = std::get_if<Quantity>(&row.kind);
  return quantity == nullptr ? "" : range_text(*quantity);
}

std::string environment_name(const OptionRow& row) {
  std::string name = "HOLDFAST_";
  for (const char c : row.name) {
    name.push_back(c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  }
  return name;
}

bool takes_many(const OptionRow& row) {
  return std::holds_alternative<Addresses>(row.kind) || std::holds_alternative<Texts>(row.kind);
}
bool is_flag(const OptionRow& row) { return std::holds_alternative<Flag>(row.kind); }
bool is_secret(const OptionRow& row) { return std::holds_alternative<Secret>(row.kind); }

}  // namespace holdfast::commands
