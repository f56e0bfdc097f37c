#include "load/report_page.h"

#include "base/check.h"
#include "load/report_json.h"

namespace holdfast::load {
namespace {

constexpr std::string_view kPlace = "__HOLDFAST_REPORT__";

// Within a script element, "</" would end it and "<!--" would begin something else; JSON strings
// may say '<' otherwise.
std::string harmless(std::string_view json) {
  std::string result;
  result.reserve(json.size());
  for (const char c : json) {
    if (c == '<') {
      result += "\\u003c";
    } else {
      result += c;
    }
  }
  return result;
}

}  // namespace

std::string to_html(const Report& report) { return to_html(report, report_page_template()); }

std::string to_html(const Report& report, std::string_view page) {
  const std::size_t place = page.find(kPlace);
  CHECK(place != std::string_view::npos);
  std::string result(page.substr(0, place));
  result += harmless(to_page_json(report));
  result += page.substr(place + kPlace.size());
  return result;
}

}  // namespace holdfast::load
