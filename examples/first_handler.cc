// The program of docs/first-handler.md: a room in which everybody hears everybody, and a clock.

#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <string>
#include <thread>

#include "holdfast/server.h"
#include "holdfast/utf8.h"

class Room final : public holdfast::Handler {
 public:
  holdfast::Verdict upgrade(holdfast::Peer& peer, const holdfast::Request& request) override {
    const auto name = request.parameter("name");
    if (!name || name->empty() || !holdfast::is_utf8(*name))
      return holdfast::Verdict::refuse(400, "say who you are: /room?name=...");
    peer.data<Guest>().name = *name;
    return holdfast::Verdict::accept();
  }

  void open(holdfast::Peer& peer, const holdfast::Request&) override {
    peer.subscribe("room");
    peer.publish("room", peer.data<Guest>().name + " came in");
  }

  void message(holdfast::Peer& peer, holdfast::MessageKind kind, holdfast::Bytes payload) override {
    if (kind != holdfast::MessageKind::kText) return peer.close(1003, "say it as text");
    Guest& guest = peer.data<Guest>();
    ++guest.messages;
    peer.publish("room", guest.name + ": " + std::string(holdfast::as_text(payload)));
  }

  void close(holdfast::Peer& peer, std::uint16_t) override {
    const Guest& guest = peer.data<Guest>();
    peer.publish("room",
                 guest.name + " left after " + std::to_string(guest.messages) + " messages");
  }

 private:
  struct Guest {
    std::string name;
    int messages = 0;
  };
};

void tell_the_time(std::stop_token stop, holdfast::Publisher& publisher) {
  while (!stop.stop_requested()) {
    publisher.publish("room", "it is " + std::to_string(std::time(nullptr)));
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

int main(int argc, char** argv) {
  holdfast::Options options;
  options.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"};
  options.admin = "off";
  holdfast::Server server(options);
  server.route("/room", std::make_shared<Room>());

  std::jthread clock;
  const auto problem = server.run([&clock, &server](const holdfast::Server& running) {
    std::printf("listening on %s\n", running.listening().front().c_str());
    std::fflush(stdout);
    clock = std::jthread(tell_the_time, std::ref(server.publisher()));
  });
  if (problem) std::fprintf(stderr, "cannot start: %s\n", problem->c_str());
  return problem ? 1 : 0;
}
