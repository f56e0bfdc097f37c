#pragma once

// What the TLS peers of a run have in common: the server's certificates, whom clients trust, and
// the sessions that they were given tickets for.

#include <cstddef>
#include <memory>
#include <vector>

#include "protocol/tls_context.h"
#include "server/tls_source.h"
#include "simulator/scenario.h"

struct ssl_ctx_st;
struct ssl_session_st;

namespace holdfast::simulator {

class TlsScene {
 public:
  // The name that the certificates are for.
  static constexpr const char* kName = "simulated";

  TlsScene(const Scenario& scenario, std::uint64_t seed);

  // For the workers' listeners; as long as this.
  const server::TlsSource* source() const { return &source_; }
  // The other of two certificates, for the handshakes that begin now.
  void change_certificate();

  // OpenSSL's clients, who trust both. Lives as long as the process.
  static ssl_ctx_st* clients();

  // Takes a session over, in the place of an older one.
  void keep(ssl_session_st* session);
  // To go on with, which stays this object's; null where there is none yet.
  ssl_session_st* any_session(Random& random) const;

  // How often things came about.
  std::uint64_t key_updates = 0;    // announced by peers
  std::uint64_t notified_ends = 0;  // close_notify before the server's FIN
  std::uint64_t failures = 0;       // connections that an alert ended

 private:
  struct FreeSession {
    void operator()(ssl_session_st* session) const;
  };
  static constexpr std::size_t kSessionsMax = 8;

  std::shared_ptr<protocol::TlsTickets> tickets_;
  std::vector<std::shared_ptr<const protocol::TlsContext>> contexts_;
  std::size_t present_ = 0;
  server::TlsSource source_;
  std::vector<std::unique_ptr<ssl_session_st, FreeSession>> sessions_;
  std::size_t oldest_ = 0;
};

}  // namespace holdfast::simulator
