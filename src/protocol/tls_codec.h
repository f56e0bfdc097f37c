#pragma once

// TLS between a connection's bytes and what speaks over it: ciphertext in, plaintext out, and back.
//
//   handshake ──► detached: TlsRecords, 88 bytes, nothing else while it is idle
//             └─► attached: OpenSSL's object is kept (TLS 1.2, or what we do not know)

#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "protocol/tls_context.h"
#include "protocol/tls_engine.h"
#include "protocol/tls_handshake.h"
#include "protocol/tls_record.h"

namespace holdfast::protocol {

// One end: a server's, or a client's. All zero is a codec of no connection. Used by one thread.
class TlsCodec {
 public:
  TlsCodec() = default;
  TlsCodec(const TlsCodec&) = delete;
  TlsCodec& operator=(const TlsCodec&) = delete;

  // `newest_only`: TLS 1.3 and nothing older.
  void begin(std::shared_ptr<const TlsContext> context, bool newest_only = false);
  // A client's end: seal() without pieces gives its first flight. It is detached when the first
  // data came. `sessions` as in TlsHandshake; `resume`: with the next one of it.
  void begin_client(std::shared_ptr<const TlsClientContext> context, TlsSessions* sessions,
                    bool resume);
  bool is_begun() const {
    return records_.is_alive() || (busy_ != nullptr && busy_->handshake != nullptr);
  }
  bool is_established() const { return records_.is_alive() || (busy_ && busy_->attached); }
  bool is_detached() const { return records_.is_alive(); }
  bool is_attached() const { return !records_.is_alive() && busy_ != nullptr && busy_->attached; }
  const TlsHandshake* handshake() const { return busy_ ? busy_->handshake.get() : nullptr; }
  bool is_shaking_hands() const { return busy_ && busy_->handshake && !busy_->attached; }

  // What the client showed in its handshake, until it is forgotten: an idle connection has no place
  // for it.
  const ClientCertificate* client_certificate() const {
    return busy_ == nullptr ? nullptr : busy_->certificate.get();
  }
  void forget_client_certificate();

  // Keeps what comes while the handshake may not begin yet; it is begun with all of it.
  void wait(Bytes input);
  bool is_waiting() const { return !records_.is_alive() && busy_ && !busy_->handshake; }
  std::size_t waiting_bytes() const { return busy_ == nullptr ? 0 : busy_->partial.size(); }
  std::vector<std::byte> take_waiting();

  // Takes one record from the front of `input`, where it is opened; or what there is of one, which
  // is then kept. Call until kMore. Plaintext lies in `input` or in `scratch` until the next call.
  TlsOpened next(TlsEngine& engine, MutableBytes& input, std::vector<std::byte>& scratch);

  // There is something to send although nobody said anything: seal() with no pieces gives it.
  bool has_something_to_say() const {
    return records_.owes() || (busy_ != nullptr && !busy_->output.empty());
  }
  // Turns the pieces, one behind the other, into records, behind what else there is to say.
  // `room(size)` is called once and gives where so many bytes may be written; what was written is
  // returned, and may be less. How much that is, only OpenSSL knows where it is attached.
  template <class Room>
  MutableBytes seal(TlsEngine& engine, std::span<const Bytes> pieces, Room&& room) {
    const std::size_t size = prepare(engine, pieces);
    return write({room(size), size}, engine, pieces);
  }
  // The same, in the place of what `out` held.
  void seal(TlsEngine& engine, std::span<const Bytes> pieces, std::vector<std::byte>& out);
  // The last word: close_notify, or `alert`. What is given to seal() after it is not said.
  template <class Room>
  MutableBytes seal_end(TlsEngine& engine, TlsAlert alert, Room&& room) {
    end_writing(engine, alert);
    return seal(engine, {}, room);
  }

  // The same, to be given by the next seal().
  void end_writing(TlsEngine& engine, TlsAlert alert);

  // Of one that is not established, and will not be: what it holds goes at once, and the next
  // seal() gives the last that it has to say. That is `alert` where it may be said without keys;
  // kCloseNotify: nothing, as OpenSSL has said its own.
  void give_up(TlsAlert alert);
  // Records that OpenSSL made, or an end, and nobody asked for yet; and what was given to seal()
  // and OpenSSL cannot say yet.
  std::size_t unsaid_bytes() const;

  // The connection is gone: no secret of it stays.
  void end(TlsEngine& engine);

 private:
  // What an idle, detached connection does not need.
  struct Busy {
    std::unique_ptr<TlsHandshake> handshake;
    std::vector<std::byte> partial;  // of a record that has not come whole
    std::vector<std::byte> output;   // records that were not asked for yet
    std::unique_ptr<ClientCertificate> certificate;
    bool attached = false;
    bool is_empty() const {
      return handshake == nullptr && partial.empty() && output.empty() && certificate == nullptr;
    }
  };

  Busy& make_busy();
  void rest();
  std::optional<MutableBytes> take_record(MutableBytes& input, std::vector<std::byte>& scratch);
  TlsOpened take_handshake_record(TlsEngine& engine, Bytes record);
  void take_over(std::optional<TlsRecords> records);
  std::size_t prepare(TlsEngine& engine, std::span<const Bytes> pieces);
  MutableBytes write(MutableBytes out, TlsEngine& engine, std::span<const Bytes> pieces);
  std::size_t take_output(MutableBytes out);

  TlsRecords records_;
  std::unique_ptr<Busy> busy_;
};
static_assert(sizeof(TlsCodec) == 96, "for each wss connection");

// Why a connection came to nothing, for a person, after kAlerted or kFailed: "certificate not
// verified: …", "TLS alert: …".
std::string describe_failure(const TlsOpened& opened, const TlsCodec& codec);

}  // namespace holdfast::protocol
