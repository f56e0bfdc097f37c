// Rooms, names, and private messages from one peer to another.
//
//   chat [ADDR:PORT]      ws://ADDR:PORT/rooms/<room>?name=<name>
//
// What is said goes to all in the room; "@bob hello" to bob alone, whichever worker and room he is
// in. Names and messages are text: what is not UTF-8 would make the browsers of all others leave.

#include <mutex>
#include <string>
#include <unordered_map>

#include "holdfast/utf8.h"
#include "run.h"

using namespace holdfast;

// Who is here, by name. All workers share it, so it has a lock, which is held for a look-up and no
// longer.
class Directory {
 public:
  // Whether the name was free.
  bool enter(const std::string& name, PeerId peer) {
    const std::lock_guard lock(mutex_);
    return peers_.emplace(name, peer).second;
  }
  void leave(const std::string& name, PeerId peer) {
    const std::lock_guard lock(mutex_);
    const auto found = peers_.find(name);
    if (found != peers_.end() && found->second == peer) peers_.erase(found);
  }
  PeerId find(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    const auto found = peers_.find(name);
    return found == peers_.end() ? PeerId() : found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, PeerId> peers_;
};

class Chat final : public Handler {
 public:
  explicit Chat(Server& server) : server_(server) {}

  Verdict upgrade(Peer& peer, const Request& request) override {
    const std::string name = request.parameter("name").value_or("");
    if (name.empty() || name.size() > 32)
      return Verdict::refuse(400, "say who you are: ?name=<1 to 32 bytes>");
    if (name.find_first_of(" @\r\n") != std::string::npos)
      return Verdict::refuse(400, "a name has no spaces and no @");
    if (!is_utf8(name)) return Verdict::refuse(400, "a name is UTF-8");
    if (!directory_.enter(name, peer.id())) return Verdict::refuse(409, "that name is taken");
    peer.data<Member>() = {name, std::string(request.path())};
    return Verdict::accept();
  }

  void open(Peer& peer, const Request&) override {
    const Member& member = peer.data<Member>();
    peer.subscribe(member.room);
    peer.publish(member.room, "* " + member.name + " came in");
  }

  void message(Peer& peer, MessageKind kind, Bytes payload) override {
    if (kind != MessageKind::kText) return peer.close(1003, "say it as text");
    const Member& member = peer.data<Member>();
    const std::string_view text = as_text(payload);
    if (!text.starts_with('@')) {
      peer.publish(member.room, member.name + ": " + std::string(text));
      return;
    }
    const std::size_t space = text.find(' ');
    const std::string to(text.substr(1, space == std::string_view::npos ? space : space - 1));
    const std::string what(space == std::string_view::npos ? std::string_view()
                                                           : text.substr(space + 1));
    // The other one may be on another worker, or leave just now: then nothing happens.
    if (!server_.send(directory_.find(to), member.name + " (to you): " + what))
      peer.send("* there is no " + to);
  }

  void close(Peer& peer, std::uint16_t) override {
    const Member& member = peer.data<Member>();
    directory_.leave(member.name, peer.id());
    peer.publish(member.room, "* " + member.name + " left");
  }

 private:
  struct Member {
    std::string name;
    std::string room;
  };

  Server& server_;
  Directory directory_;
};

int main(int argc, char** argv) {
  Server server(options_from(argc, argv));
  server.route("/rooms/*", std::make_shared<Chat>(server));
  return run(server);
}
