#pragma once

// One handshake, done by OpenSSL over memory: records in, records out. When it is over, what is
// left of the connection is taken out of OpenSSL, if all is as expected.
//
//   Each record is given to OpenSSL alone. A Finished ends its record (RFC 8446 5.1), so the record
//   that completes the handshake brings no data: what follows has sequence number 0.
//
//   A server's connection is taken over at once. A client's goes on with OpenSSL until the first
//   data came: behind it lie the tickets, which only OpenSSL can make sessions of.

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "holdfast/request.h"
#include "protocol/tls_client.h"
#include "protocol/tls_context.h"
#include "protocol/tls_key_schedule.h"
#include "protocol/tls_record.h"

struct ssl_ctx_st;
struct ssl_session_st;
struct ssl_st;

namespace holdfast::protocol {

// Why a handshake came to nothing, as far as OpenSSL says.
struct TlsFailure {
  enum class Kind : std::uint8_t {
    kOther,
    kUnverified,  // the peer's certificate is not one to trust
    kAlert,       // the peer said so
  };
  Kind kind = Kind::kOther;
  std::string_view text = {};  // static
};

class TlsHandshake {
 public:
  enum class Progress : std::uint8_t { kMore, kDone, kFailed };

  // What may wait of what OpenSSL has to say by itself, because the peer does not read; and of what
  // it cannot say yet. A last flight with a ticket that holds a client's whole chain is 34 KiB;
  // more is said to one alone that asks again and again for what there is not (renegotiation,
  // RFC 5746 5).
  static constexpr std::size_t kUnsaidBytesMax = std::size_t{64} * 1024;

  // `newest_only`: TLS 1.3, whatever the context allows, as what is older stays with OpenSSL.
  explicit TlsHandshake(std::shared_ptr<const TlsContext> context, bool newest_only = false);
  // A client's. `sessions` outlives it and keeps what tickets make; null: nothing is kept.
  // `resumed`: the session to go on with; null: a full handshake.
  TlsHandshake(std::shared_ptr<const TlsClientContext> context, TlsSessions* sessions,
               ssl_session_st* resumed);
  ~TlsHandshake();
  TlsHandshake(const TlsHandshake&) = delete;
  TlsHandshake& operator=(const TlsHandshake&) = delete;

  bool is_client() const { return role_ == TlsRole::kClient; }
  // Of a client, first: what it begins with.
  void start(std::vector<std::byte>& output);

  // Takes one record, whole (or the beginning of what can be none), and appends what is to be sent
  // to `output`. After kFailed that ends with an alert.
  Progress feed(Bytes record, std::vector<std::byte>& output);
  const TlsFailure& failure() const { return failure_; }  // after kFailed, of read() too

  // Of a server, after kDone. What takes the connection over; this object is of no use then.
  // Nothing: OpenSSL must be kept, because it is TLS 1.2, or detaching is off, or
  // `was_unexpected()`.
  std::optional<TlsRecords> detach(TlsEngine& engine);
  // Of a client, after read() of `record` gave `plaintext`: the same. That record is opened once
  // more, in its place, and must be the same; as those were that write() made.
  std::optional<TlsRecords> detach_client(TlsEngine& engine, MutableBytes record, Bytes plaintext);
  // Something was not as we know it of OpenSSL.
  bool was_unexpected() const { return was_unexpected_; }
  // After kFailed: for `newest_only`, which the client was not able to.
  bool was_too_old() const { return was_too_old_; }
  bool detaches() const { return detaches_; }
  // All that this end has said could be read by anybody. So may an alert be (RFC 8446 6).
  bool is_in_clear() const { return is_in_clear_; }
  bool was_resumed() const;
  // What the client showed; null: nothing, or it was not asked. With a ticket, what it showed when
  // it got the first.
  std::unique_ptr<ClientCertificate> client_certificate() const;

  // After kDone, when it stays attached: opens a record that was fed, into `plaintext`, which is
  // given the right size. Fails where more waits in `output` than may.
  TlsOpened read(TlsEngine& engine, Bytes record, std::vector<std::byte>& plaintext,
                 std::vector<std::byte>& output);
  // What OpenSSL cannot say before the rest of a peer's key update has come is kept, and said by
  // the read() that brings it.
  void write(TlsEngine& engine, Bytes plaintext, std::vector<std::byte>& output);
  std::size_t kept_bytes() const { return kept_.size(); }
  // More than that was written: it is lost, and the connection with it. failure() says so.
  bool has_lost() const { return has_lost_; }
  void write_close(std::vector<std::byte>& output);

  // For SSL_CTX_sess_set_new_cb: a ticket came.
  static int note_session(ssl_st* ssl, ssl_session_st* session);

 private:
  struct FreeSsl {
    void operator()(ssl_st* ssl) const;
  };
  void set_up(ssl_ctx_st* context);
  TlsFailure why_it_failed() const;
  void take_output(std::vector<std::byte>& output);
  bool say(TlsEngine& engine, Bytes plaintext, std::vector<std::byte>& output);
  std::optional<TlsSuite> suite_if_as_expected(const TlsEngine& engine) const;
  std::optional<TlsRecords> check_and_take(TlsEngine& engine);
  std::optional<TlsRecords> take(TlsEngine& engine, TlsSuite suite, const TlsTraffic& read,
                                 const TlsTraffic& write);
  void check_written(TlsEngine& engine, Bytes records, Bytes plaintext);
  std::optional<std::uint64_t> count_tickets(TlsEngine& engine, TlsSuite suite) const;

  std::shared_ptr<const TlsContext> context_;               // of a server
  std::shared_ptr<const TlsClientContext> client_context_;  // of a client
  std::unique_ptr<ssl_st, FreeSsl> ssl_;
  TlsRole role_;
  bool detaches_;
  TlsSessions* sessions_ = nullptr;
  TlsFailure failure_;
  TlsSecrets secrets_;  // of application data, where it detaches
  std::vector<std::byte> kept_;
  bool has_lost_ = false;
  bool newest_only_ = false, was_too_old_ = false, was_unexpected_ = false, is_in_clear_ = true;
  std::vector<std::byte> last_output_;                    // of the call that completed it
  std::uint64_t records_read_ = 0, records_written_ = 0;  // of a client, since then
};

}  // namespace holdfast::protocol
