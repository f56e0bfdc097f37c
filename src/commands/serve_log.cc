#include "commands/serve_log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <nlohmann/json.hpp>

namespace holdfast::commands {
namespace {

LogFormat format_in_force = LogFormat::kText;

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::string json_string(std::string_view text) {
  return nlohmann::json(std::string(text))
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// A value that could be taken for something else is written as a JSON string: a peer's bytes never
// make a line of their own.
std::string text_value(std::string_view value) {
  const bool plain = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return c > ' ' && c != '"' && c != '=' && c != '\x7f';
  });
  return plain ? std::string(value) : json_string(value);
}

}  // namespace

std::string log_payload(LogFormat format, std::string_view message, LogFields fields) {
  std::string payload;
  if (format == LogFormat::kJson) {
    payload = "\"message\":" + json_string(message);
    for (const auto& [name, value] : fields) {
      payload += "," + json_string(name) + ":" + json_string(value);
    }
    return payload;
  }
  payload = message;
  std::replace_if(
      payload.begin(), payload.end(),
      [](char c) { return std::iscntrl(static_cast<unsigned char>(c)) != 0; }, '?');
  for (const auto& [name, value] : fields) {
    payload.append(" ").append(name).append("=").append(text_value(value));
  }
  return payload;
}

void start_log(LogLevel level, LogFormat format) {
  format_in_force = format;
  auto logger = std::make_shared<spdlog::logger>("holdfast",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_level(spdlog_level(level));
  logger->flush_on(spdlog::level::trace);
  switch (format) {
    case LogFormat::kText:
      logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l: %v");
      break;
    case LogFormat::kJson:
      logger->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%v})");
      break;
  }
  spdlog::set_default_logger(std::move(logger));
}

void log(LogLevel level, std::string_view message, LogFields fields) {
  if (!spdlog::should_log(spdlog_level(level))) return;
  spdlog::log(spdlog_level(level), "{}", log_payload(format_in_force, message, fields));
}

}  // namespace holdfast::commands
