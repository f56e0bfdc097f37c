#pragma once

// holdfast.toml: flat keys, named like the flags, with '-' or '_'. Only listeners may be tables:
// [[listeners]], with an address and its settings, is `listen` in another form. [[apps]] are not
// options: see apps_file.h.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace holdfast::commands {

struct FileValue {
  std::string name;                // of the option, with '-'
  std::vector<std::string> texts;  // as on the command line; several for an array
  std::string place;               // "holdfast.toml:3:1"
};

struct FileValues {
  std::vector<FileValue> values;
  std::vector<std::string> problems;  // unknown keys, keys given twice, values of a wrong type: one
                                      // line each, with its place
};

// `path` is for messages only. The error is a line that says where the text stops being TOML.
Result<FileValues> parse_options_file(std::string_view text, std::string_view path);
// The same from a file; the error names it and says why it cannot be read.
Result<FileValues> read_options_file(const std::string& path);

}  // namespace holdfast::commands
