#pragma once

// Reports in files.

#include <string>

#include "base/result.h"
#include "load/report.h"

namespace holdfast::commands {

// Whether this file can be written; asked before a run that may take hours. An empty name is no
// file, and right. What is in the file stays as it is.
Result<void> check_writable(const std::string& file);

// Writes the report as JSON and as a page, each where its name is not empty.
Result<void> write_report(const load::Report& report, const std::string& json_file,
                          const std::string& html_file);

// The error names the file.
Result<load::Report> read_report(const std::string& file);

}  // namespace holdfast::commands
