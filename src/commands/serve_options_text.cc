#include "commands/serve_options_text.h"

#include <fmt/format.h>

#include <string_view>

#include "commands/help_text.h"
#include "server/listener_spec.h"

namespace holdfast::commands {
namespace {

std::string joined(const std::vector<std::string>& texts) {
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string default_text(const OptionRow& row) {
  const std::string text = joined(option_texts(row, ServeSettings{}));
  return text.empty() ? "none" : text;
}

// A TOML basic string; the values of options hold no control characters (addresses, words,
// numbers).
std::string toml_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result.push_back('\\');
    result.push_back(c);
  }
  return result + "\"";
}

// Whole numbers and truth stand bare, as TOML has them.
std::string toml_scalar(const OptionRow& row, const std::string& text) {
  const bool number = std::holds_alternative<Quantity>(row.kind) &&
                      text.find_first_not_of("0123456789") == std::string::npos;
  return number || is_flag(row) ? text : toml_string(text);
}

std::string row_help(const OptionRow& row) {
  const std::string placeholder = value_placeholder(row);
  const std::string bounds = bounds_text(row);
  std::string text = fmt::format("{} [{}", row.help, default_text(row));
  if (!bounds.empty()) text += "; " + bounds;
  return help_entry(fmt::format("--{} {}", row.name, placeholder), text + "]");
}

// "on|off" as "`on`, `off`": a bar would end the cell.
std::string words_markdown(std::string_view words) {
  std::string text;
  while (true) {
    const std::size_t bar = words.find('|');
    text += fmt::format("{}`{}`", text.empty() ? "" : ", ", words.substr(0, bar));
    if (bar == std::string_view::npos) return text;
    words.remove_prefix(bar + 1);
  }
}

// What may stand behind an address.
std::string listener_markdown() {
  std::string text =
      "Settings of one listener stand behind its address, with commas: `--listen "
      "0.0.0.0:8080,proxy=v2,unix:/run/holdfast/holdfast.sock,mode=0660`.\nIn the file they may "
      "also be keys of a table each:\n\n"
      "```toml\n[[listeners]]\naddress = \"0.0.0.0:8080\"\nproxy = \"v2\"\n\n[[listeners]]\n"
      "address = \"unix:/run/holdfast/holdfast.sock\"\nmode = \"0660\"\n```\n\n"
      "| setting | values | default | |\n|---|---|---|---|\n";
  for (const server::ListenerSetting& setting : server::listener_settings()) {
    text += fmt::format(
        "| `{}` | {} | {} | {}{} |\n", setting.name, words_markdown(setting.values),
        setting.fallback.empty() ? "the option's" : fmt::format("`{}`", setting.fallback),
        setting.help,
        setting.bare.empty() ? "" : fmt::format(" The name alone means `{}`.", setting.bare));
  }
  return text + "\n";
}

std::string row_markdown(const OptionRow& row) {
  const std::string placeholder = value_placeholder(row);
  std::string flag = placeholder.empty() ? fmt::format("--{}", row.name)
                                         : fmt::format("--{} {}", row.name, placeholder);
  std::string text =
      fmt::format("### `{}`\n\n{}\n\n- Default: `{}`\n", flag, row.help, default_text(row));
  if (const std::string bounds = bounds_text(row); !bounds.empty()) {
    text += fmt::format("- Bounds: {}; {}.\n", bounds, row.reason);
  }
  const std::string value = is_flag(row) ? "true"
                            : is_secret(row)
                                ? toml_string("...")
                                : toml_scalar(row, option_texts(row, ServeSettings{}).front());
  text += fmt::format("- Elsewhere: `{}` in the environment, `{} = {}` in the file\n\n",
                      environment_name(row), row.name, takes_many(row) ? "[" + value + "]" : value);
  if (std::holds_alternative<Addresses>(row.kind)) text += listener_markdown();
  if (const auto* quantity = std::get_if<Quantity>(&row.kind);
      quantity != nullptr && !quantity->presets.empty()) {
    text += "| preset | gives | because |\n|---|---|---|\n";
    for (const Preset& preset : quantity->presets) {
      ServeSettings settings;
      if (!read_option(row, {std::string(preset.word)}, settings)) continue;
      text += fmt::format("| `{}` | `{}` | {} |\n", preset.word,
                          joined(option_texts(row, settings)), preset.reason);
    }
    text += "\n";
  }
  return text;
}

std::string toml_value(const OptionRow& row, const ServeSettings& settings) {
  const std::vector<std::string> texts = option_texts(row, settings);
  if (!takes_many(row)) return toml_scalar(row, texts.front());
  std::vector<std::string> elements;
  for (const std::string& text : texts) elements.push_back(toml_string(text));
  return "[" + joined(elements) + "]";
}

std::string origin_text(const Origin& origin) {
  switch (origin.source) {
    case Source::kDefault:
      return "default";
    case Source::kFile:
      return origin.place;
    case Source::kEnvironment:
      return "environment: " + origin.place;
    case Source::kCommandLine:
      return "command line: " + origin.place;
  }
  return {};
}

// Calls `heading` where a new group begins and `entry` for every row.
template <class Heading, class Entry>
void for_each_row(Heading heading, Entry entry) {
  std::string_view group;
  for (const OptionRow& row : serve_option_table()) {
    if (row.group != group) heading(group = row.group);
    entry(row);
  }
}

}  // namespace

std::string serve_help() {
  std::string text =
      "holdfast serve: hold WebSocket connections, and ping them so that they stay\n"
      "\n"
      "Usage: holdfast serve [OPTIONS]\n"
      "\n"
      "Every option may also stand in a TOML file (ping-interval = \"25s\") or in the environment\n"
      "(HOLDFAST_PING_INTERVAL=25s). The command line wins over the environment, that over the "
      "file.\n"
      "In brackets: the default, and the bounds; docs/options.md has their reasons.\n"
      "\n";
  text += help_entry("--config FILE", "TOML file to read options from [none; HOLDFAST_CONFIG]");
  text += help_entry(
      "--print-config",
      "Print the configuration in force as TOML, with where each value came from, and exit");
  text += help_entry("-h, --help", "Print this and exit");
  for_each_row([&](std::string_view group) { text += fmt::format("\n{}\n", group); },
               [&](const OptionRow& row) { text += row_help(row); });
  text +=
      "\n"
      "Endpoints: / holds a connection, /echo answers, /topics/<name> subscribes; POST "
      "/topics/<name> publishes.\n"
      "Signals: SIGTERM or SIGINT drains and exits 0; a second one ends at once with exit code "
      "1.\n";
  return text;
}

std::string serve_options_markdown() {
  std::string text =
      "# Options of `holdfast serve`\n"
      "\n"
      "Written by `holdfast docs options`, from the table that the program reads its options with; "
      "a test compares the two.\n"
      "\n"
      "Every option can be given in three places. The later one wins, and all of them are "
      "checked:\n"
      "\n"
      "1. a TOML file, named by `--config FILE` or `HOLDFAST_CONFIG`: plain keys named like the "
      "flags, with `-` or `_`;\n"
      "2. the environment: `HOLDFAST_` and the name in capitals with `_`; an empty variable counts "
      "as not given;\n"
      "3. the command line.\n"
      "\n"
      "`holdfast serve --print-config` prints the configuration in force with where each value "
      "came from, in a form that `--config`\n"
      "takes. Units are part of a value: times are written `250ms`, `25s`, `5m`, `1h`, sizes "
      "`512`, `64KiB`, `1MiB`, `2GiB`, counts\n"
      "`600000`, `600_000`, `600k`, `1.5M`.\n"
      "\n";
  for_each_row([&](std::string_view group) { text += fmt::format("## {}\n\n", group); },
               [&](const OptionRow& row) { text += row_markdown(row); });
  text.pop_back();
  return text;
}

std::string configuration_toml(const ServeConfiguration& configuration) {
  std::string text = "# The configuration in force; behind each value, where it came from.\n";
  std::size_t index = 0;
  for_each_row([&](std::string_view group) { text += fmt::format("\n# {}\n", group); },
               [&](const OptionRow& row) {
                 const std::string origin = origin_text(configuration.origins[index++]);
                 const bool hidden =
                     is_secret(row) && !option_texts(row, configuration.settings).front().empty();
                 if (hidden) {
                   text += fmt::format("# {} is set, and not shown  # {}\n", row.name, origin);
                   return;
                 }
                 text += fmt::format(
                     "{:<44}  # {}\n",
                     fmt::format("{} = {}", row.name, toml_value(row, configuration.settings)),
                     origin);
               });
  return text;
}

}  // namespace holdfast::commands
