#include "commands/serve_options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/ip_address.h"
#include "commands/nearest_name.h"
#include "commands/options_file.h"
#include "protocol/origin.h"

namespace holdfast::commands {
namespace {

constexpr std::uint64_t kSecond = 1000;
constexpr std::uint64_t kMinute = 60 * kSecond;
constexpr std::uint64_t kHour = 60 * kMinute;
constexpr std::uint64_t kDay = 24 * kHour;
constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;
constexpr std::uint64_t kGiB = 1024 * kMiB;

// Half the balancer's idle timeout or less, so that a late ping is still in time.
constexpr std::array kPingPresets = {
    Preset{"aws-alb", 25 * kSecond,
           "an AWS application load balancer cuts after 60 s of silence by default"},
    Preset{"aws-nlb", 150 * kSecond,
           "an AWS network load balancer forgets a flow after 350 s by default"},
    Preset{"cloudflare", 45 * kSecond, "Cloudflare's proxy cuts after 100 s of silence"},
    Preset{"nginx", 25 * kSecond, "nginx cuts after proxy_read_timeout, 60 s by default"},
    Preset{"haproxy", 20 * kSecond,
           "HAProxy cuts after timeout client, usually 50 s, where no timeout tunnel (often 1 h) "
           "is set"},
};

constexpr std::array<std::string_view, 6> kBalancerWords = {"none",       "aws-alb", "aws-nlb",
                                                            "cloudflare", "nginx",   "haproxy"};
// After how much silence each of them cuts, seconds; in the order of Balancer.
constexpr std::array<std::uint64_t, 6> kBalancerPatience = {0, 60, 350, 100, 60, 50};
constexpr std::array<std::string_view, 2> kForwardedWords = {"x-forwarded-for", "forwarded"};
constexpr std::array<std::string_view, 3> kIoWords = {"auto", "uring", "epoll"};
constexpr std::array<std::string_view, 3> kQueueFullWords = {"disconnect", "drop-oldest",
                                                             "conflate"};
constexpr std::array<std::string_view, 2> kOffOnWords = {"off", "on"};
constexpr std::array<std::string_view, 3> kDeflateWords = {"off", "on", "takeover"};
constexpr std::array<std::string_view, 3> kClientCertWords = {"off", "optional", "required"};
constexpr std::array<std::string_view, 4> kLogLevelWords = {"debug", "info", "warning", "error"};
constexpr std::array<std::string_view, 2> kLogFormatWords = {"text", "json"};

constexpr std::string_view kPlaces = "Where it listens";
constexpr std::string_view kProxies = "Behind proxies";
constexpr std::string_view kEntry = "Who may come in";
constexpr std::string_view kSize = "How big it is";
constexpr std::string_view kKeepalive = "Keepalive";
constexpr std::string_view kPeer = "Limits of one peer";
constexpr std::string_view kTopics = "Topics";
constexpr std::string_view kTls = "TLS";
constexpr std::string_view kCompression = "Compression";
constexpr std::string_view kOverload = "Overload and shutdown";
constexpr std::string_view kLog = "Log";

Result<void> judge_origin(const std::string& text) {
  auto pattern = protocol::OriginPattern::parse(text);
  if (!pattern) return tl::unexpected(std::move(pattern.error()));
  return {};
}

Result<void> judge_path(const std::string& text) {
  if (text.empty()) return failure("a path is missing; give the name of a PEM file");
  return {};
}

Result<void> judge_suite(const std::string& text) {
  constexpr std::array<std::string_view, 3> kKnown = {
      "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"};
  if (std::find(kKnown.begin(), kKnown.end(), text) != kKnown.end()) return {};
  return failure(
      fmt::format("'{}' is no suite that is served; there are {}", text, fmt::join(kKnown, ", ")));
}

// Whether OpenSSL knows them is seen when the certificates are loaded.
Result<void> judge_name(const std::string& text) {
  const bool is_name = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
           c == '_';
  });
  if (is_name) return {};
  return failure(fmt::format("'{}' is no name that OpenSSL could know", text));
}

Result<void> judge_cors_origin(const std::string& text) {
  if (text == "*") return {};
  return judge_origin(text);
}

Result<void> judge_proxy(const std::string& text) {
  if (text == "unix" || IpNetwork::parse(text)) return {};
  return failure(fmt::format("'{}' is not right; give NETWORK|unix, for example 10.0.0.0/8", text));
}

constexpr std::array kTable = {
    OptionRow{"listen", kPlaces, Addresses{&ServeSettings::listen},
              "Where WebSocket peers come in; repeat it, or separate with commas. Port 0 lets the "
              "kernel choose; [::] takes IPv4 peers too.",
              ""},
    OptionRow{"admin", kPlaces, AddressOrOff{&ServeSettings::admin},
              "The operator's listener: /healthz, /readyz, /metrics, /stats. Keep it away from the "
              "public.",
              ""},
    OptionRow{"backlog", kPlaces, Quantity{Unit::kCount, &ServeSettings::backlog, 1, 65535, "", {}},
              "Connections that wait in the kernel for one worker to accept them.",
              "0 would refuse everybody, and the kernel caps it at net.core.somaxconn, which few "
              "machines set higher"},

    OptionRow{
        "behind", kProxies, Choice{&ServeSettings::behind, kBalancerWords},
        "What stands in front. Gives ping-interval the preset of that name unless it is set, and "
        "warns where it does not fit.",
        ""},
    OptionRow{
        "trusted-proxies", kProxies,
        Texts{&ServeSettings::trusted_proxies, judge_proxy, "NETWORK|unix", "none"},
        "Proxies whose word for their client counts: addresses, networks, or unix for whoever "
        "comes through a unix socket. The client is then the rightmost hop that is not among them.",
        ""},
    OptionRow{
        "forwarded-header", kProxies, Choice{&ServeSettings::forwarded_header, kForwardedWords},
        "The field in which trusted proxies name their client. The other one is not looked at: "
        "a client may have sent it.",
        ""},
    OptionRow{"origins", kEntry, Texts{&ServeSettings::origins, judge_origin, "ORIGIN", "any"},
              "Web pages that may open WebSockets, by their origin: https://example.com, or "
              "https://*.example.com for every sub-domain; repeat it, or separate with commas. A "
              "page of another origin gets 403. Clients that send no Origin, which every browser "
              "does, are let in.",
              ""},

    OptionRow{"workers", kSize,
              Quantity{Unit::kCount, &ServeSettings::workers, 1, 1024, "auto", {}},
              "Threads, each with a descriptor table of its own. auto: one per CPU, or as many as "
              "connections-max needs under the "
              "descriptor limit, whichever is more.",
              "each worker costs a thread, two rings and a listening socket; 1024 of them hold "
              "millions even at a limit of 4096 descriptors"},
    OptionRow{"connections-max", kSize,
              Quantity{Unit::kCount, &ServeSettings::connections_max, 1, 100'000'000, "auto", {}},
              "Open connections in all; one more is refused with 503. auto: what descriptors and "
              "memory allow.",
              "a connection costs the kernel about 3.8 KB, so that 100,000,000 would need 380 GB"},
    OptionRow{"allow-fewer", kSize, Flag{&ServeSettings::allow_fewer},
              "Start although connections-max cannot be reached, and go on with what can.", ""},
    OptionRow{
        "connections-per-ip-max", kSize,
        Quantity{Unit::kCount, &ServeSettings::connections_per_ip_max, 1, 100'000'000, "off", {}},
        "Open connections of one peer address, or of one /64 of IPv6; one more is refused with "
        "503. "
        "Behind a balancer all peers share its address, unless it names them (listen's proxy, "
        "trusted-proxies).",
        "more than connections-max can never be reached"},
    OptionRow{
        "handshakes-per-second-max", kSize,
        Quantity{Unit::kCount, &ServeSettings::handshakes_per_second_max, 1, 10'000'000, "off", {}},
        "Upgrades in one second, all workers together; those above are refused with 503 and may "
        "come again.",
        "no kernel opens ten million connections a second"},
    OptionRow{"io", kSize, Choice{&ServeSettings::io, kIoWords},
              "How sends and receives reach the kernel: in batches through io_uring, or one by "
              "one. auto: io_uring where it is allowed.",
              ""},

    OptionRow{
        "ping-interval", kKeepalive,
        Quantity{Unit::kDuration, &ServeSettings::ping_interval, 100, kHour, "off", kPingPresets},
        "Silence after which a peer is pinged; its first ping may come sooner, so that all are "
        "spread evenly. Keep it under the idle timeout of whatever stands in between.",
        "below 100 ms pings would be most of the work, and above an hour every NAT has long "
        "forgotten the peer"},
    OptionRow{"pong-timeout", kKeepalive,
              Quantity{Unit::kDuration, &ServeSettings::pong_timeout, 100, kHour, "", {}},
              "Further silence after which a pinged peer is dropped.",
              "below 100 ms healthy peers on far networks would be dropped, and above an hour the "
              "dead fill the machine"},
    OptionRow{"idle-batch", kKeepalive,
              Quantity{Unit::kDuration, &ServeSettings::idle_batch, 1, 100, "off", {}},
              "The longest that a worker which has only keepalive to do gathers arrivals, to "
              "handle them in one batch. Messages are never delayed.",
              "a pong may wait that long, and above 100 ms nothing more is gained"},

    OptionRow{
        "handshake-timeout", kPeer,
        Quantity{Unit::kDuration, &ServeSettings::handshake_timeout, 100, 5 * kMinute, "", {}},
        "From accept to the end of the request, its body included; for a further request of a "
        "connection, from its first byte. Who is slower gets 408. A connection that asks nothing "
        "for so long after an answer is ended.",
        "below 100 ms far peers cannot make it, and above 5 minutes slow requests are a cheap way "
        "to occupy the server"},
    OptionRow{
        "close-timeout", kPeer,
        Quantity{Unit::kDuration, &ServeSettings::close_timeout, 10, kMinute, "", {}},
        "How long the server waits for a peer's end of the close handshake, and for one that does "
        "not read what it is still owed. One that reads at least 16 KiB a second has more time, "
        "in a drain no more than drain-time and this.",
        "below 10 ms no remote peer can answer, and RFC 6455 lets the server leave at any time"},
    OptionRow{"unsent-timeout", kPeer,
              Quantity{Unit::kDuration, &ServeSettings::unsent_timeout, kSecond, kHour, "off", {}},
              "How long sent bytes may stay unacknowledged before the connection is given up "
              "(TCP_USER_TIMEOUT). off: the kernel's own patience, some 15 minutes.",
              "below a second a lost packet or two would cut healthy peers, and above an hour the "
              "vanished keep their buffers"},
    OptionRow{"head-bytes-max", kPeer,
              Quantity{Unit::kBytes, &ServeSettings::head_bytes_max, 256, kMiB, "", {}},
              "Request line and headers; a longer head gets 431.",
              "a browser's upgrade has some 500 bytes plus cookies, and a megabyte of headers is "
              "no request but an attack"},
    OptionRow{"headers-max", kPeer,
              Quantity{Unit::kCount, &ServeSettings::headers_max, 1, 10'000, "", {}},
              "Header fields of one request; more get 431.",
              "HTTP/1.1 needs one (Host), and more than 10,000 do not fit a head of 64 KiB"},
    OptionRow{"message-bytes-max", kPeer,
              Quantity{Unit::kBytes, &ServeSettings::message_bytes_max, 0, 16 * kMiB, "", {}},
              "One WebSocket message (longer: close 1009) or HTTP body (longer: 413).",
              "an incomplete message is held in memory, and above 16 MiB a handful of peers could "
              "exhaust a small machine"},
    OptionRow{"fragments-max", kPeer,
              Quantity{Unit::kCount, &ServeSettings::fragments_max, 1, 65536, "", {}},
              "Frames of one message; more closes with 1008.",
              "1 forbids fragmentation, and a message of more frames than 65,536 only burns CPU"},
    OptionRow{"queue-bytes-max", kPeer,
              Quantity{Unit::kBytes, &ServeSettings::queue_bytes_max, kKiB, kGiB, "", {}},
              "Bytes that wait for a peer which reads slowly; queue-full says what happens then.",
              "below 1 KiB an ordinary hiccup counts as slow, and above 1 GiB one peer would take "
              "the machine's memory"},
    OptionRow{
        "queue-full", kPeer, Choice{&ServeSettings::queue_full, kQueueFullWords},
        "When a peer's queue is full: disconnect it; drop its oldest waiting messages; or "
        "conflate: "
        "let a newer value of the same topic and key take the place of the one that waits, and "
        "drop the oldest where that is not enough.",
        ""},
    OptionRow{
        "message-rate-max", kPeer,
        Quantity{Unit::kCount, &ServeSettings::message_rate_max, 0, 1'000'000, "off", {}},
        "Messages and control frames a second from one peer, a second's worth of them at once; "
        "more closes with 1008.",
        "a million a second is more than one worker can read"},
    OptionRow{"byte-rate-max", kPeer,
              Quantity{Unit::kBytes, &ServeSettings::byte_rate_max, 0, 1024 * kGiB, "off", {}},
              "Bytes a second from one peer, a second's worth of them at once; more closes with "
              "1008. Set it above message-bytes-max.",
              "no machine reads more than a tebibyte a second"},

    OptionRow{
        "tls-cert", kTls, Texts{&ServeSettings::tls_cert, judge_path, "FILE", "none"},
        "Certificate chain (PEM), the server's own first. With it, listeners with a port speak "
        "TLS unless they say tls=off. Several: clients choose by name. SIGHUP reads them anew.",
        ""},
    OptionRow{"tls-key", kTls, Texts{&ServeSettings::tls_key, judge_path, "FILE", "none"},
              "The private key (PEM, without a passphrase) of each certificate, in their order.",
              ""},
    OptionRow{"tls12", kTls, Flag{&ServeSettings::tls12},
              "Take clients of TLS 1.2 too. Each costs some 13 KiB more than one of TLS 1.3.", ""},
    OptionRow{
        "tls-detach", kTls, Choice{&ServeSettings::tls_detach, kOffOnWords},
        "Take connections of TLS 1.3 over from OpenSSL after their handshake. off: 14 KiB each in "
        "place of 96 bytes (docs/security.md says why one might).",
        ""},
    OptionRow{
        "tls-attached-max", kTls,
        Quantity{Unit::kCount, &ServeSettings::tls_attached_max, 0, 1'000'000, "", {}},
        "Connections that stay with OpenSSL although tls-detach is on, all workers together: those "
        "of TLS 1.2. Each worker may have its share, rounded up. Beyond it, who speaks nothing "
        "newer is refused with the alert "
        "protocol_version.",
        "at 14 KiB each a million of them take 14 GiB, which is what this is to prevent"},
    OptionRow{"tls-client-cert", kTls, Choice{&ServeSettings::tls_client_cert, kClientCertWords},
              "Whether clients are asked for a certificate. optional: who has none comes in "
              "without; who shows one must show a good one. A listener may choose for itself.",
              ""},
    OptionRow{"tls-client-ca", kTls,
              Texts{&ServeSettings::tls_client_ca, judge_path, "FILE", "none"},
              "Who may sign clients' certificates (PEM). Their revocation lists may stand there "
              "too; then each of them needs one. SIGHUP reads them anew.",
              ""},
    OptionRow{
        "tls-suites", kTls, Texts{&ServeSettings::tls_suites, judge_suite, "SUITE", "default"},
        "Suites of TLS 1.3, the preferred one first; a client that puts ChaCha20 first gets it "
        "where it is there. default: TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, "
        "TLS_CHACHA20_POLY1305_SHA256.",
        ""},
    OptionRow{
        "tls12-suites", kTls, Texts{&ServeSettings::tls12_suites, judge_name, "SUITE", "default"},
        "Suites of TLS 1.2 (with tls12), as OpenSSL names them, the preferred one first. "
        "One without forward secrecy or without AEAD is refused. default: those with ECDHE and "
        "AES-128-GCM, AES-256-GCM, ChaCha20.",
        ""},
    OptionRow{"tls-groups", kTls, Texts{&ServeSettings::tls_groups, judge_name, "GROUP", "default"},
              "Groups in which keys are exchanged, as OpenSSL names them, the preferred one first. "
              "default: X25519, P-256, P-384; the finite fields cost the server far more than the "
              "client.",
              ""},
    OptionRow{
        "tls-ticket-lifetime", kTls,
        Quantity{Unit::kDuration, &ServeSettings::tls_ticket_lifetime, kSecond, 7 * kDay, "", {}},
        "How long a client may come back with a session ticket, which saves it and the "
        "server most of a handshake. A key for tickets is made anew as often, and opens "
        "them for as long again.",
        "below a second nobody is back, and RFC 8446 ends a ticket after seven days"},
    OptionRow{"tls-ticket-keys", kTls,
              Texts{&ServeSettings::tls_ticket_keys, judge_path, "FILE", "none"},
              "Ticket keys that several servers share, so that a client may come back to any of "
              "them: 80 random bytes as base64 in a line, the first one seals. SIGHUP reads them "
              "anew; to change them is your part then.",
              ""},
    OptionRow{
        "deflate", kCompression, Choice{&ServeSettings::deflate, kDeflateWords},
        "Whether messages are compressed for peers that offer it (permessage-deflate). on: each "
        "message alone, and an idle peer costs no memory. takeover: messages may refer to those "
        "before them, in windows that each peer keeps.",
        ""},
    OptionRow{"deflate-window-bits", kCompression,
              Quantity{Unit::kCount, &ServeSettings::deflate_window_bits, 9, 15, "", {}},
              "With deflate = takeover, the largest window that is kept for a peer: 2^N bytes.",
              "less than 512 bytes zlib does not compress with, and RFC 7692 knows no more than 32 "
              "KiB; each step doubles the memory of every peer that talks"},

    OptionRow{
        "topic-window", kTopics,
        Quantity{Unit::kDuration, &ServeSettings::topic_window, 0, kSecond, "off", {}},
        "/topics/<name>: messages that come within so long of the first leave in one write, "
        "unless a subscriber asks for another window (?window=5ms). With ?conflate only the newest "
        "of each key (POST /topics/<name>?key=K) in a window is sent; 5 ms where none is set.",
        "a second is long for a message to wait"},
    OptionRow{"publish-token", kTopics, Secret{&ServeSettings::publish_token},
              "Bearer token that POST /topics/<name> must bring. Without one, only loopback may "
              "publish. Prefer the environment or the file: "
              "a command line can be read by every user of the machine.",
              ""},

    OptionRow{
        "cors-origins", kTopics,
        Texts{&ServeSettings::cors_origins, judge_cors_origin, "ORIGIN|*", "none"},
        "Web pages that may publish from a browser, by their origin; * for all. A page of the "
        "same host always may, any other is refused with 403.",
        ""},

    OptionRow{"high-water-percent", kOverload,
              Quantity{Unit::kPercent, &ServeSettings::high_water_percent, 1, 100, "", {}},
              "Use of connections, descriptors or memory at which /readyz turns false: the signal "
              "to scale out.",
              "it is a share of what there is"},
    OptionRow{"retry-after", kOverload,
              Quantity{Unit::kDuration, &ServeSettings::retry_after, kSecond, kHour, "", {}},
              "What refused peers are told to wait (Retry-After, rounded up to whole seconds).",
              "the header speaks in whole seconds, and nobody waits longer than an hour"},
    OptionRow{
        "drain-time", kOverload,
        Quantity{Unit::kDuration, &ServeSettings::drain_time, 0, kHour, "", {}},
        "Closes after SIGTERM are spread evenly over this time, so that peers do not all come back "
        "at once. Whoever is left after it has close-timeout, and is cut then.",
        "supervisors lose patience: keep it under systemd's TimeoutStopSec (90 s by default)"},

    OptionRow{"log-level", kLog, Choice{&ServeSettings::log_level, kLogLevelWords},
              "The least important lines that are written.", ""},
    OptionRow{"log-format", kLog, Choice{&ServeSettings::log_format, kLogFormatWords},
              "Lines for people, or one JSON object each.", ""},
};

std::string in_words(const Origin& origin) {
  switch (origin.source) {
    case Source::kDefault:
      return "default";
    case Source::kFile:
      return origin.place;
    case Source::kEnvironment:
      return origin.place + " (environment)";
    case Source::kCommandLine:
      return origin.place + " (command line)";
  }
  return {};
}

// Joins what is given, from the weakest source to the strongest.
class Resolver {
 public:
  Resolver() { result_.origins.resize(kTable.size()); }

  void take_file(const std::string& path) {
    Result<FileValues> file = read_options_file(path);
    if (!file) return problem(std::move(file.error().message));
    for (std::string& line : file->problems) problem(std::move(line));
    for (const FileValue& value : file->values)
      take(value.name, value.texts, {Source::kFile, value.place});
  }

  void take_environment(const std::map<std::string, std::string, std::less<>>& environment) {
    std::vector<std::string> known = {"HOLDFAST_CONFIG"};
    for (const OptionRow& row : kTable) {
      known.push_back(environment_name(row));
      const auto found = environment.find(known.back());
      if (found == environment.end() || found->second.empty()) continue;
      take(row.name, {found->second}, {Source::kEnvironment, known.back()});
    }
    warn_of_slips(environment, known);
  }

  void take_command_line(
      const std::map<std::string, std::vector<std::string>, std::less<>>& options) {
    for (const auto& [name, texts] : options)
      take(name, texts, {Source::kCommandLine, "--" + name});
  }

  Result<ServeConfiguration> finish() {
    if (problems_.empty()) fit_to_balancer();
    if (problems_.empty()) check_together();
    if (problems_.empty()) return std::move(result_);
    return failure(fmt::format("{}", fmt::join(problems_, "\n")));
  }

 private:
  void problem(std::string line) { problems_.push_back(std::move(line)); }

  void take(std::string_view name, const std::vector<std::string>& texts, Origin origin) {
    const OptionRow* row = find_serve_option(name);
    if (row == nullptr) return problem(fmt::format("{}: no such option", in_words(origin)));
    const Result<void> read = read_option(*row, texts, result_.settings);
    if (!read) {
      const std::string where = in_words(origin);
      return problem(origin.source == Source::kFile
                         ? fmt::format("{}: {}: {}", where, name, read.error().message)
                         : fmt::format("{}: {}", where, read.error().message));
    }
    result_.origins[static_cast<std::size_t>(row - kTable.data())] = std::move(origin);
  }

  // A service called "holdfast" makes Kubernetes set HOLDFAST_PORT and more: strangers are no
  // error, slips are worth a word.
  void warn_of_slips(const std::map<std::string, std::string, std::less<>>& environment,
                     const std::vector<std::string>& known) {
    constexpr std::string_view kPrefix = "HOLDFAST_";
    std::vector<std::string_view> suffixes;
    for (const std::string& name : known)
      suffixes.push_back(std::string_view(name).substr(kPrefix.size()));
    for (auto at = environment.lower_bound(kPrefix);
         at != environment.end() && at->first.starts_with(kPrefix); ++at) {
      const bool generators = at->first.starts_with("HOLDFAST_LOAD_");
      if (generators || std::find(known.begin(), known.end(), at->first) != known.end()) continue;
      const std::string_view nearest =
          nearest_name(std::string_view(at->first).substr(kPrefix.size()), suffixes);
      if (nearest.empty()) continue;
      result_.warnings.push_back(
          fmt::format("the environment's {} is no option and is ignored; did you mean {}{}?",
                      at->first, kPrefix, nearest));
    }
  }

  Origin& origin_of(std::string_view name) {
    return result_.origins[static_cast<std::size_t>(find_serve_option(name) - kTable.data())];
  }

  void fit_to_balancer() {
    ServeSettings& settings = result_.settings;
    if (settings.behind == Balancer::kNone) return;
    const auto index = static_cast<std::size_t>(settings.behind);
    const std::string_view name = kBalancerWords[index];
    const std::chrono::seconds patience(kBalancerPatience[index]);
    const OptionRow& interval = *find_serve_option("ping-interval");
    if (origin_of("ping-interval").source == Source::kDefault) {
      if (read_option(interval, {std::string(name)}, settings))
        origin_of("ping-interval") = origin_of("behind");
    } else if (settings.ping_interval.count() == 0 || settings.ping_interval * 2 > patience) {
      result_.warnings.push_back(
          fmt::format("ping-interval {} does not fit behind {}, which cuts after {} s of silence: "
                      "a ping that is late would be too late; "
                      "ping-interval {} would do",
                      option_texts(interval, settings).front(), name, patience.count(), name));
    }
    const bool is_named = std::any_of(
        settings.listen.begin(), settings.listen.end(),
        [](const std::string& text) { return text.find(",proxy=") != std::string::npos; });
    if (settings.connections_per_ip_max > 0 && settings.trusted_proxies.empty() && !is_named) {
      result_.warnings.push_back(
          fmt::format("connections-per-ip-max counts {} as one address: let it name its clients "
                      "(trusted-proxies, or proxy of listen)",
                      name));
    }
  }

  void check_together() {
    const ServeSettings& settings = result_.settings;
    const auto is_admins = [&](const std::string& text) {
      return text.substr(0, text.find(',')) == settings.admin;
    };
    const auto& listen = settings.listen;
    if (!settings.admin.ends_with(":0") && std::any_of(listen.begin(), listen.end(), is_admins)) {
      problem(fmt::format(
          "listen and admin both name {}; give the operator's listener a port of its own, or off",
          settings.admin));
    }
    if (settings.queue_bytes_max < settings.message_bytes_max) {
      result_.warnings.push_back(
          "queue-bytes-max is less than message-bytes-max: a message of the full size that cannot "
          "leave at once overflows its queue");
    }
  }

  ServeConfiguration result_;
  std::vector<std::string> problems_;
};

}  // namespace

std::span<const OptionRow> serve_option_table() { return kTable; }

const OptionRow* find_serve_option(std::string_view name) {
  const auto same = [](char a, char b) { return a == b || (a == '-' && b == '_'); };
  const auto found = std::find_if(kTable.begin(), kTable.end(), [&](const OptionRow& row) {
    return std::equal(row.name.begin(), row.name.end(), name.begin(), name.end(), same);
  });
  return found == kTable.end() ? nullptr : &*found;
}

Result<ServeConfiguration> resolve_serve_options(const ServeInputs& inputs) {
  std::string config_path = inputs.config_path;
  const auto named = inputs.environment.find("HOLDFAST_CONFIG");
  if (config_path.empty() && named != inputs.environment.end()) config_path = named->second;

  Resolver resolver;
  if (!config_path.empty()) resolver.take_file(config_path);
  resolver.take_environment(inputs.environment);
  resolver.take_command_line(inputs.command_line);
  auto configuration = resolver.finish();
  if (configuration) configuration->config_path = config_path;
  return configuration;
}

std::map<std::string, std::string, std::less<>> process_environment() {
  std::map<std::string, std::string, std::less<>> result;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos)
      result.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return result;
}

}  // namespace holdfast::commands
