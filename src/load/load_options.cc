#include "load/load_options.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <charconv>

#include "base/units.h"
#include "load/message.h"

namespace holdfast::load {
namespace {

constexpr std::array<std::string_view, 6> kScenarioNames = {"idle",  "echo",        "fanout",
                                                            "storm", "slow-reader", "half-open"};
constexpr std::array<std::string_view, 2> kLeaveNames = {"reset", "close"};
constexpr std::array<std::string_view, 2> kVanishNames = {"silent", "mute"};
constexpr std::array<std::string_view, 2> kSpeechNames = {"plain", "pusher"};
constexpr std::array<std::string_view, 3> kResumeNames = {"returning", "always", "never"};
constexpr std::array<std::string_view, 3> kTlsNames = {"auto", "1.2", "1.3"};
constexpr std::array<std::string_view, 3> kKindNames = {"public", "private", "presence"};
constexpr std::array<std::string_view, 3> kIoNames = {"auto", "uring", "epoll"};

Result<std::uint64_t> count_between(std::string_view text, std::uint64_t least,
                                    std::uint64_t most) {
  auto count = parse_count(text);
  if (!count) return count;
  if (*count < least || *count > most) {
    return failure(fmt::format("must be {} to {}", format_count(least), format_count(most)));
  }
  return count;
}

template <class Integer>
Result<void> read_count(Integer& field, std::string_view text, std::uint64_t least,
                        std::uint64_t most) {
  const auto count = count_between(text, least, most);
  if (!count) return tl::unexpected(count.error());
  field = static_cast<Integer>(*count);
  return {};
}

Result<void> read_duration(std::chrono::milliseconds& field, std::string_view text,
                           std::chrono::milliseconds least, std::chrono::milliseconds most) {
  const auto duration = parse_duration(text);
  if (!duration) return tl::unexpected(duration.error());
  if (*duration < least || *duration > most) {
    return failure(fmt::format("must be {} to {}", format_duration(least), format_duration(most)));
  }
  field = *duration;
  return {};
}

Result<void> read_number(double& field, std::string_view text, double least, double most) {
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size() ||
      !(number >= least && number <= most)) {
    return failure(fmt::format("must be a number from {} to {}", least, most));
  }
  field = number;
  return {};
}

// A part of the whole: "0.1" or "10%".
Result<void> read_share(double& field, std::string_view text) {
  const bool percent = !text.empty() && text.back() == '%';
  double number = 0;
  if (auto read = read_number(number, percent ? text.substr(0, text.size() - 1) : text, 0,
                              percent ? 100 : 1);
      !read) {
    return failure("must be a part of the whole, 0 to 1, or 0% to 100%");
  }
  field = percent ? number / 100 : number;
  return {};
}

template <class Enum, std::size_t N>
Result<void> read_choice(Enum& field, std::string_view text,
                         const std::array<std::string_view, N>& words) {
  for (std::size_t i = 0; i < N; ++i) {
    if (words[i] == text) {
      field = static_cast<Enum>(i);
      return {};
    }
  }
  return failure(fmt::format("must be one of {}", fmt::join(words, ", ")));
}

Result<void> read_flag(bool& field, std::string_view text) {
  if (text == "true" || text == "1" || text == "yes" || text == "on") {
    field = true;
  } else if (text == "false" || text == "0" || text == "no" || text == "off") {
    field = false;
  } else {
    return failure("must be true or false");
  }
  return {};
}

using Options = LoadOptions;

Result<void> read_text(std::string& field, std::string_view text) {
  field = text;
  return {};
}

Result<void> read_workers(Options& options, std::string_view text) {
  if (text != "auto") return read_count(options.workers, text, 1, 1024);
  options.workers = 0;
  return {};
}

Result<void> read_sources(Options& options, std::string_view text) {
  if (text.empty()) return failure("must be auto, or CIDRs such as 10.0.0.16/28");
  return read_text(options.sources, text);
}

Result<void> read_message_bytes(Options& options, std::string_view text) {
  const auto bytes = parse_bytes(text);
  if (!bytes) return tl::unexpected(bytes.error());
  if (*bytes < kMessageBytesMin || *bytes > kMessageBytesMax) {
    return failure("must be 32 to 16MiB: sender, sequence and send time take 32 bytes");
  }
  options.message_bytes = static_cast<std::uint32_t>(*bytes);
  return {};
}

Result<void> read_pusher_app(Options& options, std::string_view text) {
  auto app = PusherApp::parse(text);
  if (!app) return tl::unexpected(app.error());
  options.pusher_app = *std::move(app);
  return {};
}

Result<void> read_server_name(Options& options, std::string_view text) {
  for (const char c : text) {
    if (c <= ' ' || c > '~') return failure("must be a DNS name or an IP address");
  }
  if (text.empty()) return failure("must be a DNS name or an IP address");
  return read_text(options.server_name, text);
}

Result<void> read_token(Options& options, std::string_view text) {
  for (const char c : text) {
    if (c <= ' ' || c > '~') return failure("must be printable text without spaces");
  }
  return read_text(options.publish_token, text);
}

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::array kTable = {
    LoadOption{"--connections", "N", "1,000", "Connections to open and hold.", "1 to 100,000,000",
               "More than that many records would not fit a load machine's memory.", false,
               [](Options& o, std::string_view t) {
                 return read_count(o.connections, t, 1, 100'000'000);
               }},
    LoadOption{"--rate", "N", "10,000", "Opens per second, over all workers.",
               "0 to 10,000,000 per second; 0: as fast as --in-flight lets",
               "The default takes well under one core of a server; a storm ignores it.", false,
               [](Options& o, std::string_view t) { return read_count(o.rate, t, 0, 10'000'000); }},
    LoadOption{
        "--in-flight", "N", "200", "Opens under way at once, per worker.", "1 to 100,000",
        "Above the server's listen backlog (4,096 by default, over all workers) SYNs are dropped "
        "and come again after 1 s.",
        false,
        [](Options& o, std::string_view t) { return read_count(o.in_flight, t, 1, 100'000); }},
    LoadOption{"--hold", "DURATION", "60s", "How long to hold once all are open.",
               "0 to 7 days (168h)", "The default sees two ping intervals of 25 s.", false,
               [](Options& o, std::string_view t) {
                 return read_duration(o.hold, t, milliseconds(0), hours(168));
               }},
    LoadOption{"--open-timeout", "DURATION", "10s", "From connect() to the 101 answer.",
               "10ms to 10m", "A peer that waited longer is counted as refused (timeout).", false,
               [](Options& o, std::string_view t) {
                 return read_duration(o.open_timeout, t, milliseconds(10), minutes(10));
               }},
    LoadOption{"--settle", "DURATION", "5s",
               "How long to wait for the last messages after sending ends.", "0 to 10m",
               "What arrives later is counted as missing.", false,
               [](Options& o, std::string_view t) {
                 return read_duration(o.settle, t, milliseconds(0), minutes(10));
               }},
    LoadOption{
        "--idle-batch", "DURATION", "20ms",
        "While held connections are silent but for pings, how long arrivals are gathered and "
        "answered together.",
        "0 to 100ms",
        "Gathering halves the generator's CPU; 0 answers each ping as it comes, as that many "
        "separate clients would.",
        false,
        [](Options& o, std::string_view t) {
          return read_duration(o.idle_batch, t, milliseconds(0), milliseconds(100));
        }},
    LoadOption{"--workers", "N", "auto", "Threads, each with a descriptor table of its own.",
               "1 to 1,024, or auto",
               "auto: one per CPU, or as many as --connections needs at the descriptor limit, "
               "whichever is more.",
               false, read_workers},
    LoadOption{"--sources", "CIDR,...", "auto", "Source addresses to connect from.",
               "auto, or addresses and CIDRs of this machine separated by commas",
               "One source address has only the ports of net.ipv4.ip_local_port_range towards one "
               "server address. auto: 127.16.0.0/12 "
               "on loopback, elsewhere the addresses of the interface that leads to the server.",
               false, read_sources},
    LoadOption{
        "--scenario", "NAME", "idle", "What the connections do.",
        "idle, echo, fanout, storm, slow-reader, half-open",
        "idle: held and pinged. echo: each sends and checks the answer. fanout: all are on one "
        "topic that the generator publishes to. "
        "storm: dropped all at once, then back as fast as the server takes. slow-reader: some stop "
        "reading. half-open: some vanish "
        "without a FIN.",
        false,
        [](Options& o, std::string_view t) { return read_choice(o.scenario, t, kScenarioNames); }},
    LoadOption{"--message-rate", "R", "1",
               "Echo: messages per second of each connection; fanout: publications per second.",
               "0 to 1,000,000, fractions allowed",
               "0: connect and listen only, while another machine publishes.", false,
               [](Options& o, std::string_view t) {
                 return read_number(o.message_rate, t, 0, 1'000'000);
               }},
    LoadOption{"--message-bytes", "B", "64", "Size of one message.", "32 to 16MiB",
               "Sender, sequence and send time take the first 32 bytes.", false,
               read_message_bytes},
    LoadOption{"--rounds", "N", "3", "Storm: how often all are dropped.", "1 to 10,000",
               "Ten show whether memory comes back to the same level.", false,
               [](Options& o, std::string_view t) { return read_count(o.rounds, t, 1, 10'000); }},
    LoadOption{"--retry-delay", "DURATION", "250ms",
               "Storm: how long a refused peer waits before it comes again.", "0 to 1m",
               "Less is a harder storm than browsers make.", false,
               [](Options& o, std::string_view t) {
                 return read_duration(o.retry_delay, t, milliseconds(0), minutes(1));
               }},
    LoadOption{
        "--return-timeout", "DURATION", "2m", "Storm: longest wait until all are back.", "1s to 1h",
        "A round that lasts longer is given up, and those missing are counted as lost.", false,
        [](Options& o, std::string_view t) {
          return read_duration(o.return_timeout, t, seconds(1), hours(1));
        }},
    LoadOption{"--slow-share", "SHARE", "10%", "Slow-reader: part of the peers that stop reading.",
               "0 to 1, or 0% to 100%",
               "The others are watched: a slow peer must not cost them anything.", false,
               [](Options& o, std::string_view t) { return read_share(o.slow_share, t); }},
    LoadOption{
        "--vanish-share", "SHARE", "10%", "Half-open: part of the peers that vanish.",
        "0 to 1, or 0% to 100%",
        "The server must drop them within its ping interval and pong timeout, and keep the others.",
        false, [](Options& o, std::string_view t) { return read_share(o.vanish_share, t); }},
    LoadOption{
        "--vanish", "HOW", "silent", "Half-open: how peers vanish.", "silent, mute",
        "silent: their kernel drops all that arrives (no ACK, no RST), like an unplugged machine. "
        "mute: acknowledged, "
        "never answered, like a hung program.",
        false,
        [](Options& o, std::string_view t) { return read_choice(o.vanish, t, kVanishNames); }},
    LoadOption{"--leave", "HOW", "reset",
               "How connections are ended, in storms and when all is done.", "reset, close",
               "reset leaves no TIME_WAIT, so that the next run finds its ports free; close says "
               "goodbye (1000) first.",
               false,
               [](Options& o, std::string_view t) { return read_choice(o.leave, t, kLeaveNames); }},
    LoadOption{"--allow-fewer", "", "off",
               "Go on with as many connections as this machine can make.", "",
               "The missing ones still count as lost.", false,
               [](Options& o, std::string_view t) { return read_flag(o.allow_fewer, t); }},
    LoadOption{"--io", "HOW", "auto", "How bytes reach the kernel.", "auto, uring, epoll",
               "auto: io_uring where it is allowed.", false,
               [](Options& o, std::string_view t) { return read_choice(o.io, t, kIoNames); }},
    LoadOption{"--publish-token", "TOKEN", "none", "Bearer token for publishing.",
               "printable text without spaces",
               "Needed where the server was started with one. Safer in the environment than on the "
               "command line.",
               true, read_token},
    LoadOption{"--cafile", "FILE", "none", "wss: certificates of whom to trust.",
               "a file in the PEM format",
               "Without it: those whom the system trusts. A certificate that signed itself is one "
               "to give.",
               false, [](Options& o, std::string_view t) { return read_text(o.ca_file, t); }},
    LoadOption{"--insecure", "", "off", "wss: believe whoever answers.", "",
               "For tests: the certificate is not looked at.", false,
               [](Options& o, std::string_view t) { return read_flag(o.insecure, t); }},
    LoadOption{"--server-name", "NAME", "none",
               "wss: the name to ask for (SNI), which the certificate must have.",
               "a DNS name, or an IP address",
               "Without it: the URL's host. For URLs with an address in place of the name.", false,
               read_server_name},
    LoadOption{
        "--resume", "WHO", "returning",
        "wss: who takes up a session of before with a ticket, in place of a full handshake.",
        "returning, always, never",
        "returning: those that come back in a storm, as browsers do. always: all, as soon as "
        "a worker has a session.",
        false,
        [](Options& o, std::string_view t) { return read_choice(o.resume, t, kResumeNames); }},
    LoadOption{
        "--tls", "VERSION", "auto", "wss: the versions of TLS to offer.", "auto, 1.2, 1.3",
        "auto: both. A connection of 1.2 takes 14 KiB of this machine's memory, one of 1.3 "
        "128 bytes.",
        false,
        [](Options& o, std::string_view t) { return read_choice(o.tls_versions, t, kTlsNames); }},
    LoadOption{
        "--deflate", "", "off",
        "Offer compression (permessage-deflate, without takeover), and compress what is sent.", "",
        "A server that declines it counts as refusing.", false,
        [](Options& o, std::string_view t) { return read_flag(o.deflate, t); }},
    LoadOption{
        "--protocol", "NAME", "plain", "What is spoken over the WebSockets.", "plain, pusher",
        "pusher: each client is open when it is on its channel; scenarios idle, fanout and storm. "
        "The path of the URL does not matter then.",
        false,
        [](Options& o, std::string_view t) { return read_choice(o.protocol, t, kSpeechNames); }},
    LoadOption{"--client-ping-interval", "DURATION", "120s",
               "Pusher: how often an idle client sends pusher:ping and awaits the pusher:pong.",
               "0 to 1h; 0: never",
               "The client libraries do so after as long a silence as the server named, 120 s; the "
               "server's own keepalive is invisible to a browser's page.",
               false,
               [](Options& o, std::string_view t) {
                 return read_duration(o.client_ping_interval, t, milliseconds(0), hours(1));
               }},
    LoadOption{
        "--channels", "N", "1", "Pusher: channels that the clients are spread over.",
        "1 to 1,000,000", "With the scenario fanout, whose events go to all clients, 1.", false,
        [](Options& o, std::string_view t) { return read_count(o.channels, t, 1, 1'000'000); }},
    LoadOption{
        "--channel-kind", "KIND", "public", "Pusher: what kind of channels they are.",
        "public, private, presence",
        "private and presence: each subscription is signed. presence: each client is a user of its "
        "own; a channel takes as many as the app allows, 100 by default.",
        false,
        [](Options& o, std::string_view t) { return read_choice(o.channel_kind, t, kKindNames); }},
    LoadOption{"--pusher-app", "ID:KEY:SECRET", "1:app-key:app-secret",
               "Pusher: the app to be a client of, and to publish for.", "",
               "The default is the development app.", true, read_pusher_app},
    LoadOption{"--report", "FILE", "none", "Write the report as JSON, for `holdfast report`.",
               "a file name", "", false,
               [](Options& o, std::string_view t) { return read_text(o.report, t); }},
    LoadOption{"--html", "FILE", "none", "Write the report as one self-contained page.",
               "a file name", "", false,
               [](Options& o, std::string_view t) { return read_text(o.html, t); }},
};

}  // namespace

std::string_view name(Scenario scenario) {
  return kScenarioNames[static_cast<std::size_t>(scenario)];
}

std::span<const LoadOption> load_option_table() { return kTable; }

std::string environment_name(const LoadOption& option) {
  std::string result = "HOLDFAST_LOAD_";
  for (const char c : option.name.substr(2)) {
    result += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return result;
}

}  // namespace holdfast::load
