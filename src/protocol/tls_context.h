#pragma once

// What a listener's TLS handshakes have in common: certificates with their keys, and what is agreed
// to. OpenSSL does the handshakes.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

struct ssl_ctx_st;

namespace holdfast::protocol {

// One certificate as PEM: the leaf and behind it whoever signed it; and the leaf's private key.
// The key is overwritten when this ends.
struct TlsIdentity {
  std::string chain_pem;
  std::string key_pem;
  std::string name;  // for errors: the file it came from

  TlsIdentity() = default;
  TlsIdentity(std::string chain, std::string key, std::string file)
      : chain_pem(std::move(chain)), key_pem(std::move(key)), name(std::move(file)) {}
  TlsIdentity(const TlsIdentity&) = default;
  TlsIdentity(TlsIdentity&&) = default;
  TlsIdentity& operator=(const TlsIdentity&) = default;
  TlsIdentity& operator=(TlsIdentity&&) = default;
  ~TlsIdentity();
};

struct TlsPolicy {
  std::vector<TlsIdentity> identities;  // the first one serves clients that name nobody we know
  bool detach = true;  // take TLS 1.3 connections over from OpenSSL when they are established
  bool allow_tls12 = false;
};

// Shared by all workers; any thread. Replaced as a whole when certificates change: handshakes that
// began under the old one end under it.
class TlsContext {
 public:
  // The error names the file and what is wrong with it. `before`: its session tickets stay good.
  static Result<std::shared_ptr<const TlsContext>> make(const TlsPolicy& policy,
                                                        const TlsContext* before = nullptr);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  ssl_ctx_st* ssl() const { return contexts_.front().get(); }
  bool detaches() const { return detach_; }
  // Whether `name` is one of the identity's: for SNI.
  ssl_ctx_st* for_name(const char* name) const;

 private:
  struct FreeContext {
    void operator()(ssl_ctx_st* context) const;
  };
  using Pointer = std::unique_ptr<ssl_ctx_st, FreeContext>;

  TlsContext() = default;
  static Result<Pointer> make_one(const TlsIdentity& identity, const TlsPolicy& policy);

  std::vector<Pointer> contexts_;  // one for each identity
  bool detach_ = true;
};

// Makes OpenSSL overwrite what it frees: secrets lie in most of its objects, and not all of them
// are overwritten by itself. Before the first call of anything in OpenSSL; false: too late.
bool use_cleansing_allocator();

}  // namespace holdfast::protocol
