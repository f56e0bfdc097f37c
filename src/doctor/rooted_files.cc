#include "doctor/rooted_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace holdfast::doctor {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

tl::unexpected<Error> system_failure(std::string_view doing, std::string_view path, int error) {
  return failure(fmt::format("{} {}: {}", doing, path, std::strerror(error)), error);
}

}  // namespace

fs::path RootedFiles::real_path(std::string_view path) const {
  return root_ / fs::path(path).relative_path();
}

bool RootedFiles::exists(std::string_view path) const {
  std::error_code error;
  return fs::exists(real_path(path), error);
}

std::optional<std::string> RootedFiles::read(std::string_view path) const {
  const int file = ::open(real_path(path).c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  // Files of /proc have no size to be asked for: read until nothing comes.
  std::string text;
  char part[16384];
  ssize_t count = 0;
  while ((count = ::read(file, part, sizeof part)) > 0)
    text.append(part, static_cast<std::size_t>(count));
  ::close(file);
  if (count < 0) return std::nullopt;
  return text;
}

std::optional<std::vector<std::uint64_t>> RootedFiles::read_numbers(std::string_view path) const {
  const auto text = read(path);
  if (!text) return std::nullopt;
  return parse_numbers(*text);
}

std::vector<std::string> RootedFiles::list(std::string_view folder, std::string_view suffix) const {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator entry(real_path(folder), error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.ends_with(suffix)) found.push_back(fmt::format("{}/{}", folder, name));
  }
  std::sort(found.begin(), found.end());
  return found;
}

Result<void> RootedFiles::write(std::string_view path, std::string_view text) const {
  const int file = ::open(real_path(path).c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
  if (file < 0) return system_failure("open", path, errno);
  const ssize_t written = ::write(file, text.data(), text.size());
  const int error = written < 0 ? errno : EIO;
  ::close(file);
  if (written != static_cast<ssize_t>(text.size())) return system_failure("write", path, error);
  return {};
}

Result<void> RootedFiles::replace(std::string_view path, std::string_view text) const {
  const std::string beside = fmt::format("{}.new", path);
  const int file =
      ::open(real_path(beside).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return system_failure("create", beside, errno);
  ::close(file);
  auto written = write(beside, text);
  if (written && ::rename(real_path(beside).c_str(), real_path(path).c_str()) != 0) {
    written = system_failure("replace", path, errno);
  }
  if (!written) ::unlink(real_path(beside).c_str());
  return written;
}

std::vector<std::string> RootedFiles::missing_folders(std::string_view folder) const {
  std::vector<std::string> missing;
  fs::path path = "/";
  for (const fs::path& part : fs::path(folder).relative_path()) {
    path /= part;
    if (!exists(path.string())) missing.push_back(path.string());
  }
  return missing;
}

Result<void> RootedFiles::make_folders(std::string_view folder) const {
  for (const std::string& path : missing_folders(folder)) {
    if (::mkdir(real_path(path).c_str(), 0755) != 0) return system_failure("create", path, errno);
  }
  return {};
}

Result<void> RootedFiles::remove(std::string_view path) const {
  if (::unlink(real_path(path).c_str()) != 0 && errno != ENOENT) {
    return system_failure("remove", path, errno);
  }
  return {};
}

bool RootedFiles::remove_if_empty(std::string_view folder) const {
  return ::rmdir(real_path(folder).c_str()) == 0;
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> found;
  for (std::size_t at = text.find_first_not_of(kBlanks); at != std::string_view::npos;
       at = text.find_first_not_of(kBlanks, at)) {
    const std::size_t end = std::min(text.find_first_of(kBlanks, at), text.size());
    found.push_back(text.substr(at, end - at));
    at = end;
  }
  return found;
}

std::vector<std::string_view> lines(std::string_view text) {
  std::vector<std::string_view> found;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    found.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return found;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::optional<std::vector<std::uint64_t>> parse_numbers(std::string_view text) {
  std::vector<std::uint64_t> numbers;
  for (const std::string_view word : words(text)) {
    if (word == "max" || word == "unlimited" || word == "infinity") {
      numbers.push_back(kUnlimited);
      continue;
    }
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
    numbers.push_back(number);
  }
  if (numbers.empty()) return std::nullopt;
  return numbers;
}

}  // namespace holdfast::doctor
