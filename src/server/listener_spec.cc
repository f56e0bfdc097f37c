#include "server/listener_spec.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "net/address.h"

namespace holdfast::server {
namespace {

using protocol::ProxyVersions;

constexpr std::string_view kUnixScheme = "unix:";
constexpr std::array<std::string_view, 4> kProxyWords = {"off", "v1", "v2",
                                                         "on"};  // in the order of ProxyVersions
constexpr std::array<std::string_view, 3> kDeflateWords = {
    "off", "on", "takeover"};  // in the order of DeflateChoice
constexpr std::array<std::string_view, 3> kClientCertWords = {
    "off", "optional", "required"};  // in the order of ClientCertificates

bool read_proxy(std::string_view value, ListenerSpec& spec) {
  const auto word = std::find(kProxyWords.begin(), kProxyWords.end(), value);
  if (word == kProxyWords.end()) return false;
  spec.proxy = static_cast<ProxyVersions>(word - kProxyWords.begin());
  return true;
}
std::string proxy_text(const ListenerSpec& spec) {
  return std::string(kProxyWords[static_cast<std::size_t>(spec.proxy)]);
}

bool read_ipv6_only(std::string_view value, ListenerSpec& spec) {
  if (value != "on" && value != "off") return false;
  spec.ipv6_only = value == "on";
  return true;
}
std::string ipv6_only_text(const ListenerSpec& spec) { return spec.ipv6_only ? "on" : "off"; }

bool read_mode(std::string_view value, ListenerSpec& spec) {
  std::uint32_t mode = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), mode, 8);
  if (error != std::errc() || end != value.data() + value.size() || value.size() < 3 || mode > 0777)
    return false;
  spec.mode = mode;
  return true;
}
std::string mode_text(const ListenerSpec& spec) { return fmt::format("{:04o}", spec.mode); }

bool read_deflate(std::string_view value, ListenerSpec& spec) {
  const auto word = std::find(kDeflateWords.begin(), kDeflateWords.end(), value);
  if (word == kDeflateWords.end()) return false;
  spec.deflate = static_cast<DeflateChoice>(word - kDeflateWords.begin());
  return true;
}
std::string deflate_text(const ListenerSpec& spec) {
  return spec.deflate ? std::string(kDeflateWords[static_cast<std::size_t>(*spec.deflate)]) : "";
}

// On, off, or what the option says.
template <std::optional<bool> ListenerSpec::* kField>
bool read_switch(std::string_view value, ListenerSpec& spec) {
  if (value != "on" && value != "off") return false;
  spec.*kField = value == "on";
  return true;
}
template <std::optional<bool> ListenerSpec::* kField>
std::string switch_text(const ListenerSpec& spec) {
  return !(spec.*kField) ? "" : *(spec.*kField) ? "on" : "off";
}

// Names joined by ':', as OpenSSL takes them.
template <std::string ListenerSpec::* kField>
bool read_names(std::string_view value, ListenerSpec& spec) {
  spec.*kField = value;
  return !value.empty();
}
template <std::string ListenerSpec::* kField>
std::string names_text(const ListenerSpec& spec) {
  return spec.*kField;
}

constexpr char kTlsCert[] = "tls-cert", kTlsKey[] = "tls-key", kTlsClientCa[] = "tls-client-ca";

// One more file each time that the setting is given; as text, what makes all of them when it
// stands behind "name=".
template <std::vector<std::string> ListenerSpec::* kField>
bool read_file(std::string_view value, ListenerSpec& spec) {
  (spec.*kField).emplace_back(value);
  return !value.empty();
}
template <std::vector<std::string> ListenerSpec::* kField, const char* kName>
std::string files_text(const ListenerSpec& spec) {
  return fmt::format("{}", fmt::join(spec.*kField, fmt::format(",{}=", kName)));
}

bool read_client_cert(std::string_view value, ListenerSpec& spec) {
  const auto word = std::find(kClientCertWords.begin(), kClientCertWords.end(), value);
  if (word == kClientCertWords.end()) return false;
  spec.tls_client_cert = static_cast<ClientCertificates>(word - kClientCertWords.begin());
  return true;
}
std::string client_cert_text(const ListenerSpec& spec) {
  return spec.tls_client_cert
             ? std::string(kClientCertWords[static_cast<std::size_t>(*spec.tls_client_cert)])
             : "";
}

constexpr std::array kSettings = {
    ListenerSetting{"proxy", "on|v1|v2|off", "on", "off",
                    "Each connection begins with a PROXY header (version 1, 2, or either) that "
                    "names the client; one without is dropped.",
                    read_proxy, proxy_text},
    ListenerSetting{"ipv6-only", "on|off", "on", "off",
                    "An IPv6 wildcard leaves IPv4 peers to another listener.", read_ipv6_only,
                    ipv6_only_text},
    ListenerSetting{"mode", "0600..0777", "", "0660",
                    "Permissions of a unix socket: whoever may write may connect.", read_mode,
                    mode_text},
    ListenerSetting{"deflate", "off|on|takeover", "on", "",
                    "Compression for the peers of this listener; without it, the option deflate "
                    "holds.",
                    read_deflate, deflate_text},
    ListenerSetting{"tls", "on|off", "on", "",
                    "Whether its peers speak TLS; without it, those of a port do where tls-cert "
                    "is given.",
                    read_switch<&ListenerSpec::tls>, switch_text<&ListenerSpec::tls>},
    ListenerSetting{kTlsCert, "FILE", "", "",
                    "A certificate chain of its own; with it the listener speaks TLS. Given "
                    "several times, clients choose by name.",
                    read_file<&ListenerSpec::tls_cert>,
                    files_text<&ListenerSpec::tls_cert, kTlsCert>},
    ListenerSetting{kTlsKey, "FILE", "", "",
                    "The private key of its own certificate; of several, one each, in their order.",
                    read_file<&ListenerSpec::tls_key>, files_text<&ListenerSpec::tls_key, kTlsKey>},
    ListenerSetting{"tls12", "on|off", "on", "",
                    "Whether its peers may speak TLS 1.2; without it, the option tls12 holds.",
                    read_switch<&ListenerSpec::tls12>, switch_text<&ListenerSpec::tls12>},
    ListenerSetting{"tls-suites", "SUITE:SUITE", "", "",
                    "Its own suites of TLS 1.3, the preferred one first.",
                    read_names<&ListenerSpec::tls_suites>, names_text<&ListenerSpec::tls_suites>},
    ListenerSetting{"tls12-suites", "SUITE:SUITE", "", "", "Its own suites of TLS 1.2.",
                    read_names<&ListenerSpec::tls12_suites>,
                    names_text<&ListenerSpec::tls12_suites>},
    ListenerSetting{"tls-groups", "GROUP:GROUP", "", "", "Its own groups for the exchange of keys.",
                    read_names<&ListenerSpec::tls_groups>, names_text<&ListenerSpec::tls_groups>},
    ListenerSetting{"tls-client-cert", "off|optional|required", "required", "",
                    "Whether its peers are asked for a certificate; without it, the option "
                    "tls-client-cert holds.",
                    read_client_cert, client_cert_text},
    ListenerSetting{kTlsClientCa, "FILE", "", "",
                    "Who may sign its peers' certificates, in the place of the option "
                    "tls-client-ca's; several times for several files.",
                    read_file<&ListenerSpec::tls_client_ca>,
                    files_text<&ListenerSpec::tls_client_ca, kTlsClientCa>},
};

const ListenerSetting* find_setting(std::string_view name) {
  const auto found = std::find_if(kSettings.begin(), kSettings.end(),
                                  [&](const auto& setting) { return setting.name == name; });
  return found == kSettings.end() ? nullptr : &*found;
}

std::string setting_names() {
  std::string names;
  for (const ListenerSetting& setting : kSettings)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", setting.name);
  return names;
}

Result<void> read_address(std::string_view text, ListenerSpec& spec) {
  spec.address = text;
  if (spec.is_unix()) {
    if (!spec.path().empty()) return {};
    return failure(fmt::format("'{}' has no path; write unix:/run/holdfast/holdfast.sock", text));
  }
  if (const auto address = net::Address::parse(text); !address) {
    const bool is_word = text.find(':') == std::string_view::npos;
    return failure(is_word
                       ? fmt::format("{}, or unix:/path, and behind it the listener's settings: {}",
                                     address.error().message, setting_names())
                       : address.error().message);
  }
  return {};
}

Result<void> read_setting(std::string_view text, const ListenerSetting& setting,
                          ListenerSpec& spec) {
  const std::size_t equals = text.find('=');
  const std::string_view value =
      equals == std::string_view::npos ? setting.bare : text.substr(equals + 1);
  if (setting.read(value, spec)) return {};
  return failure(fmt::format("'{}' of {} is not right; give {}={}", text, spec.address,
                             setting.name, setting.values));
}

}  // namespace

bool ListenerSpec::is_unix() const { return address.starts_with(kUnixScheme); }
std::string_view ListenerSpec::path() const {
  return std::string_view(address).substr(kUnixScheme.size());
}

std::string ListenerSpec::to_string() const {
  std::string result = address;
  for (const ListenerSetting& setting : kSettings) {
    if (const std::string value = setting.text(*this); value != setting.fallback)
      result += fmt::format(",{}={}", setting.name, value);
  }
  return result;
}

Result<ListenerSpec> ListenerSpec::parse(std::string_view text) {
  auto listeners = parse_listeners(text);
  if (!listeners) return tl::unexpected(listeners.error());
  if (listeners->size() != 1) return failure(fmt::format("'{}' is more than one address", text));
  return std::move(listeners->front());
}

Result<std::vector<ListenerSpec>> parse_listeners(std::string_view list) {
  std::vector<ListenerSpec> listeners;
  while (true) {
    const std::size_t comma = list.find(',');
    const std::string_view part = list.substr(0, comma);
    const ListenerSetting* setting =
        listeners.empty() ? nullptr : find_setting(part.substr(0, part.find('=')));
    const Result<void> good = setting != nullptr ? read_setting(part, *setting, listeners.back())
                                                 : read_address(part, listeners.emplace_back());
    if (!good) return tl::unexpected(good.error());
    if (comma == std::string_view::npos) return listeners;
    list.remove_prefix(comma + 1);
  }
}

std::span<const ListenerSetting> listener_settings() { return kSettings; }

}  // namespace holdfast::server
