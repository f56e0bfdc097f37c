#include "doctor/fixes.h"

#include <fmt/format.h>

#include <algorithm>

#include "doctor/checks.h"
#include "doctor/undo_state.h"

namespace holdfast::doctor {
namespace {

std::string folder_of(std::string_view path) {
  return std::string(path.substr(0, path.rfind('/')));
}

std::string reason(const Error& error) {
  switch (error.code) {
    case EACCES:
    case EPERM:
      return error.message + " (run as root; in a container the host must do it)";
    case EROFS:
      return error.message +
             " (mounted read-only here: the host, or the container's runtime, must do it)";
    default:
      return error.message;
  }
}

// Brings the state, with one more change noted, to disk before that change is made.
bool note(UndoState& state, const RootedFiles& files, std::string_view what, Report& report) {
  const auto saved = save_undo_state(state, files);
  if (!saved)
    report.failed.push_back(fmt::format("{}: not changed, since it could not be undone: {}", what,
                                        reason(saved.error())));
  return saved.has_value();
}

void apply_value(const RuntimeValue& wanted, UndoState& state, const RootedFiles& files,
                 Report& report) {
  const auto before = files.read_numbers(wanted.path);
  if (!before) {
    report.failed.push_back(fmt::format("{}: {} cannot be read", wanted.name, wanted.path));
    return;
  }
  if (*before == wanted.values) return;
  UndoState earlier = state;
  UndoState::Value& record = state.value(wanted.path);
  if (record.name.empty()) record.before = *before;
  record.name = wanted.name;
  record.after = wanted.values;
  if (!note(state, files, wanted.name, report)) {
    state = std::move(earlier);
    return;
  }
  if (const auto written = files.write(wanted.path, numbers_text(wanted.values) + "\n"); !written) {
    report.failed.push_back(fmt::format("{} = {}: {}", wanted.name, numbers_text(wanted.values),
                                        reason(written.error())));
    earlier.folders = state.folders;
    state = std::move(earlier);
    return;
  }
  // The kernel may round or bound what it is given; undo() compares with what it made of it.
  state.value(wanted.path).after = files.read_numbers(wanted.path).value_or(wanted.values);
  report.done.push_back(fmt::format("{}: {} -> {}", wanted.name, numbers_text(*before),
                                    numbers_text(state.value(wanted.path).after)));
}

void apply_drop_in(const DropIn& wanted, UndoState& state, const RootedFiles& files,
                   Report& report) {
  const auto before = files.read(wanted.path);
  if (before == wanted.text) return;
  const UndoState earlier = state;
  const bool known =
      std::any_of(state.files.begin(), state.files.end(),
                  [&](const UndoState::File& file) { return file.path == wanted.path; });
  UndoState::File& record = state.file(wanted.path);
  if (!known) record.before = before;
  record.after = wanted.text;
  const std::string folder = folder_of(wanted.path);
  for (auto& missing : files.missing_folders(folder)) state.folders.push_back(std::move(missing));
  if (!note(state, files, wanted.path, report)) {
    state.files = earlier.files;
    return;
  }
  auto written = files.make_folders(folder);
  if (written) written = files.replace(wanted.path, wanted.text);
  if (!written) {
    report.failed.push_back(reason(written.error()));
    state.files = earlier.files;
    return;
  }
  report.done.push_back(fmt::format("wrote {}", wanted.path));
}

enum class Undone : bool { kNo, kYes };

Undone undo_value(const UndoState::Value& value, const RootedFiles& files, Report& report) {
  const auto now = files.read_numbers(value.path);
  if (now == value.before) return Undone::kYes;
  if (!files.exists(value.path)) {
    report.done.push_back(
        fmt::format("{}: gone from the kernel meanwhile, nothing to restore", value.name));
    return Undone::kYes;
  }
  if (now && *now != value.after) {
    report.done.push_back(fmt::format("{}: left at {}, which somebody set after --fix", value.name,
                                      numbers_text(*now)));
    return Undone::kYes;
  }
  if (const auto written = files.write(value.path, numbers_text(value.before) + "\n"); !written) {
    report.failed.push_back(fmt::format("{}: {}", value.name, reason(written.error())));
    return Undone::kNo;
  }
  report.done.push_back(fmt::format("{}: {} -> {}", value.name, numbers_text(value.after),
                                    numbers_text(value.before)));
  return Undone::kYes;
}

Undone undo_file(const UndoState::File& file, const RootedFiles& files, Report& report) {
  const auto now = files.read(file.path);
  if (now == file.before) return Undone::kYes;
  if (now && *now != file.after) {
    report.done.push_back(
        fmt::format("{}: left, since somebody changed it after --fix", file.path));
    return Undone::kYes;
  }
  const auto result =
      file.before ? files.replace(file.path, *file.before) : files.remove(file.path);
  if (!result) {
    report.failed.push_back(reason(result.error()));
    return Undone::kNo;
  }
  report.done.push_back(fmt::format("{} {}", file.before ? "restored" : "removed", file.path));
  return Undone::kYes;
}

}  // namespace

Report apply(const Fix& fix, const RootedFiles& files) {
  Report report;
  if (fix.runtime.empty() && fix.drop_ins.empty()) return report;
  auto state = load_undo_state(files);
  if (!state) {
    report.failed.push_back(state.error().message);
    return report;
  }
  // Tried before anything else, so that who may not write is told once.
  if (const auto saved = save_undo_state(*state, files); !saved) {
    report.failed.push_back(fmt::format("nothing was changed, since it could not be undone: {}",
                                        reason(saved.error())));
    return report;
  }
  for (const RuntimeValue& value : fix.runtime) apply_value(value, *state, files, report);
  for (const DropIn& drop_in : fix.drop_ins) apply_drop_in(drop_in, *state, files, report);
  if (state->values.empty() && state->files.empty()) {
    // Nothing came of it, but an empty state file may have.
    const Report nothing = undo(files);
    report.failed.insert(report.failed.end(), nothing.failed.begin(), nothing.failed.end());
  } else if (const auto saved = save_undo_state(*state, files); !saved) {
    report.failed.push_back(reason(saved.error()));
  }
  return report;
}

Report undo(const RootedFiles& files) {
  Report report;
  auto state = load_undo_state(files);
  if (!state) {
    report.failed.push_back(state.error().message);
    return report;
  }
  // The latest change first, as with any undo.
  std::reverse(state->values.begin(), state->values.end());
  std::erase_if(state->values, [&](const UndoState::Value& value) {
    return undo_value(value, files, report) == Undone::kYes;
  });
  std::reverse(state->values.begin(), state->values.end());
  std::erase_if(state->files, [&](const UndoState::File& file) {
    return undo_file(file, files, report) == Undone::kYes;
  });
  if (!state->values.empty() || !state->files.empty()) {
    if (const auto saved = save_undo_state(*state, files); !saved)
      report.failed.push_back(reason(saved.error()));
    return report;
  }
  if (const auto removed = files.remove(kStateFile); !removed)
    report.failed.push_back(reason(removed.error()));
  for (auto folder = state->folders.rbegin(); folder != state->folders.rend(); ++folder) {
    files.remove_if_empty(*folder);
  }
  return report;
}

}  // namespace holdfast::doctor
