// Any bytes as a configuration file: what is read without a complaint can be written down and read
// again, and is the same.

#include <string>
#include <variant>
#include <vector>

#include "base/check.h"
#include "commands/options_file.h"
#include "commands/serve_options.h"

using namespace holdfast::commands;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto file = parse_options_file(text, "fuzzed.toml");
  if (!file) {
    CHECK(file.error().message.starts_with("fuzzed.toml:"));
    return 0;
  }
  for (const std::string& problem : file->problems) CHECK(problem.starts_with("fuzzed.toml:"));
  for (const FileValue& value : file->values) {
    const OptionRow* row = find_serve_option(value.name);
    CHECK(row != nullptr);
    // Names would be looked up in the network.
    if (std::holds_alternative<Addresses>(row->kind) ||
        std::holds_alternative<AddressOrOff>(row->kind))
      continue;
    ServeSettings settings;
    if (const auto read = read_option(*row, value.texts, settings); !read) {
      CHECK(!read.error().message.empty());
      continue;
    }
    const std::vector<std::string> texts = option_texts(*row, settings);
    ServeSettings again;
    CHECK(read_option(*row, texts, again));
    CHECK(option_texts(*row, again) == texts);
  }
  return 0;
}
