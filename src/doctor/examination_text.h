#pragma once

// An examination as people and programs read it.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "doctor/needs.h"

namespace holdfast::doctor {

std::string_view name_of(Role role);        // "server", "load", "both"
std::string_view name_of(Verdict verdict);  // "ok", "advice", "LOW", "can't tell", "not needed"

// A table with one paragraph for each check, at most 100 columns wide, and the verdict on the whole
// at its end.
std::string to_text(const Examination& examination, const Facts& facts);
// {"connections", "role", "workers", "fits", "checks": [{"name", "value", "need", "verdict", "why",
// "mend"}]}
nlohmann::json to_json(const Examination& examination);

// Text broken at blanks into lines of at most `width` bytes, each after `indent` blanks.
std::string wrapped(std::string_view text, std::size_t indent, std::size_t width);

}  // namespace holdfast::doctor
