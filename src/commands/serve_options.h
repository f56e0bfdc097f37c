#pragma once

// From the command line, the environment and a TOML file to the settings of a server: one table,
// three readers.
//
//   default  <  file  <  environment  <  command line
//
// The later one wins; all are checked.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "commands/option_row.h"
#include "commands/serve_settings.h"

namespace holdfast::commands {

// Every option of `holdfast serve`, in the order of documentation. Lives as long as the program.
std::span<const OptionRow> serve_option_table();
// The row of that name, '-' and '_' being equal; null for a stranger.
const OptionRow* find_serve_option(std::string_view name);

enum class Source : std::uint8_t { kDefault, kFile, kEnvironment, kCommandLine };

// Where a value came from. `place` is empty for a default, else "--listen", "HOLDFAST_LISTEN" or
// "holdfast.toml:3:1".
struct Origin {
  Source source = Source::kDefault;
  std::string place;
};

struct ServeInputs {
  std::map<std::string, std::vector<std::string>, std::less<>>
      command_line;  // by option name, without dashes
  std::map<std::string, std::string, std::less<>>
      environment;          // all of it; only HOLDFAST_* is looked at, empty values are not
  std::string config_path;  // --config; empty: HOLDFAST_CONFIG, else no file
};

struct ServeConfiguration {
  ServeSettings settings;
  std::string config_path;            // of the file that was read; empty: none
  std::vector<Origin> origins;        // one for each row of the table, in its order
  std::vector<std::string> warnings;  // nothing wrong, but probably not meant
};

// Reads the file and joins the three. The error has one line for each thing that is wrong, with the
// option, the value, where it stood and what would be right.
Result<ServeConfiguration> resolve_serve_options(const ServeInputs& inputs);

// The environment of this process.
std::map<std::string, std::string, std::less<>> process_environment();

}  // namespace holdfast::commands
