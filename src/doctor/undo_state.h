#pragma once

// What --fix changed, so that --undo can take it back: a JSON file, written before each change.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "doctor/rooted_files.h"

namespace holdfast::doctor {

struct UndoState {
  struct Value {
    std::string path;
    std::string name;
    std::vector<std::uint64_t> before;  // as it was before the first change
    std::vector<std::uint64_t> after;   // as the latest change left it
  };
  struct File {
    std::string path;
    std::optional<std::string>
        before;  // its text before the first change; nothing when it did not exist
    std::string after;
  };
  std::vector<Value> values;
  std::vector<File> files;
  std::vector<std::string> folders;  // made for the files and for the state file, outermost first

  // The record of a path, made when there is none.
  Value& value(const std::string& path);
  File& file(const std::string& path);
};

// The state as recorded; an empty one when there is no state file. Error: the file is there but
// unreadable.
Result<UndoState> load_undo_state(const RootedFiles& files);
// Records it, making the state file's folder and noting that in the state.
Result<void> save_undo_state(UndoState& state, const RootedFiles& files);

}  // namespace holdfast::doctor
