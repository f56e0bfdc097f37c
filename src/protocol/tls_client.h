#pragma once

// What a client's TLS connections have in common: whom they trust, and what they agree to. And the
// sessions that servers gave them tickets for. OpenSSL does the handshakes.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

struct ssl_ctx_st;
struct ssl_session_st;

namespace holdfast::protocol {

enum class TlsVersions : std::uint8_t { kAll, k12Alone, k13Alone };

struct TlsClientPolicy {
  // Whom the certificate must name: a DNS name, which is sent along (RFC 6066 3), or an IP address
  // without brackets, which is not.
  std::string name = {};
  bool verify = true;        // false: whoever answers is believed
  std::string ca_file = {};  // PEM, of whom to trust; empty: those whom the system trusts
  TlsVersions versions = TlsVersions::kAll;
  bool detach = true;  // take TLS 1.3 connections over from OpenSSL
};

// Shared by all threads.
class TlsClientContext {
 public:
  // The error names what cannot be used.
  static Result<std::shared_ptr<const TlsClientContext>> make(const TlsClientPolicy& policy);
  TlsClientContext(const TlsClientContext&) = delete;
  TlsClientContext& operator=(const TlsClientContext&) = delete;

  ssl_ctx_st* ssl() const { return context_.get(); }
  bool detaches() const { return detach_; }
  // What to send as the server's name; empty: nothing.
  const std::string& server_name() const { return server_name_; }

 private:
  struct FreeContext {
    void operator()(ssl_ctx_st* context) const;
  };

  TlsClientContext() = default;

  std::unique_ptr<ssl_ctx_st, FreeContext> context_;
  bool detach_ = true;
  std::string server_name_;
};

// The last few sessions of one thread's connections, given out in turn. A ticket may serve several
// connections: who watches the wire can tell that they belong together (RFC 8446 C.4), which is no
// secret of a crowd that comes from one program.
class TlsSessions {
 public:
  // What keeps a session: its certificate for the most part, some 8 KiB.
  explicit TlsSessions(std::size_t kept_max) : kept_max_(kept_max) {}

  // Takes it over; the oldest one makes room.
  void keep(ssl_session_st* session);
  // The next in turn, which stays this object's; null where there is none.
  ssl_session_st* next();
  std::size_t size() const { return kept_.size(); }

 private:
  struct FreeSession {
    void operator()(ssl_session_st* session) const;
  };

  std::size_t kept_max_;
  std::size_t oldest_ = 0;
  std::size_t turn_ = 0;
  std::vector<std::unique_ptr<ssl_session_st, FreeSession>> kept_;
};

}  // namespace holdfast::protocol
