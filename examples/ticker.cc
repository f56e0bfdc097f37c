// Market data: many symbols, far more price changes than anybody can read, and each subscriber told
// 30 times a second at most.
//
//   ticker [ADDR:PORT [SYMBOLS [TICKS_PER_SECOND]]]      ws://ADDR:PORT/ticker
//
// A client says "subscribe SYM7" or "unsubscribe SYM7"; it gets the present price at once, then
// {"symbol":"SYM7","price":101.25,"tick":8713} whenever it changed, the last value alone
// (conflation): what was overtaken within one 30th of a second is never sent.

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "run.h"

using namespace holdfast;

// The last price of each symbol. The feed's thread writes; any thread reads.
class Board {
 public:
  explicit Board(std::size_t symbols) : places_(symbols) {}

  std::size_t size() const { return places_.size(); }
  static std::string name_of(std::size_t symbol) { return "SYM" + std::to_string(symbol); }
  // Only names that exist: a client that could subscribe to any text could make the server remember
  // any text.
  std::optional<std::size_t> find(std::string_view name) const {
    if (!name.starts_with("SYM") || name.size() > 12) return std::nullopt;
    const std::string digits(name.substr(3));
    const std::size_t symbol = std::strtoul(digits.c_str(), nullptr, 10);
    return symbol < size() && name == name_of(symbol) ? std::optional(symbol) : std::nullopt;
  }

  void set(std::size_t symbol, std::int64_t cents, std::uint64_t tick) {
    places_[symbol].cents.store(cents, std::memory_order_relaxed);
    places_[symbol].tick.store(tick, std::memory_order_release);
  }
  std::uint64_t tick(std::size_t symbol) const {
    return places_[symbol].tick.load(std::memory_order_acquire);
  }
  std::int64_t cents(std::size_t symbol) const {
    return places_[symbol].cents.load(std::memory_order_relaxed);
  }
  std::string text(std::size_t symbol) const {
    char line[96];
    const std::uint64_t at = tick(symbol);
    std::snprintf(line, sizeof line, R"({"symbol":"%s","price":%.2f,"tick":%llu})",
                  name_of(symbol).c_str(), static_cast<double>(cents(symbol)) / 100,
                  static_cast<unsigned long long>(at));
    return line;
  }

 private:
  struct Place {
    std::atomic<std::int64_t> cents{10'000};
    std::atomic<std::uint64_t> tick{0};
  };
  std::vector<Place> places_;
};

class Ticker final : public Handler {
 public:
  explicit Ticker(const Board& board) : board_(board) {}

  void message(Peer& peer, MessageKind, Bytes payload) override {
    const std::string_view text = as_text(payload);
    const std::size_t space = text.find(' ');
    const std::string_view verb = text.substr(0, space);
    const auto symbol =
        board_.find(space == std::string_view::npos ? std::string_view() : text.substr(space + 1));
    if (!symbol || (verb != "subscribe" && verb != "unsubscribe"))
      return peer.send(R"({"error":"say subscribe SYM<n> or unsubscribe SYM<n>"})");
    if (verb == "unsubscribe") return peer.unsubscribe(Board::name_of(*symbol));
    // Subscribed first: a change in between comes twice rather than never.
    peer.subscribe(Board::name_of(*symbol));
    peer.send(board_.text(*symbol));
  }

 private:
  const Board& board_;
};

// A stand-in for an exchange: prices walk at random.
void feed(std::stop_token stop, Board& board, unsigned ticks_per_second) {
  constexpr auto kStep = std::chrono::milliseconds(5);
  std::minstd_rand random(1);
  std::uint64_t tick = 0;
  for (auto due = std::chrono::steady_clock::now(); !stop.stop_requested(); due += kStep) {
    for (unsigned i = 0; i < ticks_per_second / 200; ++i) {
      const std::size_t symbol = random() % board.size();
      const std::int64_t cents =
          board.cents(symbol) + static_cast<std::int64_t>(random() % 21) - 10;
      board.set(symbol, cents, ++tick);
    }
    std::this_thread::sleep_until(due + kStep);
  }
}

// Thirty times a second: what changed since the last time, once, whatever happened to it in
// between.
void publish(std::stop_token stop, const Board& board, Publisher& publisher) {
  constexpr auto kPeriod = std::chrono::microseconds(33'333);
  std::vector<std::uint64_t> told(board.size());
  for (auto due = std::chrono::steady_clock::now(); !stop.stop_requested(); due += kPeriod) {
    for (std::size_t symbol = 0; symbol < board.size(); ++symbol) {
      const std::uint64_t tick = board.tick(symbol);
      if (tick == told[symbol]) continue;
      told[symbol] = tick;
      publisher.publish(Board::name_of(symbol), board.text(symbol));
    }
    std::this_thread::sleep_until(due + kPeriod);
  }
}

int main(int argc, char** argv) {
  Board board(argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 100);
  const auto ticks_per_second =
      static_cast<unsigned>(argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 20'000);
  if (board.size() == 0) return std::fprintf(stderr, "at least one symbol\n"), 2;

  Server server(options_from(argc, argv));
  server.route("/ticker", std::make_shared<Ticker>(board));
  const std::jthread exchange(feed, std::ref(board), ticks_per_second);
  std::jthread publishing;
  return run(server, [&] {
    publishing = std::jthread(publish, std::cref(board), std::ref(server.publisher()));
  });
}
