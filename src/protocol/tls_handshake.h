#pragma once

// One handshake of a server, done by OpenSSL over memory: records in, records out. When it is over,
// what is left of the connection is taken out of OpenSSL, if all is as expected.
//
//   Each record is given to OpenSSL alone. The client's Finished ends its record (RFC 8446 5.1), so
//   the record that completes the handshake brings no data: what follows has sequence number 0.

#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "holdfast/request.h"
#include "protocol/tls_context.h"
#include "protocol/tls_record.h"

struct ssl_st;

namespace holdfast::protocol {

class TlsHandshake {
 public:
  enum class Progress : std::uint8_t { kMore, kDone, kFailed };

  explicit TlsHandshake(std::shared_ptr<const TlsContext> context);
  ~TlsHandshake();
  TlsHandshake(const TlsHandshake&) = delete;
  TlsHandshake& operator=(const TlsHandshake&) = delete;

  // Takes one record, whole (or the beginning of what can be none), and appends what is to be sent
  // to `output`. After kFailed that ends with an alert.
  Progress feed(Bytes record, std::vector<std::byte>& output);

  // After kDone. What takes the connection over; this object is of no use then. Nothing: OpenSSL
  // must be kept, because it is TLS 1.2, or detaching is off, or `was_unexpected()`.
  std::optional<TlsRecords> detach(TlsEngine& engine);
  // Something was not as we know it of OpenSSL.
  bool was_unexpected() const { return was_unexpected_; }
  bool was_resumed() const;
  // What the client showed; null: nothing, or it was not asked. With a ticket, what it showed when
  // it got the first.
  std::unique_ptr<ClientCertificate> client_certificate() const;

  // After kDone, when it stays attached: opens a record that was fed, into `plaintext`, which is
  // given the right size.
  TlsOpened read(Bytes record, std::vector<std::byte>& plaintext, std::vector<std::byte>& output);
  void write(Bytes plaintext, std::vector<std::byte>& output);
  void write_close(std::vector<std::byte>& output);

  // For SSL_CTX_set_keylog_callback: keeps the two secrets of application data, and no other.
  static void note_secret(const ssl_st* ssl, const char* line);

 private:
  struct FreeSsl {
    void operator()(ssl_st* ssl) const;
  };
  void take_output(std::vector<std::byte>& output);
  std::optional<TlsRecords> check_and_take(TlsEngine& engine);
  std::optional<std::uint64_t> count_tickets(TlsEngine& engine, TlsSuite suite) const;

  std::shared_ptr<const TlsContext> context_;
  std::unique_ptr<ssl_st, FreeSsl> ssl_;
  TlsSecret client_secret_{}, server_secret_{};
  std::uint8_t client_secret_bytes_ = 0, server_secret_bytes_ = 0;
  bool was_unexpected_ = false;
  std::vector<std::byte> last_output_;  // of the call that completed it
};

}  // namespace holdfast::protocol
