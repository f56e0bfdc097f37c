#pragma once

// Where a listener's handshakes get their certificates and keys from, and how they are read anew.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/one_at_a_time.h"
#include "base/shared_value.h"
#include "holdfast/options.h"
#include "protocol/tls_context.h"
#include "server/listener_spec.h"

namespace holdfast::server {

// What new handshakes begin with; replaced when certificates change. Any thread.
class TlsSource {
 public:
  // One context for each worker. With fewer, workers share them: only where all are on one thread.
  explicit TlsSource(protocol::TlsContexts first) : present_(shared(std::move(first))) {}
  explicit TlsSource(std::shared_ptr<const protocol::TlsContext> only)
      : TlsSource(protocol::TlsContexts{std::move(only)}) {}
  std::shared_ptr<const protocol::TlsContext> present(std::uint32_t worker = 0) const {
    const auto contexts = present_.load();
    return (*contexts)[worker % contexts->size()];
  }
  void replace(protocol::TlsContexts next) { present_.store(shared(std::move(next))); }

 private:
  static std::shared_ptr<const protocol::TlsContexts> shared(protocol::TlsContexts contexts) {
    return std::make_shared<const protocol::TlsContexts>(std::move(contexts));
  }
  SharedValue<const protocol::TlsContexts> present_;
};

// Those of all listeners: one for each set of certificates, rule for clients' ones, and choice of
// versions, suites and groups.
class TlsSources {
 public:
  // Reads what the options and listeners name, at start, and again: all of it or nothing, so that
  // an error, which names the option and the file, leaves the old in force. Again, a certificate
  // that has ended (by `unix_seconds`) is such an error, unless the old one has too. `workers`: who
  // does handshakes, each on its own thread. The first time before others know of this; then any
  // thread, one after the other: what is in force is what the last of them to begin has read.
  std::optional<std::string> load(const Options& options, std::span<const ListenerSpec> listeners,
                                  std::size_t workers, std::int64_t unix_seconds);

  // All files that load() reads, once each.
  static std::vector<std::string> files(const Options& options,
                                        std::span<const ListenerSpec> listeners);

  // Null: its peers speak without TLS.
  const TlsSource* of(const ListenerSpec& spec) const;
  // Any thread, once loaded: each file once.
  std::vector<protocol::TlsCertificateTerm> certificates() const;

 private:
  // What tells sources apart.
  struct Kind {
    std::vector<std::string> certs, keys;  // files
    ClientCertificates client_certificates;
    std::vector<std::string> client_authorities;  // files
    bool tls12;
    std::string suites, tls12_suites, groups;  // joined by ':'; empty: TlsPolicy's
    bool operator==(const Kind&) const = default;
  };
  struct Entry {
    Kind kind;
    std::unique_ptr<TlsSource> source;
  };

  static Kind kind_of(const Options& options, const ListenerSpec& spec);
  static bool speaks_tls(const Options& options, const ListenerSpec& spec);
  std::optional<std::string> check(const Options& options, std::span<const ListenerSpec> listeners);
  std::optional<std::string> read(const Options& options, std::span<const ListenerSpec> listeners,
                                  std::size_t workers, std::int64_t unix_seconds);
  Result<protocol::TlsContexts> make(const Options& options, const Kind& kind,
                                     std::size_t workers) const;

  OneAtATime loads_;
  Options options_;
  std::shared_ptr<protocol::TlsTickets> tickets_;
  std::vector<Entry> entries_;
};

}  // namespace holdfast::server
