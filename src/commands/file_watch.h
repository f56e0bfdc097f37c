#pragma once

// Sees that files were replaced or written to, by looking at them now and then. Names are followed
// through links, as certificates are often changed by moving one.

#include <cstdint>
#include <string>
#include <vector>

namespace holdfast::commands {

class FileWatch {
 public:
  // As they are now is how they should be.
  explicit FileWatch(std::vector<std::string> paths);

  bool is_idle() const { return paths_.empty(); }
  // Whether they are another state than they should be, and were so at the last look already: who
  // writes two files, or half of one, is given the time between two looks. Said once for a state.
  bool look();
  // As they are now is how they should be.
  void accept();

 private:
  struct State {
    std::uint64_t device, inode, size;
    std::int64_t changed_seconds, changed_nanoseconds;
    bool operator==(const State&) const = default;
  };
  std::vector<State> states() const;

  std::vector<std::string> paths_;
  std::vector<State> accepted_, seen_;
};

}  // namespace holdfast::commands
