#include "commands/report_files.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "load/report_json.h"
#include "load/report_page.h"

namespace holdfast::commands {
namespace {

tl::unexpected<Error> failed(std::string_view what, const std::string& file) {
  const int error = errno;
  return failure(fmt::format("cannot {} '{}': {}", what, file, strerrordesc_np(error)), error);
}

Result<void> write_file(const std::string& file, const std::string& text) {
  std::ofstream stream(file, std::ios::binary | std::ios::trunc);
  stream << text;
  stream.close();
  if (!stream) return failed("write", file);
  return {};
}

}  // namespace

Result<void> check_writable(const std::string& file) {
  if (file.empty()) return {};
  if (!std::ofstream(file, std::ios::binary | std::ios::app)) return failed("write", file);
  return {};
}

Result<void> write_report(const load::Report& report, const std::string& json_file,
                          const std::string& html_file) {
  if (!json_file.empty()) {
    if (auto written = write_file(json_file, load::to_json(report)); !written) return written;
  }
  if (!html_file.empty()) return write_file(html_file, load::to_html(report));
  return {};
}

Result<load::Report> read_report(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  std::stringstream text;
  if (!stream || !(text << stream.rdbuf())) return failed("read", file);
  auto report = load::report_from_json(text.str());
  if (!report) return failure(fmt::format("'{}': {}", file, report.error().message));
  return report;
}

}  // namespace holdfast::commands
