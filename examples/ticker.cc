// Market data: many symbols, far more price changes than anybody can read, and each subscriber told
// 30 times a second at most.
//
//   ticker [ADDR:PORT [SYMBOLS [TICKS_PER_SECOND]]]      ws://ADDR:PORT/ticker
//
// A client says "subscribe SYM7", "subscribe all", or "unsubscribe" and either; it gets the present
// price at once, then {"symbol":"SYM7","price":101.25,"tick":8713} whenever it changed. The
// exchange publishes every change; the server gathers them for a 30th of a second, and of each key
// sends the newest alone (conflation). What nobody subscribed to costs next to nothing.

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

// The last price of each symbol, for those who come. The feed's thread writes; any thread reads.
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

// Every change goes to the topic of its symbol, and to this one with the symbol as its key.
constexpr std::string_view kAll = "all";
constexpr SubscribeOptions kThirtyTimesASecond{.window = std::chrono::milliseconds(33),
                                               .conflate = true};

class Ticker final : public Handler {
 public:
  explicit Ticker(const Board& board) : board_(board) {}

  void message(Peer& peer, MessageKind, Bytes payload) override {
    const std::string_view text = as_text(payload);
    const std::size_t space = text.find(' ');
    const std::string_view verb = text.substr(0, space);
    const std::string_view name =
        space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
    const auto symbol = board_.find(name);
    if ((!symbol && name != kAll) || (verb != "subscribe" && verb != "unsubscribe"))
      return peer.send(R"({"error":"say subscribe or unsubscribe, and SYM<n> or all"})");
    if (verb == "unsubscribe") return peer.unsubscribe(name);
    // Subscribed first: a change in between comes twice rather than never.
    peer.subscribe(name, kThirtyTimesASecond);
    if (symbol) return peer.send(board_.text(*symbol));
    for (std::size_t i = 0; i < board_.size(); ++i) peer.send(board_.text(i));
  }

 private:
  const Board& board_;
};

// A stand-in for an exchange: prices walk at random, and each step is published.
void feed(std::stop_token stop, Board& board, unsigned ticks_per_second, Publisher& publisher) {
  constexpr auto kStep = std::chrono::milliseconds(5);
  std::minstd_rand random(1);
  std::uint64_t tick = 0;
  for (auto due = std::chrono::steady_clock::now(); !stop.stop_requested(); due += kStep) {
    for (unsigned i = 0; i < ticks_per_second / 200; ++i) {
      const std::size_t symbol = random() % board.size();
      const std::int64_t cents =
          board.cents(symbol) + static_cast<std::int64_t>(random() % 21) - 10;
      board.set(symbol, cents, ++tick);
      const std::string name = Board::name_of(symbol), text = board.text(symbol);
      publisher.publish(name, text);
      publisher.publish(kAll, text, {.key = name});
    }
    std::this_thread::sleep_until(due + kStep);
  }
}

int main(int argc, char** argv) {
  Board board(argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 100);
  const auto ticks_per_second =
      static_cast<unsigned>(argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 20'000);
  if (board.size() == 0) return std::fprintf(stderr, "at least one symbol\n"), 2;

  Server server(options_from(argc, argv));
  server.route("/ticker", std::make_shared<Ticker>(board));
  std::jthread exchange;
  return run(server, [&] {
    exchange = std::jthread(feed, std::ref(board), ticks_per_second, std::ref(server.publisher()));
  });
}
