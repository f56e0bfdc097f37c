// Where certificates come from.

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "server/cluster.h"

namespace holdfast::server {
namespace {

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return failure(fmt::format("'{}' cannot be read", path));
  return std::string{std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

std::optional<std::string> Cluster::load_tls() {
  if (options_.tls_cert.size() != options_.tls_key.size())
    return fmt::format("tls-key: {} keys for {} certificates; give one for each, in their order",
                       options_.tls_key.size(), options_.tls_cert.size());
  const bool is_wanted = std::any_of(listeners_.begin(), listeners_.end(),
                                     [](const ListenerSpec& spec) { return spec.tls == true; });
  if (options_.tls_cert.empty()) {
    if (is_wanted) return "listen: tls=on without a certificate; give tls-cert and tls-key";
    return std::nullopt;
  }
  protocol::TlsPolicy policy;
  policy.detach = !options_.tls_attached;
  policy.allow_tls12 = options_.tls12;
  for (std::size_t i = 0; i < options_.tls_cert.size(); ++i) {
    auto chain = read_file(options_.tls_cert[i]);
    if (!chain) return "tls-cert: " + chain.error().message;
    auto key = read_file(options_.tls_key[i]);
    if (!key) return "tls-key: " + key.error().message;
    policy.identities.push_back({std::move(*chain), std::move(*key), options_.tls_cert[i]});
  }
  const auto before = tls_ == nullptr ? nullptr : tls_->present();
  auto context = protocol::TlsContext::make(policy, before.get());
  if (!context) return "tls-cert: " + context.error().message;
  if (tls_ == nullptr) {
    tls_ = std::make_unique<TlsSource>(std::move(*context));
  } else {
    tls_->replace(std::move(*context));
  }
  return std::nullopt;
}

const TlsSource* Cluster::tls_of(const ListenerSpec& spec) const {
  return spec.tls.value_or(!spec.is_unix()) ? tls_.get() : nullptr;
}

}  // namespace holdfast::server
