#pragma once

// Everything that a load run can be told. Each field: what it is, its unit, its default, its bounds
// and their reason. The command line and the environment are read into this by the rows of
// load_option_table().

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "load/pusher_client.h"
#include "net/loop.h"
#include "protocol/tls_client.h"

namespace holdfast::load {

enum class Scenario : std::uint8_t { kIdle, kEcho, kFanout, kStorm, kSlowReader, kHalfOpen };
std::string_view name(Scenario scenario);

// What is spoken over the WebSockets.
enum class Speech : std::uint8_t { kPlain, kPusher };

// How connections are ended by the generator, in storms and at the end.
enum class Leave : std::uint8_t {
  kReset,  // RST: what a dying machine leaves behind; no TIME_WAIT, so the next run finds its ports
           // free
  kClose,  // a Close frame, then FIN
};

// Who goes on with a session of before, by ticket (RFC 8446 2.2). New clients have none.
enum class Resume : std::uint8_t {
  kReturning,  // those that were here before: the returns of a storm
  kAlways,     // all, as soon as a worker has a session
  kNever,
};

// What "vanished" means in the half-open scenario.
enum class Vanish : std::uint8_t {
  kSilent,  // the peer's kernel drops every segment: no ACK, no FIN, no RST; an unplugged cable
  kMute,    // the peer's kernel still acknowledges, its program never answers: a hung process
};

struct LoadOptions {
  using Milliseconds = std::chrono::milliseconds;

  std::string url;  // ws://HOST:PORT/PATH, or wss://
  Scenario scenario = Scenario::kIdle;
  std::uint64_t connections = 1000;  // asked for in all; 1..100,000,000
  std::uint32_t rate =
      10'000;  // opens per second in all; 0: as fast as in_flight lets; ..10,000,000
  std::uint32_t in_flight = 200;      // opens under way per worker; 1..100,000
  Milliseconds hold{60'000};          // held after all are open; 0..7 days
  Milliseconds open_timeout{10'000};  // from connect() to the 101; 10 ms..10 min
  Milliseconds settle{5'000};         // wait for the last messages; 0..10 min
  Milliseconds idle_batch{20};        // pings of so long are answered together; 0..100 ms
  std::uint32_t workers = 0;          // threads; 0: auto; 1..1024
  std::string sources = "auto";       // "auto", or CIDRs separated by commas
  double message_rate =
      1;  // echo: per connection and second; fanout: publications per second; 0..1,000,000
  std::uint32_t message_bytes = 64;      // of one message; 32..16 MiB
  std::uint32_t rounds = 3;              // storm: drops and returns; 1..10,000
  Milliseconds retry_delay{250};         // storm: before a refused peer comes again; 0..1 min
  Milliseconds return_timeout{120'000};  // storm: longest wait for all to be back; 1 s..1 h
  double slow_share = 0.1;               // slow-reader: part of the peers that stop reading; 0..1
  double vanish_share = 0.1;             // half-open: part of the peers that vanish; 0..1
  Vanish vanish = Vanish::kSilent;
  Leave leave = Leave::kReset;
  bool allow_fewer = false;  // go on with as many as can be reached
  net::Io io = net::Io::kAuto;
  std::string publish_token;  // bearer token for POST /topics/<name>
  std::string ca_file;        // wss: PEM, of whom to trust; empty: those whom the system trusts
  bool insecure = false;      // wss: believe whoever answers
  std::string server_name;    // wss: whom the certificate must name; empty: the URL's host
  Resume resume = Resume::kReturning;
  protocol::TlsVersions tls_versions = protocol::TlsVersions::kAll;
  bool deflate = false;  // offer permessage-deflate, without takeover
  Speech protocol = Speech::kPlain;
  // pusher, idle: how often a client sends pusher:ping; 0: never; at most 1 h
  Milliseconds client_ping_interval{120'000};
  std::uint32_t channels = 1;  // pusher: each client is on one of so many; 1..1,000,000
  ChannelKind channel_kind = ChannelKind::kPublic;     // pusher
  PusherApp pusher_app{"1", "app-key", "app-secret"};  // pusher: the development app
  std::string report;                                  // JSON file to write; empty: none
  std::string html;                                    // HTML page to write; empty: none
};

// One option: what it is called, what may be said, and why. Views live as long as the program.
struct LoadOption {
  std::string_view name;          // "--rate"; the environment's HOLDFAST_LOAD_RATE
  std::string_view placeholder;   // "N/s"; empty for a flag
  std::string_view default_text;  // "10,000"
  std::string_view help;          // one line
  std::string_view bounds;        // "0 to 10,000,000; 0: as fast as --in-flight lets"
  std::string_view reason;        // why these bounds and this default
  bool secret;                    // its value is never shown again
  // Reads the text into the options. The error says what was met and what would be right, not the
  // option's name.
  Result<void> (*apply)(LoadOptions& options, std::string_view text);
};

std::span<const LoadOption> load_option_table();
std::string environment_name(const LoadOption& option);  // "HOLDFAST_LOAD_RATE"

// What single options cannot see: that they fit each other. The error names the option, its value
// and what would be right.
Result<void> check_options(const LoadOptions& options);

}  // namespace holdfast::load
