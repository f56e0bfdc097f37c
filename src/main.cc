#include "commands/command_line.h"

int main(int argc, char** argv) { return holdfast::commands::run(argc, argv); }
