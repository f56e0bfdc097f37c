#include "commands/options_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>

#include "commands/nearest_name.h"
#include "commands/serve_options.h"
#include "server/listener_spec.h"

namespace holdfast::commands {
namespace {

std::string place_of(std::string_view path, const toml::source_position& position) {
  return fmt::format("{}:{}:{}", path, position.line, position.column);
}

// A single value as it would stand on the command line; nothing for a type that no option has.
std::optional<std::string> scalar_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  return std::nullopt;
}

std::optional<std::vector<std::string>> value_texts(const toml::node& node) {
  const toml::array* array = node.as_array();
  if (array == nullptr) {
    auto text = scalar_text(node);
    return text ? std::optional(std::vector{*std::move(text)}) : std::nullopt;
  }
  std::vector<std::string> texts;
  for (const toml::node& element : *array) {
    auto text = scalar_text(element);
    if (!text) return std::nullopt;
    texts.push_back(*std::move(text));
  }
  return texts;
}

std::string_view wanted_type(const OptionRow& row) {
  if (is_flag(row)) return "true or false";
  return takes_many(row) ? "a string or an array of strings" : "a string or a whole number";
}

std::string unknown_key(std::string_view place, std::string_view key) {
  std::vector<std::string_view> names;
  for (const OptionRow& row : serve_option_table()) names.push_back(row.name);
  const std::string_view nearest = nearest_name(key, names);
  if (nearest.empty())
    return fmt::format("{}: unknown key '{}'; `holdfast serve --help` lists them all", place, key);
  return fmt::format("{}: unknown key '{}'; did you mean '{}'?", place, key, nearest);
}

// Appends a listener's word. A number would hide whether it is octal; what is true or false may be
// said so. False: it is none.
bool take(const toml::node& node, std::vector<std::string>& values) {
  if (const auto* text = node.as_string(); text && text->get().find(',') == std::string::npos) {
    values.push_back(text->get());
    return true;
  }
  const auto* flag = node.as_boolean();
  if (flag != nullptr) values.emplace_back(flag->get() ? "on" : "off");
  return flag != nullptr;
}

// One table of [[listeners]] as --listen takes it: "ADDRESS,setting=value,…". Empty where something
// is wrong, which is told.
std::string listener_text(std::string_view path, const toml::table& table, FileValues& result) {
  std::string address;
  std::string settings;
  for (const auto& [key, node] : table) {
    std::string name(key.str());
    std::replace(name.begin(), name.end(), '_', '-');
    const std::string place = place_of(path, key.source().begin);
    const auto known = server::listener_settings();
    const bool is_setting = std::any_of(known.begin(), known.end(),
                                        [&](const auto& setting) { return setting.name == name; });
    std::vector<std::string> values;
    const toml::array* list = node.as_array();  // of what may be given several times
    const bool are_texts = list != nullptr && is_setting
                               ? std::all_of(list->begin(), list->end(),
                                             [&](const auto& one) { return take(one, values); })
                               : take(node, values);
    if (name != "address" && !is_setting) {
      std::string names = "address";
      for (const auto& setting : known) names += fmt::format(", {}", setting.name);
      result.problems.push_back(fmt::format("{}: unknown key '{}' of a listener; there are: {}",
                                            place, key.str(), names));
    } else if (!are_texts || values.empty()) {
      result.problems.push_back(
          fmt::format("{}: {} of a listener wants a string without commas", place, name));
    } else if (name == "address") {
      address = values.front();
    } else {
      for (const std::string& value : values) settings += fmt::format(",{}={}", name, value);
    }
  }
  if (address.empty()) {
    result.problems.push_back(fmt::format("{}: a listener needs an address = \"ADDR:PORT\"",
                                          place_of(path, table.source().begin)));
    return {};
  }
  return address + settings;
}

// [[listeners]]: the option `listen`, one table for each.
std::optional<std::vector<std::string>> listener_texts(std::string_view path,
                                                       const toml::node& node, FileValues& result) {
  std::vector<std::string> texts;
  for (const toml::node& table : *node.as_array()) {
    texts.push_back(listener_text(path, *table.as_table(), result));
    if (texts.back().empty()) return std::nullopt;
  }
  return texts;
}

void read_entry(std::string_view path, const toml::key& key, const toml::node& node,
                FileValues& result) {
  const std::string place = place_of(path, key.source().begin);
  if (key.str() == "apps") return;  // apps_file.h
  const bool are_listeners = key.str() == "listeners" && node.is_array_of_tables();
  if (!are_listeners && (node.is_table() || node.is_array_of_tables())) {
    result.problems.push_back(fmt::format(
        "{}: '{}' is a table; this file has none but [[listeners]] and [[apps]], write the options "
        "as plain keys: ping-interval = \"25s\"",
        place, key.str()));
    return;
  }
  const OptionRow* row = find_serve_option(are_listeners ? "listen" : key.str());
  if (row == nullptr) {
    result.problems.push_back(unknown_key(place, key.str()));
    return;
  }
  const auto twice = std::find_if(result.values.begin(), result.values.end(),
                                  [&](const FileValue& value) { return value.name == row->name; });
  if (twice != result.values.end()) {
    result.problems.push_back(
        fmt::format("{}: {} is already given at {}", place, row->name, twice->place));
    return;
  }
  if (are_listeners) {
    if (auto texts = listener_texts(path, node, result)) {
      result.values.push_back({std::string(row->name), *std::move(texts), place});
    }
    return;
  }
  auto texts = value_texts(node);
  if (!texts || (node.is_array() && !takes_many(*row))) {
    std::ostringstream type;
    type << node.type();
    result.problems.push_back(fmt::format("{}: {} wants {}, not this {}", place, row->name,
                                          wanted_type(*row), type.str()));
    return;
  }
  result.values.push_back({std::string(row->name), *std::move(texts), place});
}

}  // namespace

Result<FileValues> parse_options_file(std::string_view text, std::string_view path) {
  FileValues result;
  try {
    const toml::table table = toml::parse(text, path);
    for (const auto& [key, node] : table) read_entry(path, key, node, result);
  } catch (const toml::parse_error& error) {
    return failure(
        fmt::format("{}: {}", place_of(path, error.source().begin), error.description()));
  }
  return result;
}

Result<FileValues> read_options_file(const std::string& path) {
  const auto unreadable = [&path](int code) {
    return failure(
        fmt::format("cannot read the configuration file {}: {}", path, std::strerror(code)), code);
  };
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return unreadable(errno);
  std::string text;
  std::array<char, 4096> piece;
  do {
    file.read(piece.data(), piece.size());
    text.append(piece.data(), static_cast<std::size_t>(file.gcount()));
  } while (file);
  if (file.bad()) return unreadable(errno);
  return parse_options_file(text, path);
}

}  // namespace holdfast::commands
