#include "server/tls_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

namespace holdfast::server {
namespace {

using protocol::TlsContext;

// What grows leaves its old memory behind, as it was: this one overwrites it.
void make_room(std::string& text, std::size_t size) {
  if (size <= text.capacity()) return text.resize(size);
  std::string bigger;
  bigger.reserve(std::max(size, 2 * text.capacity()));
  bigger = text;
  protocol::cleanse(text);
  text = std::move(bigger);
  text.resize(size);
}

// Appends what a file holds, a key maybe, and leaves no other copy of it. False: it cannot be read.
bool append_file(const std::string& path, std::string& text) {
  constexpr std::size_t kPieceBytes = 16 * 1024;  // more than most of them have
  std::ifstream file;
  file.rdbuf()->pubsetbuf(nullptr, 0);  // its buffer would be such a copy
  file.open(path, std::ios::binary);
  if (!file) return false;
  std::size_t size = text.size();
  do {
    make_room(text, size + kPieceBytes);
    file.read(text.data() + size, kPieceBytes);
    size += static_cast<std::size_t>(file.gcount());
  } while (file);
  text.resize(size);
  return !file.bad();  // as that of a folder is
}

// Whoever asks for keys overwrites them.
Result<std::string> read_files(std::span<const std::string> paths) {
  std::string text;
  for (const std::string& path : paths) {
    if (!append_file(path, text)) {
      protocol::cleanse(text);
      return failure(fmt::format("'{}' cannot be read", path));
    }
    make_room(text, text.size() + 1);
    text.back() = '\n';
  }
  return text;
}
Result<std::string> read_file(const std::string& path) { return read_files({&path, 1}); }

std::string joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, ":"));
}

protocol::TlsClientCertificates rule_of(ClientCertificates choice) {
  switch (choice) {
    case ClientCertificates::kOff:
      return protocol::TlsClientCertificates::kOff;
    case ClientCertificates::kOptional:
      return protocol::TlsClientCertificates::kOptional;
    case ClientCertificates::kRequired:
      return protocol::TlsClientCertificates::kRequired;
  }
  return protocol::TlsClientCertificates::kRequired;
}

// One that ended where the one of before has not: most likely the wrong file.
std::optional<std::string> ended(const TlsContext& next, const TlsContext& before,
                                 std::int64_t unix_seconds) {
  for (std::size_t i = 0; i < next.certificates().size(); ++i) {
    const auto& term = next.certificates()[i];
    const bool was_good =
        i < before.certificates().size() && before.certificates()[i].not_after >= unix_seconds;
    if (term.not_after < unix_seconds && was_good)
      return fmt::format("tls-cert: {} has expired, and that of before has not", term.name);
  }
  return std::nullopt;
}

}  // namespace

TlsSources::Kind TlsSources::kind_of(const Options& options, const ListenerSpec& spec) {
  const auto names = [](const std::string& own, const std::vector<std::string>& for_all) {
    return own.empty() ? joined(for_all) : own;
  };
  const bool has_own = !spec.tls_cert.empty();
  Kind kind{.certs = has_own ? spec.tls_cert : options.tls_cert,
            .keys = has_own ? spec.tls_key : options.tls_key,
            .client_certificates = spec.tls_client_cert.value_or(options.tls_client_cert),
            .client_authorities = {},
            .tls12 = spec.tls12.value_or(options.tls12),
            .suites = names(spec.tls_suites, options.tls_suites),
            .tls12_suites = names(spec.tls12_suites, options.tls12_suites),
            .groups = names(spec.tls_groups, options.tls_groups)};
  if (kind.client_certificates != ClientCertificates::kOff)
    kind.client_authorities =
        spec.tls_client_ca.empty() ? options.tls_client_ca : spec.tls_client_ca;
  return kind;
}

bool TlsSources::speaks_tls(const Options& options, const ListenerSpec& spec) {
  const bool has_own = !spec.tls_cert.empty();
  if (spec.tls) return *spec.tls;
  return has_own || (!spec.is_unix() && !options.tls_cert.empty());
}

std::optional<std::string> TlsSources::check(const Options& options,
                                             std::span<const ListenerSpec> listeners) {
  if (options.tls_cert.size() != options.tls_key.size())
    return fmt::format("tls-key: {} keys for {} certificates; give one for each, in their order",
                       options.tls_key.size(), options.tls_cert.size());
  bool asks = false;
  for (const ListenerSpec& spec : listeners) {
    if (spec.tls_cert.size() != spec.tls_key.size())
      return fmt::format("listen {}: give tls-cert and tls-key both, one key for each certificate",
                         spec.address);
    if (!speaks_tls(options, spec)) continue;
    const Kind kind = kind_of(options, spec);
    if (kind.certs.empty())
      return "listen: tls=on without a certificate; give tls-cert and tls-key";
    const bool is_asked = kind.client_certificates != ClientCertificates::kOff;
    if (is_asked && kind.client_authorities.empty())
      return "tls-client-ca: clients are asked for certificates (tls-client-cert), but nobody may "
             "sign them; give a file of authorities";
    if (!is_asked && !spec.tls_client_ca.empty())
      return fmt::format(
          "listen {}: its tls-client-ca is for nothing; give "
          "tls-client-cert=required (or optional) too",
          spec.address);
    asks = asks || is_asked;
  }
  if (!asks && !options.tls_client_ca.empty())
    return "tls-client-ca: no client is asked for a certificate; give tls-client-cert=required "
           "(or optional) too";
  return std::nullopt;
}

Result<protocol::TlsContexts> TlsSources::make(const Options& options, const Kind& kind,
                                               std::size_t workers) const {
  protocol::TlsPolicy policy;
  policy.detach = options.tls_detach;
  policy.allow_tls12 = kind.tls12;
  if (!kind.suites.empty()) policy.suites = kind.suites;
  if (!kind.tls12_suites.empty()) policy.tls12_suites = kind.tls12_suites;
  if (!kind.groups.empty()) policy.groups = kind.groups;
  for (std::size_t i = 0; i < kind.certs.size(); ++i) {
    auto chain = read_file(kind.certs[i]);
    if (!chain) return failure("tls-cert: " + chain.error().message);
    auto key = read_file(kind.keys[i]);
    if (!key) return failure("tls-key: " + key.error().message);
    policy.identities.emplace_back(std::move(*chain), std::move(*key), kind.certs[i]);
  }
  policy.client_certificates = rule_of(kind.client_certificates);
  if (kind.client_certificates != ClientCertificates::kOff) {
    auto authorities = read_files(kind.client_authorities);
    if (!authorities) return failure("tls-client-ca: " + authorities.error().message);
    policy.client_authorities_pem = std::move(*authorities);
  }
  auto contexts = TlsContext::make_many(workers, policy, tickets_);
  if (!contexts) return failure("TLS: " + contexts.error().message);
  return contexts;
}

std::optional<std::string> TlsSources::load(const Options& options,
                                            std::span<const ListenerSpec> listeners,
                                            std::size_t workers, std::int64_t unix_seconds) {
  return loads_.run([&] { return read(options, listeners, workers, unix_seconds); });
}

std::optional<std::string> TlsSources::read(const Options& options,
                                            std::span<const ListenerSpec> listeners,
                                            std::size_t workers, std::int64_t unix_seconds) {
  if (auto problem = check(options, listeners)) return problem;
  const bool is_first = tickets_ == nullptr;
  if (is_first) {
    options_ = options;
    tickets_ = std::make_shared<protocol::TlsTickets>(
        std::chrono::duration_cast<std::chrono::seconds>(options.tls_ticket_lifetime));
  }
  protocol::TlsTicketKeys ticket_keys;
  if (!options.tls_ticket_keys.empty()) {
    auto text = read_files(options.tls_ticket_keys);
    if (!text) return "tls-ticket-keys: " + text.error().message;
    auto keys = protocol::parse_ticket_keys(*text);
    protocol::cleanse(*text);
    if (!keys) return "tls-ticket-keys: " + keys.error().message;
    ticket_keys = std::move(*keys);
  }
  std::vector<Kind> kinds;
  for (const ListenerSpec& spec : listeners) {
    const Kind kind = kind_of(options, spec);
    if (speaks_tls(options, spec) && std::find(kinds.begin(), kinds.end(), kind) == kinds.end())
      kinds.push_back(kind);
  }
  std::vector<protocol::TlsContexts> contexts;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    auto each = make(options, kinds[i], workers);
    if (!each) return each.error().message;
    if (!is_first) {
      if (auto problem = ended(*each->front(), *entries_[i].source->present(), unix_seconds))
        return problem;
    }
    contexts.push_back(std::move(*each));
  }
  if (!ticket_keys.empty()) tickets_->share(std::move(ticket_keys));
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    if (is_first) {
      entries_.push_back({kinds[i], std::make_unique<TlsSource>(std::move(contexts[i]))});
    } else {
      entries_[i].source->replace(std::move(contexts[i]));
    }
  }
  return std::nullopt;
}

std::vector<std::string> TlsSources::files(const Options& options,
                                           std::span<const ListenerSpec> listeners) {
  std::vector<std::string> all;
  for (const auto* some :
       {&options.tls_cert, &options.tls_key, &options.tls_client_ca, &options.tls_ticket_keys})
    all.insert(all.end(), some->begin(), some->end());
  for (const ListenerSpec& spec : listeners) {
    for (const auto* some : {&spec.tls_cert, &spec.tls_key, &spec.tls_client_ca})
      all.insert(all.end(), some->begin(), some->end());
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

const TlsSource* TlsSources::of(const ListenerSpec& spec) const {
  if (!speaks_tls(options_, spec)) return nullptr;
  const auto entry = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& one) {
    return one.kind == kind_of(options_, spec);
  });
  return entry == entries_.end() ? nullptr : entry->source.get();
}

std::vector<protocol::TlsCertificateTerm> TlsSources::certificates() const {
  std::vector<protocol::TlsCertificateTerm> terms;
  for (const Entry& entry : entries_) {
    for (const auto& term : entry.source->present()->certificates()) {
      const bool is_there = std::any_of(terms.begin(), terms.end(),
                                        [&](const auto& one) { return one.name == term.name; });
      if (!is_there) terms.push_back(term);
    }
  }
  return terms;
}

}  // namespace holdfast::server
