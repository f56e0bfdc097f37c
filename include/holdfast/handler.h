#pragma once

// What a program built on Holdfast writes: a Handler for each path.
//
// Threads, in one paragraph. A server has one thread for each worker; a connection belongs to one
// worker for its whole life. A handler is shared: workers call it at the same time, each for its
// own peers, so what the handler itself holds must be safe for that (atomics, a lock held briefly,
// or nothing), while what is kept with a peer (Peer::data) needs no lock. A Peer, a Request and a
// payload are good inside the callback that got them, on that thread alone. From any other thread,
// or later, go through the server: publish() to a topic, or send(), close() and post() by PeerId. A
// worker serves its other peers only when the callback returns, so a callback never waits: not for
// a database, a lock that is held long, or another thread. An exception that leaves a callback ends
// the program.
//
// Descriptors, in another one. Each worker, and the thread of the operator's listener, has a
// descriptor table of its own, a copy of the one that Server::start() found. What was opened
// elsewhere after that is not open in a callback, or its number is another file there: a peer's
// socket, say. What is closed elsewhere after that stays open in every worker, so that the other
// end of a pipe or a connection sees no end. So a callback opens the files and connections that it
// uses, and closes them before it returns; or it hands the data to a thread of the program, which
// may answer by post(). What is opened before start() and never again, a log say, may be used
// everywhere.

#include <cstdint>
#include <optional>
#include <string_view>

#include "holdfast/bytes.h"
#include "holdfast/peer.h"
#include "holdfast/request.h"

namespace holdfast {

// Publishes to every subscriber of a topic, on every worker. Any thread.
class Publisher {
 public:
  virtual ~Publisher() = default;
  // The payload is copied, once for all subscribers. A text must be UTF-8, which is not checked:
  // one that is not makes browsers leave. Publications of one thread arrive in their order. Returns
  // false when a worker's mailbox is full and that worker's subscribers will miss it: counted in
  // holdfast_publications_lost_total, once for each such mailbox, whichever thread published.
  virtual bool publish(std::string_view topic, MessageKind kind, Bytes payload,
                       const PublishOptions& options = {}) = 0;
  bool publish(std::string_view topic, std::string_view text, const PublishOptions& options = {}) {
    return publish(topic, MessageKind::kText, as_bytes(text), options);
  }
};

// The behaviour of one path. A peer's life: upgrade, open, any number of message, drain and review,
// close.
class Handler {
 public:
  virtual ~Handler() = default;
  // Whether a well-formed upgrade is let in. What is found out here (who it is) may be kept in
  // peer.data<T>() for the callbacks that follow; nothing can be sent yet.
  virtual Verdict upgrade(Peer&, const Request&) { return Verdict::accept(); }
  // The first moment in which the peer can be sent to and subscribed. For an event stream, behind
  // request(), with the same request.
  virtual void open(Peer&, const Request&) {}
  // A whole message. The payload is a view that lives until the return; a text is valid UTF-8.
  virtual void message(Peer&, MessageKind, Bytes /*payload*/) {}
  // All that waited for this peer, because it read slowly, has gone out: it can be sent more.
  // Peer::queued_bytes() is 0.
  virtual void drain(Peer&) {}
  // The peer is gone or going; nothing can be sent any more. Comes once after each open. `code` is
  // what the peer sent, what the handler closed with, 1005 for a Close without code, or 1006 when
  // there was no Close (RFC 6455 7.1.5). Not called for those whom Server::stop() cuts.
  virtual void close(Peer&, std::uint16_t /*code*/) {}
  // A request that is no upgrade. Nothing returned: the path speaks WebSocket alone, and the peer
  // is told so (OPTIONS is answered with the methods of such a path).
  virtual std::optional<Reply> request(const Request&, Publisher&) { return std::nullopt; }
  // The largest body of a request to this path, where that is more than Options::message_bytes_max;
  // asked before anything of the request is trusted, by any worker.
  virtual std::uint64_t body_bytes_max() const { return 0; }
  // Whether messages are the business of this path, so that a worker answers at once rather than
  // gathering arrivals for up to Options::idle_batch.
  virtual bool wants_promptness() const { return true; }
  // The close code that peers of this path are sent when the server drains (Server::drain); one
  // that Peer::close takes. A sub-protocol may have a code of its own for "come back elsewhere".
  virtual std::uint16_t drain_code() const { return 1001; }
  // The same for one that reads so slowly that its queue is full (QueueFullPolicy::kDisconnect):
  // what waits for it is dropped and the Close takes its place. 0: its connection is cut, which
  // frees its memory at once; it sees 1006.
  virtual std::uint16_t queue_full_code() const { return 0; }
  // The same for one whose pong did not come (Options::pong_timeout). 0: its connection is cut.
  virtual std::uint16_t no_pong_code() const { return 0; }
  // Server::review() was called: may this peer stay? Closes it where it may not.
  virtual void review(Peer&) {}
};

}  // namespace holdfast
