#pragma once

// A server in this process.
//
//   Server server(options);
//   server.route("/echo", std::make_shared<Echo>());
//   if (auto problem = server.run()) … say it …          // until SIGTERM
//
// or, in a program with a life of its own,
//
//   if (auto problem = server.start()) … say it …
//   … server.drain(); while (!server.is_drained()) … ; server.stop();

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "holdfast/handler.h"
#include "holdfast/options.h"

namespace holdfast {

namespace server {
class Cluster;
}

// Makes OpenSSL, in this whole process, overwrite what it frees, up to 9 KiB a piece (larger ones
// hold messages, not secrets): keys and secrets lie in most of its objects, and it overwrites not
// all of them by itself. For a program whose server speaks TLS; before the first use of OpenSSL by
// anybody in it. False: too late, and nothing has changed. `holdfast serve` does it.
bool cleanse_freed_secrets();

class Server {
 public:
  explicit Server(Options options);
  ~Server();  // stop()
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Before start(). `path` begins with '/' and is exact ("/echo") or ends in "/*", which stands for
  // one or more characters ("/topics/*"); the first that fits serves. At most 255. Another path, no
  // handler, one too many or one too late aborts the program.
  void route(std::string path, std::shared_ptr<Handler> handler);
  // The same for the operator's listener (Options::admin).
  void admin_route(std::string path, std::shared_ptr<Handler> handler);

  // Starts the workers and returns when all of them listen. Nothing on success, else what is wrong
  // and what would be right, naming the option. Once, even where it failed (a second call aborts
  // the program): try again with another Server. Sets the soft limit of descriptors
  // (RLIMIT_NOFILE) of the process to the hard one, or to 2^20, or more where connections_max needs
  // it, if the hard one is above that; and gives each worker a copy of the descriptor table: what
  // is opened or closed elsewhere from here on is not so in a callback, see handler.h.
  std::optional<std::string> start();
  // start(), then `ready` (which may print listening()), then waits until SIGTERM or SIGINT,
  // drain(), stop(). Returns at the end, with nothing or with what start() said. Call it from the
  // main thread before other threads exist: they inherit the mask that leaves those two signals to
  // it. A second signal ends the draining.
  std::optional<std::string> run(const std::function<void(const Server&)>& ready = {});

  // After start(). The addresses really bound.
  std::vector<std::string> listening() const;
  std::string admin_listening() const;  // empty when off
  std::uint32_t workers() const;
  std::uint64_t connections_max()
      const;                    // what `auto` came to, or what can be had with allow_fewer
  std::string io_name() const;  // "io_uring" or "epoll"
  std::vector<std::string> warnings() const;

  // Any thread. What handlers go by has changed (who may connect, say): calls Handler::review once
  // for each peer that is open now, on its worker's thread, some hundreds in a turn so that nobody
  // else waits for it. Called again meanwhile, all are looked at again.
  void review();
  // Reads tls_cert and tls_key again: handshakes from now on use what is there, connections stay as
  // they are. What is wrong with them leaves the old ones in force and is returned. Any thread,
  // after start().
  std::optional<std::string> reload_certificates();
  // Refuses newcomers and closes the open ones, with Handler::drain_code (1001 if it says no
  // other), evenly over Options::drain_time. Any thread, after start(); before it, one that may
  // start().
  void drain();
  // After drain(): no connection is left. False before it, whoever is there.
  bool is_drained() const;
  std::uint64_t connections() const;
  // Ends all at once: no close frames. Returns when the workers have ended. One thread, no
  // callback: there it aborts the program, since it would wait for its own end.
  void stop();

  // Any thread, from start() to the destruction of the server.
  Publisher& publisher();
  // To one peer, through its worker's mailbox: what one thread says arrives in its order,
  // publications among it. A text must be UTF-8, which is not checked. When the peer is gone or
  // being closed it is dropped without a word (Handler::close has told). False: certainly lost,
  // because the worker's mailbox is full (65,536 wait), the id is nobody's or the server is not
  // running.
  bool send(PeerId peer, MessageKind kind, Bytes payload);
  bool send(PeerId peer, std::string_view text) {
    return send(peer, MessageKind::kText, as_bytes(text));
  }
  bool close(PeerId peer, std::uint16_t code = 1000, std::string_view reason = {});
  // Calls `act` with the peer, on its worker's thread and under the rules of a callback;
  // subscribing somebody from outside is done so. When the peer is gone, `act` is destroyed
  // uncalled, on the worker's thread; where false is returned, on this one; and what no worker has
  // come to when stop() ends it, on the thread that destroys the server.
  bool post(PeerId peer, std::function<void(Peer&)> act);
  // For the admin room: the counters behind all this.
  const server::Cluster& cluster() const { return *cluster_; }

 private:
  std::unique_ptr<server::Cluster> cluster_;
};

}  // namespace holdfast
