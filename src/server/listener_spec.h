#pragma once

// One place where peers come in, as an operator writes it: an address, and behind it what is
// special there.
//
//   127.0.0.1:8080    [::]:8080,ipv6-only    10.0.0.5:8081,proxy=v2
//   unix:/run/holdfast.sock,mode=0660,proxy    10.0.0.5:8082,deflate=takeover

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "holdfast/options.h"
#include "protocol/proxy_header.h"

namespace holdfast::server {

struct ListenerSpec {
  std::string address;  // "127.0.0.1:8080", "[::1]:8080", "unix:/run/holdfast.sock"
  protocol::ProxyVersions proxy = protocol::ProxyVersions::kNone;
  bool ipv6_only = false;
  std::uint32_t mode = 0660;     // permissions of a unix socket
  std::optional<bool> tls = {};  // nothing: where there are certificates, and it is no unix socket
  // What it has of its own in the place of the options of these names: certificate chains with
  // their keys, and who may sign its clients' ones; empty or nothing: the options hold.
  std::vector<std::string> tls_cert = {}, tls_key = {}, tls_client_ca = {};
  std::optional<ClientCertificates> tls_client_cert = {};
  std::optional<bool> tls12 = {};
  std::string tls_suites = {}, tls12_suites = {}, tls_groups = {};  // names joined by ':'
  std::optional<DeflateChoice> deflate = {};  // nothing: what Options::deflate says for all

  bool is_unix() const;
  std::string_view path() const;  // of a unix socket
  std::string to_string() const;  // as parse() takes it, without what is at its default
  bool operator==(const ListenerSpec&) const = default;

  // The error names the text and what would be right. Names are resolved, blocking.
  static Result<ListenerSpec> parse(std::string_view text);
};

// Several in one text: "127.0.0.1:8080,proxy,unix:/run/holdfast.sock". What is the name of a
// setting belongs to the address in front of it.
Result<std::vector<ListenerSpec>> parse_listeners(std::string_view list);

// One row for each setting; a new one needs nothing else.
struct ListenerSetting {
  std::string_view name;
  std::string_view values;    // "on|off"
  std::string_view bare;      // what the name alone means; empty: it needs a value
  std::string_view fallback;  // what is in force when nothing is said; empty: an option's value
  std::string_view help;
  bool (*read)(std::string_view value, ListenerSpec& spec);  // false: not one of `values`
  std::string (*text)(const ListenerSpec& spec);
};
std::span<const ListenerSetting> listener_settings();

}  // namespace holdfast::server
