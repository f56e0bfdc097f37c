#pragma once

// Peers that misbehave on purpose: those that vanish without a word, and those that stop reading. A
// loop reads whatever comes and answers for its sockets, so these have plain sockets of their own,
// on a thread of their own that opens them, lets them be, and watches when the server has had
// enough.
//
//   silent  the socket's filter drops every segment that arrives: no ACK, no RST, no FIN; an
//           unplugged machine
//   mute    the kernel still acknowledges, nobody answers; a hung program
//   slow    the smallest receive buffer, and nobody reads

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "client/target.h"
#include "load/baton.h"
#include "load/live_counters.h"
#include "load/load_options.h"
#include "load/odd_opening.h"
#include "load/pacer.h"
#include "load/report.h"
#include "load/server_side.h"
#include "load/source_plan.h"

namespace holdfast::load {

enum class Oddity : std::uint8_t { kSilent, kMute, kSlow };
std::string_view name(Oddity oddity);

struct OddCrewPlan {
  const LoadOptions* options;
  const client::Target* target;
  const SourcePlan* sources;
  Oddity oddity = Oddity::kSilent;
  std::uint64_t first_ordinal = 0;  // of the run's connections
  std::uint32_t count = 0;
  std::shared_ptr<const protocol::TlsClientContext> tls;  // wss://; null: ws://
  double rate = 0;                                        // opens a second; 0: no pace
  bool talks = false;                                     // slow: sends echo messages all the same
};

struct OddCrewOutcome {
  std::uint64_t opened = 0;
  Reasons refused;
  TlsFacts tls;
  std::uint64_t dropped = 0;
  Histogram dropped_after;
  Instant last_answer;
};

class OddCrew {
 public:
  // All that the plan points to, and the references, must outlive it. Call on a thread with a
  // descriptor table of its own.
  OddCrew(const OddCrewPlan& plan, const Baton& baton, LiveCounters& live);
  ~OddCrew();
  OddCrew(const OddCrew&) = delete;
  OddCrew& operator=(const OddCrew&) = delete;

  // Follows the baton to its end.
  OddCrewOutcome run();

 private:
  struct Peer {
    int descriptor;  // -1 once the server has dropped it
    net::Address local;
    Instant last_byte;
    std::uint64_t said;  // messages
    // wss, of those that talk: what seals for it, and what was sealed and is not sent yet.
    std::unique_ptr<protocol::TlsCodec> codec = nullptr;
    std::vector<std::byte> sealed = {};
  };

  void begin_due(Instant now);
  void go_on_opening(Instant now);
  void opened(OddOpening& attempt);
  void refused(std::string_view reason);
  std::string request_of(std::uint64_t ordinal) const;
  Instant watch();
  bool is_dropped(const Peer& peer) const;
  void talk(Instant since);
  bool say(Peer& peer);
  void leave();
  void publish_live(Baton::Step step);

  OddCrewPlan plan_;
  const Baton& baton_;
  LiveCounters& live_;
  OddCrewOutcome outcome_;
  ServerSide server_side_;
  protocol::TlsEngine engine_;  // outlives those it works for
  std::vector<OddOpening> attempts_;
  std::vector<Peer> peers_;
  std::vector<std::byte> frame_;  // a masked message, for those that talk
  std::optional<Pacer> pacer_;
  std::uint32_t tried_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace holdfast::load
