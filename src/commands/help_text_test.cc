#include "commands/help_text.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <sstream>

namespace holdfast::commands {
namespace {

TEST(HelpText, BreaksAtSpacesAndIndentsWhatFollows) {
  const std::string text = wrapped(std::string(60, 'a') + " " + std::string(60, 'b'), 4);
  EXPECT_EQ(text, std::string(60, 'a') + "\n    " + std::string(60, 'b'));
}

TEST(HelpText, KeepsWordsThatAreLongerThanALine) {
  EXPECT_EQ(wrapped(std::string(300, 'x'), 10), std::string(300, 'x'));
}

TEST(HelpText, KeepsLineEnds) {
  EXPECT_EQ(wrapped("one\ntwo three", 2), "one\n  two three");
  EXPECT_EQ(wrapped("", 2), "");
}

TEST(HelpText, PutsTheTextOfALongOptionOnALineOfItsOwn) {
  EXPECT_EQ(help_entry("--io HOW", "How."), "  --io HOW                    How.\n");
  EXPECT_EQ(help_entry("--connections-per-ip-max N|off", "How."),
            "  --connections-per-ip-max N|off\n                              How.\n");
}

TEST(HelpText, CommandsLookAlike) {
  CLI::App app;
  app.name("holdfast");
  app.formatter(help_formatter());
  CLI::App* command = app.add_subcommand("load", "Open many");
  std::string url;
  std::string io;
  command->add_option("URL", url, "What to load.")->required();
  command->add_option("--io", io, "How bytes " + std::string(200, 'x') + " reach")
      ->type_name("HOW")
      ->envname("HOLDFAST_LOAD_IO");
  command->footer("Exit code: 0.");
  const std::string help = command->help("holdfast");
  EXPECT_EQ(help.substr(0, help.find("Positionals")),
            "Open many\n\nUsage: holdfast load [OPTIONS] URL\n\n");
  EXPECT_NE(help.find("  --io HOW                    How bytes"), std::string::npos) << help;
  EXPECT_NE(help.find("reach [HOLDFAST_LOAD_IO]\n"), std::string::npos) << help;
  EXPECT_EQ(help.substr(help.size() - 15), "\nExit code: 0.\n");
}

}  // namespace
}  // namespace holdfast::commands
