// Checks a token at the upgrade, refuses with a reason, and can put somebody out later.
//
//   authenticate [ADDR:PORT]      ws://ADDR:PORT/private
//
// A program sends "Authorization: Bearer <token>". A web page cannot set that header for a
// WebSocket; it offers the token as a second sub-protocol, new WebSocket(url, ["private.v1",
// token]), which unlike a query does not end up in the logs of proxies.
//
//   curl -X POST 'http://ADDR:PORT/revoke?user=ann'      ends all of ann's connections, on every
//   worker

#include <chrono>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "run.h"

using namespace holdfast;

struct User {
  std::string name;
  std::chrono::system_clock::time_point expires;
};

// A stand-in for yours. It must answer at once: what needs a database or another server is asked by
// another thread, while the peer is let in without rights and put out by Server::close() if the
// answer is no.
class Tokens {
 public:
  const User* find(const std::string& token) const {
    const auto found = users_.find(token);
    return found == users_.end() ? nullptr : &found->second;
  }

 private:
  using Clock = std::chrono::system_clock;
  const std::unordered_map<std::string, User> users_ = {
      {"token-of-ann", {"ann", Clock::now() + std::chrono::hours(1)}},
      {"token-of-bob", {"bob", Clock::now() + std::chrono::hours(1)}},
      {"old-token-of-bob", {"bob", Clock::now() - std::chrono::hours(1)}},
  };
};

class Private final : public Handler {
 public:
  static constexpr std::string_view kProtocol = "private.v1";

  Verdict upgrade(Peer& peer, const Request& request) override {
    const std::string token = token_of(request);
    if (token.empty())
      return Verdict::refuse(401, "a token is needed", {{"WWW-Authenticate", "Bearer"}});
    const User* user = tokens_.find(token);
    if (user == nullptr) {
      return Verdict::refuse(401, "this token is not known",
                             {{"WWW-Authenticate", "Bearer error=\"invalid_token\""}});
    }
    if (user->expires < std::chrono::system_clock::now())
      return Verdict::refuse(403, "this token has expired");
    peer.data<const User*>() = user;
    return Verdict::accept(kProtocol);  // in the answer only if it was offered
  }

  void open(Peer& peer, const Request&) override {
    const User& user = *peer.data<const User*>();
    {
      const std::lock_guard lock(mutex_);
      connections_[user.name].insert(peer.id());
    }
    peer.send("welcome, " + user.name);
  }

  void close(Peer& peer, std::uint16_t) override {
    const std::lock_guard lock(mutex_);
    const auto found = connections_.find(peer.data<const User*>()->name);
    found->second.erase(peer.id());
    if (found->second.empty()) connections_.erase(found);
  }

  // Any thread. How many were put out. The list is copied, so that the lock is not held while the
  // server is asked.
  std::size_t revoke(Server& server, const std::string& name) {
    std::unordered_set<PeerId> peers;
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = connections_.find(name); found != connections_.end())
        peers = found->second;
    }
    for (const PeerId peer : peers) server.close(peer, 4401, "your token was revoked");
    return peers.size();
  }

 private:
  static std::string token_of(const Request& request) {
    constexpr std::string_view kBearer = "Bearer ";
    const std::string_view authorization = request.header("Authorization").value_or("");
    if (authorization.starts_with(kBearer))
      return std::string(authorization.substr(kBearer.size()));
    const auto offered = request.subprotocols();
    return offered.size() == 2 && offered[0] == kProtocol ? std::string(offered[1]) : std::string();
  }

  Tokens tokens_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::unordered_set<PeerId>> connections_;  // by user
};

class Revoke final : public Handler {
 public:
  Revoke(Server& server, std::shared_ptr<Private> members)
      : server_(server), members_(std::move(members)) {}

  std::optional<Reply> request(const Request& request, Publisher&) override {
    if (request.method() != "POST" || !request.from_loopback())
      return Reply{.status = 403, .body = "not from there\n"};
    const std::size_t count = members_->revoke(server_, request.parameter("user").value_or(""));
    return Reply{.body = std::to_string(count) + " connections are being closed\n"};
  }

 private:
  Server& server_;
  std::shared_ptr<Private> members_;
};

int main(int argc, char** argv) {
  Server server(options_from(argc, argv));
  const auto members = std::make_shared<Private>();
  server.route("/private", members);
  server.route("/revoke", std::make_shared<Revoke>(server, members));
  return run(server);
}
