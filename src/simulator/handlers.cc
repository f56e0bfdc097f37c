#include "simulator/handlers.h"

#include <charconv>

namespace holdfast::simulator {
namespace {

// Tells the ledger of every call.
class Watched : public Handler {
 public:
  explicit Watched(Ledger& ledger) : ledger_(ledger) {}
  Verdict upgrade(Peer&, const Request&) override { return Verdict::accept(kSubprotocol); }
  void open(Peer& peer, const Request&) override { ledger_.opened(peer); }
  void message(Peer& peer, MessageKind, std::span<const std::byte>) override {
    ledger_.message(peer);
  }
  void close(Peer& peer, std::uint16_t code) override { ledger_.ended(peer, code); }

 protected:
  Ledger& ledger_;
};

class Hold final : public Watched {
 public:
  using Watched::Watched;
  bool wants_promptness() const override { return false; }
};

class Echo final : public Watched {
 public:
  using Watched::Watched;
  void message(Peer& peer, MessageKind kind, std::span<const std::byte> payload) override {
    ledger_.message(peer);
    peer.send(kind, payload);
  }
};

class Play final : public Watched {
 public:
  using Watched::Watched;

  void open(Peer& peer, const Request& request) override {
    ledger_.opened(peer);
    // "?s23": subscribe at once, to 2 with wish 3; "?x": close at once.
    if (request.query().starts_with('s'))
      ledger_.subscribe(peer, static_cast<std::uint32_t>(request.query()[1] - '0') % kTopics,
                        static_cast<std::uint8_t>(request.query()[2] - '0') % kWishes.size());
    if (request.query().starts_with('x')) peer.close(kHandlerCode, "not today");
  }

  void message(Peer& peer, MessageKind kind, std::span<const std::byte> payload) override {
    ledger_.message(peer);
    const std::string_view text = as_text(payload);
    const auto digit = static_cast<std::uint32_t>(text.size() > 1 ? text[1] - '0' : 0) % kTopics;
    switch (static_cast<Verb>(text.front())) {
      case Verb::kEcho:
        return peer.send(kind, payload);
      case Verb::kManyEchoes:
        for (const std::string& echo : many_echoes(text)) peer.send(kind, as_bytes(echo));
        return;
      case Verb::kSubscribe:
        return ledger_.subscribe(peer, digit,
                                 static_cast<std::uint8_t>(text.size() % kWishes.size()));
      case Verb::kUnsubscribe:
        return ledger_.unsubscribe(peer, digit);
      case Verb::kPublish:
        ledger_.publish(ledger_.publisher_of(peer), digit, text.size());
        return;
      case Verb::kClose:
        peer.send(kind, payload);
        peer.close(kHandlerCode, "as you wish");
        return disturb(peer);
    }
  }

  // "Nothing can be sent any more", whatever a handler tries.
  void close(Peer& peer, std::uint16_t code) override {
    ledger_.ended(peer, code);
    if (ledger_.world().random.chance(30)) disturb(peer);
  }

 private:
  void disturb(Peer& peer) {
    peer.send(MessageKind::kText, as_bytes("too late"));
    ledger_.subscribe(peer, 0);
    peer.close(4'999, "closed again");
    ledger_.publish(ledger_.publisher_of(peer), 1, 10);
  }
};

class Forbidden final : public Watched {
 public:
  using Watched::Watched;
  Verdict upgrade(Peer&, const Request&) override { return Verdict::refuse(403, "not for you"); }
};

class Pages final : public Watched {
 public:
  using Watched::Watched;
  std::optional<Reply> request(const Request& request, Publisher& publisher) override {
    std::size_t number = 0;
    const std::string_view tail = request.path().substr(std::string_view("/pages/").size());
    std::from_chars(tail.data(), tail.data() + tail.size(), number);
    ledger_.request(publisher);
    if (request.method() == "GET") return Reply{.status = 200, .body = page(number)};
    const bool everywhere = ledger_.publish(publisher, static_cast<std::uint32_t>(number % kTopics),
                                            request.body().size());
    return Reply{.status = everywhere ? 202 : 299};
  }
};

}  // namespace

std::vector<std::string> many_echoes(std::string_view message) {
  const auto digit = static_cast<std::size_t>(message.size() > 1 ? message[1] - '0' : 0) % 10;
  std::vector<std::string> echoes;
  for (std::size_t i = 0; i < digit * digit; ++i)
    echoes.push_back(std::string(message) + std::to_string(i));
  return echoes;
}

std::string page(std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += std::to_string(text.size()) + ' ';
  text.resize(bytes);
  return text;
}

void add_handlers(server::Router& router, Ledger& ledger) {
  router.add("/", std::make_shared<Hold>(ledger));
  router.add("/echo", std::make_shared<Echo>(ledger));
  router.add("/play", std::make_shared<Play>(ledger));
  router.add("/forbidden", std::make_shared<Forbidden>(ledger));
  router.add("/pages/*", std::make_shared<Pages>(ledger));
}

}  // namespace holdfast::simulator
