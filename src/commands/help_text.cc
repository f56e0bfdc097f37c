#include "commands/help_text.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

namespace holdfast::commands {
namespace {

class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_description(const CLI::App* app) const override {
    return wrapped(app->get_description(), 0) + "\n\n";
  }

  std::string make_usage(const CLI::App* app, std::string name) const override {
    std::string text = "Usage: " + name;
    if (!app->get_options([](const CLI::Option* option) { return option->nonpositional(); })
             .empty()) {
      text += " [OPTIONS]";
    }
    for (const CLI::Option* positional :
         app->get_options([](const CLI::Option* option) { return option->get_positional(); })) {
      text += " " + make_option_usage(positional);
    }
    return text + "\n";
  }

  std::string make_option(const CLI::Option* option, bool is_positional) const override {
    std::string left = make_option_name(option, is_positional);
    const bool takes_value = option->get_type_size() != 0 && !is_positional;
    if (takes_value) left += " " + option->get_type_name();
    std::string text = make_option_desc(option);
    if (const std::string environment = option->get_envname(); !environment.empty()) {
      text += fmt::format(" [{}]", environment);
    }
    return help_entry(left, text);
  }

  std::string make_footer(const CLI::App* app) const override {
    const std::string footer = app->get_footer();
    return footer.empty() ? "" : wrapped(footer, 0) + "\n";
  }
};

}  // namespace

std::string wrapped(std::string_view text, std::size_t indent) {
  std::string result;
  std::size_t column = indent;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(" \n"), text.size());
    const std::string_view word = text.substr(0, end);
    const bool line_ends = end < text.size() && text[end] == '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
    if (column + word.size() > kHelpColumns && column > indent) {
      result.back() = '\n';
      result.append(indent, ' ');
      column = indent;
    }
    result.append(word).push_back(line_ends ? '\n' : ' ');
    column += word.size() + 1;
    if (!line_ends) continue;
    result.append(text.empty() ? 0 : indent, ' ');
    column = indent;
  }
  if (!result.empty()) result.pop_back();
  return result;
}

std::string help_entry(std::string_view left, std::string_view text) {
  std::string entry = fmt::format("  {}", left);
  if (entry.size() + 2 > kHelpIndent) {
    entry += '\n';
    entry.append(kHelpIndent, ' ');
  } else {
    entry.resize(kHelpIndent, ' ');
  }
  return entry + wrapped(text, kHelpIndent) + "\n";
}

std::shared_ptr<CLI::FormatterBase> help_formatter() { return std::make_shared<HelpFormatter>(); }

}  // namespace holdfast::commands
