#pragma once

// A listening socket with a name in the file system: the way for a proxy on the same machine, which
// then needs no ports. SO_REUSEPORT does not spread such sockets, so all threads accept from this
// one, each through a descriptor of its own.

#include <sys/types.h>

#include <atomic>
#include <memory>
#include <string>

#include "base/result.h"

namespace holdfast::net {

// Open it before the threads take their private descriptor tables: then each of them has the
// descriptor. A thread that has its table takes its own, or drops it; the one that opened it drops
// its own when all have started. Connections wait until the last one is closed.
class UnixListener {
 public:
  // Permissions `mode` are in force before the first connection. A socket that a server left behind
  // when it died is removed; one that somebody listens on, and any other file, is an error that
  // names it.
  static Result<std::unique_ptr<UnixListener>> open(const std::string& path, mode_t mode,
                                                    int backlog);
  // Removes the name. Closes nothing.
  ~UnixListener();
  UnixListener(const UnixListener&) = delete;
  UnixListener& operator=(const UnixListener&) = delete;

  // The calling thread's own descriptor, which it closes. Once for each thread.
  int take_own() const;
  // For a thread that does not listen, after it took its table.
  void drop_own() const;
  // For the thread that opened it.
  void close() const;
  // Nobody finds it any more, and a new server may take the name. Leaves a name that is another
  // socket's by now; sure of that only while a copy of the descriptor is open somewhere. Any
  // thread, once or often.
  void remove_name();

 private:
  UnixListener(int descriptor, std::string path)
      : descriptor_(descriptor), path_(std::move(path)) {}

  const int descriptor_;
  const std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  std::atomic<bool> named_{true};
};

}  // namespace holdfast::net
