#pragma once

// One row of the option table: everything that is known of one option. Command line, environment,
// file, help, documentation and the printed configuration are all read off such rows, so that no
// two of them can differ.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "commands/serve_settings.h"

namespace holdfast::commands {

enum class Unit : std::uint8_t { kCount, kBytes, kDuration, kPercent };

// A word that may stand for a number of its own.
struct Preset {
  std::string_view word;
  std::uint64_t value;
  std::string_view reason;
};

// A number: durations in milliseconds, sizes in bytes.
struct Quantity {
  Unit unit;
  std::variant<std::uint32_t ServeSettings::*, std::uint64_t ServeSettings::*,
               Options::Milliseconds ServeSettings::*>
      field;
  std::uint64_t least;
  std::uint64_t most;
  std::string_view
      zero_word;  // what 0 is called ("auto", "off"); empty where 0 has no meaning of its own
  std::span<const Preset> presets;
};

// Off unless said.
struct Flag {
  bool ServeSettings::* field;
};

// One of some words; the enum's values count them from 0.
struct Choice {
  std::variant<IoChoice ServeSettings::*, QueueFullPolicy ServeSettings::*,
               ForwardedHeader ServeSettings::*, Balancer ServeSettings::*,
               DeflateChoice ServeSettings::*, ClientCertificates ServeSettings::*,
               LogLevel ServeSettings::*, LogFormat ServeSettings::*, bool ServeSettings::*>
      field;
  std::span<const std::string_view> words;
};

// ADDR:PORT, or "off".
struct AddressOrOff {
  std::string ServeSettings::* field;
};

// At least one listener (server/listener_spec.h); separated by commas, or the option repeated.
struct Addresses {
  std::vector<std::string> ServeSettings::* field;
};

// Any number of texts, each judged by a function; separated by commas, or the option repeated.
struct Texts {
  std::vector<std::string> ServeSettings::* field;
  Result<void> (*judge)(const std::string& text);
  std::string_view placeholder;
  std::string_view empty_word;  // what no text at all is called
};

// Any printable text without spaces, which is never shown again.
struct Secret {
  std::string ServeSettings::* field;
};

struct OptionRow {
  std::string_view name;  // "ping-interval": --ping-interval, HOLDFAST_PING_INTERVAL, ping-interval
                          // = (or ping_interval =)
  std::string_view group;  // heading in help and documentation
  std::variant<Quantity, Flag, Choice, AddressOrOff, Addresses, Texts, Secret> kind;
  std::string_view help;    // one line: what it does
  std::string_view reason;  // why these bounds
};

// Reads the texts given for an option (several only where takes_many()) into the settings. The
// error says what is wrong and what would be right, not where it stood.
Result<void> read_option(const OptionRow& row, const std::vector<std::string>& texts,
                         ServeSettings& settings);

// The texts that read_option() takes for the value now in the settings: "25s", "64KiB", "auto". A
// secret that is set is given as it is.
std::vector<std::string> option_texts(const OptionRow& row, const ServeSettings& settings);

// "DURATION", "ADDR:PORT", "auto|uring|epoll"; empty for a flag.
std::string value_placeholder(const OptionRow& row);
// "100ms to 1h, or off"; empty where any value goes.
std::string bounds_text(const OptionRow& row);

std::string environment_name(const OptionRow& row);  // "HOLDFAST_PING_INTERVAL"

bool takes_many(const OptionRow& row);
bool is_flag(const OptionRow& row);
bool is_secret(const OptionRow& row);

}  // namespace holdfast::commands
