#include "simulator/scenario.h"

#include <array>

namespace holdfast::simulator {
namespace {

using std::chrono::milliseconds;

template <class T, std::size_t size>
T pick(Random& random, const std::array<T, size>& choices) {
  return choices[random.below(size)];
}

Odds draw_odds(Random& random) {
  Odds odds{};
  if (random.chance(15)) return odds;  // a calm run
  const auto often = [&random](unsigned most) {
    return random.chance(50) ? 0u : static_cast<unsigned>(random.between(1, most));
  };
  odds.accept_fails = often(20);
  odds.short_read = often(90);
  odds.short_write = often(60);
  odds.stale_completion = often(50);
  odds.send_dies = often(20);
  odds.jump = often(20);
  odds.idle_turn = often(20);
  odds.slow_peer = often(60);
  odds.deaf_peer = often(20);
  odds.vanishing_peer = often(20);
  odds.broken_peer = often(40);
  return odds;
}

server::WorkerSettings draw_settings(Random& random) {
  server::WorkerSettings settings{};
  settings.ping_interval = pick(random, std::array{milliseconds(0), milliseconds(200),
                                                   milliseconds(2'000), milliseconds(25'000)});
  settings.pong_timeout =
      pick(random, std::array{milliseconds(100), milliseconds(1'000), milliseconds(10'000)});
  settings.idle_batch =
      pick(random, std::array{milliseconds(0), milliseconds(20), milliseconds(100)});
  settings.handshake_timeout =
      pick(random, std::array{milliseconds(100), milliseconds(1'000), milliseconds(10'000)});
  settings.close_timeout =
      pick(random, std::array{milliseconds(10), milliseconds(200), milliseconds(1'000)});
  settings.drain_time =
      pick(random, std::array{milliseconds(0), milliseconds(100), milliseconds(1'000)});
  settings.queue_bytes_max =
      pick(random, std::array<std::uint64_t, 4>{300, 1'000, 10'000, 100'000});
  settings.drop_oldest = random.chance(50);
  settings.conflate = settings.drop_oldest && random.chance(40);
  settings.message_rate_max =
      random.chance(10) ? static_cast<std::uint32_t>(random.between(1, 50)) : 0;
  settings.byte_rate_max = random.chance(10) ? random.between(100, 5'000) : 0;
  settings.retry_after_seconds = "5";
  settings.http.head_bytes_max = pick(random, std::array<std::uint32_t, 3>{256, 1'024, 8'192});
  settings.http.body_bytes_max = 4'096;
  settings.session.message_bytes_max =
      pick(random, std::array<std::uint32_t, 3>{200, 2'000, 65'536});
  settings.session.fragments_max = pick(random, std::array<std::uint32_t, 3>{1, 4, 1'024});
  settings.descriptors = pick(random, std::array<std::uint32_t, 3>{16, 60, 400});
  // As the sizing does it: some descriptors stay free for peers that are being refused.
  const auto spare = static_cast<std::uint32_t>(random.between(4, 10));
  settings.connections_max = random.chance(15) ? 3 : settings.descriptors - spare;
  return settings;
}

}  // namespace

Scenario::Scenario(std::uint64_t seed) {
  Random random(seed * 0x2545f4914f6cdd1d + 1);
  workers = static_cast<std::uint32_t>(random.between(1, 3));
  settings = draw_settings(random);
  odds = draw_odds(random);
  peers_at_once = static_cast<std::uint32_t>(random.between(1, 1u << random.between(1, 7)));
  admission.connections_max = random.chance(30) ? random.between(1, peers_at_once) : 10'000;
  admission.per_address_max =
      random.chance(10) ? static_cast<std::uint32_t>(random.between(1, 4)) : 0;
  admission.handshakes_per_second_max =
      random.chance(15) ? static_cast<std::uint32_t>(random.between(1, 20)) : 0;
  mailbox_max = random.chance(50) ? static_cast<std::uint32_t>(random.between(1, 8)) : 1'000;
  events_max = random.chance(30) ? static_cast<std::uint32_t>(random.between(1, 8)) : 512;
  addresses = static_cast<std::uint32_t>(random.between(1, 4));
  steps = static_cast<std::uint32_t>(random.between(200, 3'000));
  pace = pick(random, std::array{Duration(milliseconds(1)) / 20, Duration(milliseconds(1)),
                                 Duration(milliseconds(30)), Duration(milliseconds(500))});
  buffer_bytes_min = pick(random, std::array<std::uint32_t, 3>{8, 200, 20'000});
  buffer_bytes_max = buffer_bytes_min * pick(random, std::array<std::uint32_t, 3>{1, 4, 50});
  message_bytes_max = pick(random, std::array<std::uint32_t, 4>{20, 125, 600, 5'000});
  drains_early = random.chance(30);
  deflate = random.chance(60)   ? DeflateChoice::kOff
            : random.chance(50) ? DeflateChoice::kOn
                                : DeflateChoice::kTakeover;
  settings.deflate_window_bits = static_cast<std::uint8_t>(random.between(9, 15));
  proxied = random.chance(50) ? 0 : static_cast<unsigned>(random.between(1, 100));
  // A handshake costs as much as a hundred steps.
  tls = random.chance(90) ? 0 : static_cast<unsigned>(random.between(1, 100));
  detaches = random.chance(85);
  allows_tls12 = random.chance(50);
  settings.tls_attached_max = pick(random, std::array<std::uint32_t, 3>{0, 2, 1'024});
}

}  // namespace holdfast::simulator
