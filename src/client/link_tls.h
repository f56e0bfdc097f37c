#pragma once

// TLS of one link: what lies between its socket's bytes and what the WebSocket says. Kept from one
// connection to the next, so that who comes back to a server resumes.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "protocol/tls_client.h"
#include "protocol/tls_codec.h"

namespace holdfast::client {

// Used by one thread.
class LinkTls {
 public:
  // `server`: whose sessions these are.
  LinkTls(std::shared_ptr<const protocol::TlsClientContext> context, std::string server)
      : context_(std::move(context)), server_(std::move(server)) {}
  ~LinkTls() { end(); }
  LinkTls(const LinkTls&) = delete;
  LinkTls& operator=(const LinkTls&) = delete;

  const std::string& server() const { return server_; }

  void begin() { codec_.begin_client(context_, &sessions_, true); }
  // The connection is gone; nothing of it stays but the session.
  void end() {
    codec_.end(engine_);
    ciphertext_ = {};
    sealed_.clear();
    sealed_sent_ = 0;
    has_heard_end_ = false;
  }

  // --- in
  // Lives until has_more() is false.
  void receive(MutableBytes ciphertext) { ciphertext_ = ciphertext; }
  bool has_more() const { return !ciphertext_.empty(); }
  // One record of it. Plaintext lives until the next call.
  protocol::TlsOpened open() {
    const protocol::TlsOpened opened = codec_.next(engine_, ciphertext_, scratch_);
    has_heard_end_ |= opened.kind == protocol::TlsOpened::Kind::kClosed;
    return opened;
  }
  // The server said close_notify: nobody on the way has cut off the end.
  bool has_heard_end() const { return has_heard_end_; }

  // --- out
  // Sealed, and not taken by the socket.
  Bytes unsent() const { return Bytes(sealed_).subspan(sealed_sent_); }
  void note_taken(std::size_t bytes) { sealed_sent_ += bytes; }
  // When nothing is unsent: seals the first of these bytes, and whatever TLS itself has to say.
  // Returns how many; none before the handshake is over.
  std::size_t seal(Bytes plaintext) {
    constexpr std::size_t kSealedAtOnce = 64 * 1024;
    sealed_.clear();
    sealed_sent_ = 0;
    if (!codec_.is_established()) plaintext = {};
    plaintext = plaintext.first(std::min(plaintext.size(), kSealedAtOnce));
    if (plaintext.empty() && !codec_.has_something_to_say()) return 0;
    const std::span<const Bytes> pieces(&plaintext, plaintext.empty() ? 0 : 1);
    codec_.seal(engine_, pieces, sealed_);
    return plaintext.size();
  }
  // The last word: the next seal() gives it.
  void end_writing(protocol::TlsAlert alert) { codec_.end_writing(engine_, alert); }

  std::string describe(const protocol::TlsOpened& opened) const {
    return protocol::describe_failure(opened, codec_);
  }

 private:
  std::shared_ptr<const protocol::TlsClientContext> context_;
  std::string server_;
  protocol::TlsSessions sessions_{1};
  protocol::TlsEngine engine_;
  protocol::TlsCodec codec_;
  MutableBytes ciphertext_;         // received and not yet opened
  std::vector<std::byte> scratch_;  // where a record lies that came in pieces
  std::vector<std::byte> sealed_;
  std::size_t sealed_sent_ = 0;
  bool has_heard_end_ = false;
};

}  // namespace holdfast::client
