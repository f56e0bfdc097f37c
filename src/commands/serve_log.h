#pragma once

// The server's log: one line an event, for people (text) or for machines (JSON lines), on standard
// error.

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace holdfast::commands {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };
enum class LogFormat : std::uint8_t { kText, kJson };

// What an event says besides its sentence. The views need to live only during the call.
using LogFields = std::initializer_list<std::pair<std::string_view, std::string>>;

// From now on lines of `level` and above are written in `format`. Call once, before the first
// thread starts.
void start_log(LogLevel level, LogFormat format);

// Writes one line, from any thread, and flushes it. Text: `message key=value`, values quoted where
// they hold spaces, quotes or control characters. JSON: {"time","level","message", fields...},
// escaped; bytes that are no UTF-8 become U+FFFD.
void log(LogLevel level, std::string_view message, LogFields fields = {});

// The part of a line that log() makes; for tests.
std::string log_payload(LogFormat format, std::string_view message, LogFields fields);

}  // namespace holdfast::commands
