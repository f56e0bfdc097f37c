#pragma once

// What somebody probably meant by a name that does not exist.

#include <span>
#include <string_view>

namespace holdfast::commands {

// The candidate that needs the fewest edits (a character more, less, other, or swapped with its
// neighbour) to become `name`, '-' and '_' being equal; empty when none is near enough to be a slip
// of the keyboard (a third of the name's length, at most three edits). The result is a view of the
// candidate.
std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace holdfast::commands
