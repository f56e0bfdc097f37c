#pragma once

// What an operator asks about connections one by one: who is on, who waits, who is silent. Each
// worker looks among its own; an idle peer is not touched for it and costs nothing more.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "holdfast/peer.h"

namespace holdfast::server {

enum class SurveySort : std::uint8_t {
  kQueued,  // the most bytes waiting first
  kSilent,  // the longest not heard of first
};

struct SurveyOrder {
  std::size_t connections_max = 100;  // rows wanted
  SurveySort sort = SurveySort::kQueued;
  std::size_t topics_max = 0;  // the largest topics wanted
};

struct ConnectionRow {
  PeerId id;
  // Since its handler asked for its id, as that of channel clients does when they open; else since
  // it was first told of here. Nothing the first time.
  std::optional<Duration> known_for;
  std::string address;  // "192.0.2.7:41234"
  std::string path;     // as routed: "/topics/*"
  bool is_open;         // false: a close handshake is under way
  bool deflates;
  std::uint64_t queued_bytes;       // waiting in this process
  std::vector<std::string> topics;  // the first kTopicsShown of them
  std::size_t topic_count;
  // What TCP says of it (tcp(7), TCP_INFO), where it is TCP.
  std::optional<std::uint64_t> received_bytes, sent_bytes;  // sent: and acknowledged
  std::optional<Duration> silent_for;                       // since the last byte came
  std::optional<Duration> round_trip;                       // smoothed
};
constexpr std::size_t kTopicsShown = 8;

struct TopicRow {
  std::string name;
  std::uint64_t subscribers;
};

struct Survey {
  std::vector<ConnectionRow> connections;  // in the order asked for
  std::vector<TopicRow> topics;            // largest first
  std::size_t workers_missing = 0;         // did not answer in time
};

// The first `most` rows that `order` asks for, of those in `rows`, in its order.
void keep_first(std::vector<ConnectionRow>& rows, const SurveyOrder& order);
// The same topics, found by several workers, as one; the largest `most` of them, largest first.
void keep_largest(std::vector<TopicRow>& topics, std::size_t most);

}  // namespace holdfast::server
