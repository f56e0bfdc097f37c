#include "commands/file_watch.h"

#include <sys/stat.h>

#include <utility>

namespace holdfast::commands {

FileWatch::FileWatch(std::vector<std::string> paths)
    : paths_(std::move(paths)), accepted_(states()), seen_(accepted_) {}

std::vector<FileWatch::State> FileWatch::states() const {
  std::vector<State> result;
  for (const std::string& path : paths_) {
    struct stat facts{};
    if (stat(path.c_str(), &facts) != 0) facts = {};  // it is missing: a state too
    result.push_back({facts.st_dev, facts.st_ino, static_cast<std::uint64_t>(facts.st_size),
                      facts.st_mtim.tv_sec, facts.st_mtim.tv_nsec});
  }
  return result;
}

bool FileWatch::look() {
  std::vector<State> present = states();
  const bool is_still = present == seen_;
  seen_ = std::move(present);
  if (!is_still || seen_ == accepted_) return false;
  accepted_ = seen_;
  return true;
}

void FileWatch::accept() { accepted_ = seen_ = states(); }

}  // namespace holdfast::commands
