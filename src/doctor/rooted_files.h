#pragma once

// The file system as the doctor sees it: every path is looked up below a root folder, so that a
// test hands it a made-up machine and an image can be tuned from outside.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace holdfast::doctor {

// Paths are absolute, as on the machine described ("/proc/sys/fs/nr_open"). Blocking; any thread.
class RootedFiles {
 public:
  explicit RootedFiles(std::filesystem::path root = "/") : root_(std::move(root)) {}

  // True when this is the machine we run on, and no copy of one.
  bool is_this_machine() const { return root_ == "/"; }
  std::filesystem::path real_path(std::string_view path) const;

  bool exists(std::string_view path) const;
  // The whole file; nothing when it does not exist or may not be read.
  std::optional<std::string> read(std::string_view path) const;
  // The whole numbers a file consists of, separated by blanks; nothing when it holds anything else.
  // "max" and "unlimited" are kUnlimited.
  std::optional<std::vector<std::uint64_t>> read_numbers(std::string_view path) const;
  // Full paths of the files of a folder whose names end with `suffix`, in the order of their names.
  std::vector<std::string> list(std::string_view folder, std::string_view suffix) const;

  // Replaces what a file holds, in place, as /proc/sys wants it. Error: the errno, told in words.
  Result<void> write(std::string_view path, std::string_view text) const;
  // Replaces a file as a whole, by way of a new file beside it: a reader sees the old one or the
  // new one.
  Result<void> replace(std::string_view path, std::string_view text) const;
  // Those of a folder and the folders above it that do not exist, outermost first.
  std::vector<std::string> missing_folders(std::string_view folder) const;
  // Creates a folder and those above it.
  Result<void> make_folders(std::string_view folder) const;
  // Removes a file; one that is not there is no error.
  Result<void> remove(std::string_view path) const;
  // Removes a folder if it is empty; tells whether it did.
  bool remove_if_empty(std::string_view folder) const;

 private:
  std::filesystem::path root_;
};

inline constexpr std::uint64_t kUnlimited = UINT64_MAX;

// The whole numbers of a text separated by blanks, "max" and "unlimited" being kUnlimited; nothing
// when it holds anything else, or is empty.
std::optional<std::vector<std::uint64_t>> parse_numbers(std::string_view text);
// The words of a text separated by blanks.
std::vector<std::string_view> words(std::string_view text);
// The lines of a text, without their ends.
std::vector<std::string_view> lines(std::string_view text);
std::string_view trimmed(std::string_view text);

}  // namespace holdfast::doctor
