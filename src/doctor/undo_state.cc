#include "doctor/undo_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "doctor/fixes.h"

namespace holdfast::doctor {
namespace {

constexpr int kVersion = 1;

template <class Record>
Record& find_or_add(std::vector<Record>& records, const std::string& path) {
  const auto found = std::find_if(records.begin(), records.end(),
                                  [&](const Record& record) { return record.path == path; });
  if (found != records.end()) return *found;
  records.push_back({});
  records.back().path = path;
  return records.back();
}

UndoState from_json(const nlohmann::json& json) {
  UndoState state;
  for (const auto& value : json.at("values")) {
    state.values.push_back(
        {value.at("path"), value.at("name"), value.at("before"), value.at("after")});
  }
  for (const auto& file : json.at("files")) {
    const auto& before = file.at("before");
    state.files.push_back({file.at("path"),
                           before.is_null() ? std::nullopt : std::optional<std::string>(before),
                           file.at("after")});
  }
  state.folders = json.at("folders").get<std::vector<std::string>>();
  return state;
}

nlohmann::json to_json(const UndoState& state) {
  nlohmann::json json = {{"version", kVersion},
                         {"values", nlohmann::json::array()},
                         {"files", nlohmann::json::array()},
                         {"folders", state.folders}};
  for (const auto& value : state.values) {
    json["values"].push_back({{"path", value.path},
                              {"name", value.name},
                              {"before", value.before},
                              {"after", value.after}});
  }
  for (const auto& file : state.files) {
    const nlohmann::json before =
        file.before ? nlohmann::json(*file.before) : nlohmann::json(nullptr);
    json["files"].push_back({{"path", file.path}, {"before", before}, {"after", file.after}});
  }
  return json;
}

}  // namespace

UndoState::Value& UndoState::value(const std::string& path) { return find_or_add(values, path); }
UndoState::File& UndoState::file(const std::string& path) { return find_or_add(files, path); }

Result<UndoState> load_undo_state(const RootedFiles& files) {
  const auto text = files.read(kStateFile);
  if (!text) {
    if (files.exists(kStateFile)) return failure(fmt::format("{} may not be read", kStateFile));
    return UndoState{};
  }
  // The library throws; the exception ends here.
  try {
    return from_json(nlohmann::json::parse(*text));
  } catch (const nlohmann::json::exception& error) {
    return failure(
        fmt::format("{} is damaged ({}); mend it or remove it", kStateFile, error.what()));
  }
}

Result<void> save_undo_state(UndoState& state, const RootedFiles& files) {
  const std::string_view folder = kStateFile.substr(0, kStateFile.rfind('/'));
  for (auto& missing : files.missing_folders(folder)) state.folders.push_back(std::move(missing));
  if (auto made = files.make_folders(folder); !made) return made;
  return files.replace(kStateFile, to_json(state).dump(2) + "\n");
}

}  // namespace holdfast::doctor
