#pragma once

// What happened in a run, in order. The hash of it all says whether two runs were the same; the
// last events are kept, to be shown when something is wrong.

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace holdfast::simulator {

// `a` and `b` of a note mean what stands here.
enum class What : std::uint8_t {
  kConnect,       // a peer asks for a connection
  kAccept,        // a: descriptor
  kAcceptFailed,  // a: errno
  kDeliver,       // the worker reads; a: bytes, b: bytes left
  kEndTold,       // the worker learns that the peer is gone; a: errno
  kWritable,      // the worker learns that there is room
  kSend,          // a: bytes offered, b: bytes taken
  kSendFailed,    // a: errno
  kShutdown,      // the worker ends its side
  kClose,         // the worker closes; a: descriptor, b: bytes it left unread
  kReset,         // the worker resets; a: descriptor
  kTurn,          // a: completions, b: microseconds since the run began
  kArrive,        // bytes of the peer reach the server; a: bytes
  kPeerReads,     // a: bytes
  kPeerSays,      // a: the kind of message, b: its number
  kPeerEnds,      // the peer's FIN leaves
  kPeerResets,    //
  kPeerVanishes,  // no FIN, no reading any more
  kOpened,        // the handler's open()
  kEnded,         // the handler's close(); a: code
  kSubscribe,     // a: topic
  kUnsubscribe,   // a: topic
  kPublish,       // a: number, b: topic
  kRefusedMail,   // a mailbox was full; a: number
  kDrain,         //
  kJump,          // nobody ran for a while; a: milliseconds
  kCalm,          // the faults end
};

class Trace {
 public:
  // `live`: every event is printed to stdout as it happens.
  explicit Trace(bool live) : live_(live) {}

  // `worker` and `link` are -1 where there is none.
  void note(Instant at, What what, int worker, int link, std::int64_t a = 0, std::int64_t b = 0);
  // What helps whoever reads a live trace, and is no event.
  template <class... Arguments>
  void print(fmt::format_string<Arguments...> format, Arguments&&... arguments) const {
    if (live_) fmt::print("    {}\n", fmt::format(format, std::forward<Arguments>(arguments)...));
  }
  // Something that must not be. The first one counts; the run ends at it.
  void fail(std::string what);

  bool failed() const { return !failure_.empty(); }
  const std::string& failure() const { return failure_; }
  std::uint64_t hash() const { return hash_; }
  std::uint64_t events() const { return events_; }
  // The last of them, one a line.
  std::string last() const;

 private:
  struct Note {
    Instant at;
    std::int64_t a, b;
    int link;
    std::int8_t worker;
    What what;
  };
  static constexpr std::size_t kKept = 256;
  static std::string tell(const Note& note);

  std::array<Note, kKept> kept_;
  std::uint64_t events_ = 0;
  std::uint64_t hash_ = 0;
  std::string failure_;
  bool live_;
};

}  // namespace holdfast::simulator
