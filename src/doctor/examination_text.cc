#include "doctor/examination_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"

namespace holdfast::doctor {
namespace {

constexpr std::size_t kWidth = 100;

std::size_t count(const Examination& examination, Verdict verdict) {
  return static_cast<std::size_t>(
      std::count_if(examination.checks.begin(), examination.checks.end(),
                    [&](const Check& check) { return check.verdict == verdict; }));
}

std::string row(std::string_view name, std::string_view value, std::string_view need,
                std::string_view verdict) {
  return fmt::format("{:<32} {:<24} {:<26} {}\n", name, value, need, verdict);
}

std::string conclusion(const Examination& examination) {
  const std::size_t low = count(examination, Verdict::kLow);
  const std::size_t advice = count(examination, Verdict::kAdvice);
  std::string text = fmt::format("{} connections {}", format_count(examination.demand.connections),
                                 low == 0 ? "fit" : "do not fit");
  if (low != 0) text += fmt::format(": {} {} too low", low, low == 1 ? "value is" : "values are");
  if (const auto wrong = count(examination, Verdict::kWrong); wrong != 0)
    text += fmt::format("; {} cannot be used", wrong);
  if (advice != 0) text += fmt::format("; {} could be better", advice);
  if (const auto unknown = count(examination, Verdict::kUnknown); unknown != 0) {
    text += fmt::format("; {} cannot be told", unknown);
  }
  return text + ".\n";
}

}  // namespace

std::string_view name_of(Role role) {
  switch (role) {
    case Role::kServer:
      return "server";
    case Role::kLoad:
      return "load";
    case Role::kBoth:
      return "both";
  }
  return "";
}

std::string_view name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kAdvice:
      return "advice";
    case Verdict::kLow:
      return "LOW";
    case Verdict::kWrong:
      return "WRONG";
    case Verdict::kUnknown:
      return "can't tell";
    case Verdict::kNotNeeded:
      return "not needed";
  }
  return "";
}

std::string wrapped(std::string_view text, std::size_t indent, std::size_t width) {
  std::string result;
  std::size_t column = width;  // so that the first word opens a line
  for (const std::string_view word : words(text)) {
    if (column + 1 + word.size() > width) {
      if (!result.empty()) result += '\n';
      result.append(indent, ' ');
      column = indent;
    } else {
      result += ' ';
      ++column;
    }
    result += word;
    column += word.size();
  }
  return result.empty() ? result : result + '\n';
}

std::string to_text(const Examination& examination, const Facts& facts) {
  std::string text = fmt::format(
      "{} connections, role {}, {} workers; {} CPU{}, Linux {}\n\n",
      format_count(examination.demand.connections), name_of(examination.demand.role),
      format_count(examination.workers), facts.cpus, facts.cpus == 1 ? "" : "s", facts.kernel);
  text += row("check", "value", "need", "verdict");
  for (const Check& check : examination.checks) {
    text += row(check.name, check.value, check.need, name_of(check.verdict));
    text += wrapped(check.why, 4, kWidth);
    if (!check.mend.empty()) text += wrapped("mend: " + check.mend, 4, kWidth);
  }
  return text + '\n' + conclusion(examination);
}

nlohmann::json to_json(const Examination& examination) {
  nlohmann::json json = {{"connections", examination.demand.connections},
                         {"role", name_of(examination.demand.role)},
                         {"workers", examination.workers},
                         {"fits", examination.fits()},
                         {"checks", nlohmann::json::array()}};
  for (const Check& check : examination.checks) {
    json["checks"].push_back(
        {{"name", check.name},
         {"value", check.value},
         {"need", check.need},
         {"verdict", check.verdict == Verdict::kLow     ? "low"
                     : check.verdict == Verdict::kWrong ? "wrong"
                                                        : name_of(check.verdict)},
         {"why", check.why},
         {"mend", check.mend}});
  }
  return json;
}

}  // namespace holdfast::doctor
