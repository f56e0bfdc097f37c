// Sends back what it gets.
//
//   echo [ADDR:PORT]      ws://ADDR:PORT/echo

#include "run.h"

using namespace holdfast;

class Echo final : public Handler {
 public:
  void message(Peer& peer, MessageKind kind, Bytes payload) override { peer.send(kind, payload); }
};

int main(int argc, char** argv) {
  Server server(options_from(argc, argv));
  server.route("/echo", std::make_shared<Echo>());
  return run(server);
}
