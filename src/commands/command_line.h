#pragma once

namespace holdfast::commands {

// The program: reads argv, runs the subcommand, returns the exit code of the process. 0: done; 1:
// tried and failed; 2: asked for wrongly, with lines on standard error that name what was wrong and
// the remedy.
int run(int argc, char** argv);

}  // namespace holdfast::commands
