#pragma once

// Everything a server can be told. Each field: what it is, its unit, its default, its bounds and
// the reason for them. The command line, the environment and the configuration file are read into
// this (src/commands/serve_options.h has the table).

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace holdfast {

enum class IoChoice : std::uint8_t { kAuto, kUring, kEpoll };
enum class ForwardedHeader : std::uint8_t { kXForwardedFor, kForwarded };
enum class QueueFullPolicy : std::uint8_t { kDisconnect, kDropOldest, kConflate };
enum class ClientCertificates : std::uint8_t { kOff, kOptional, kRequired };
enum class DeflateChoice : std::uint8_t { kOff, kOn, kTakeover };

struct Options {
  using Milliseconds = std::chrono::milliseconds;

  // --- where it listens
  // ADDR:PORT or unix:/path each; port 0 lets the kernel choose. Behind the address may stand what
  // is special there:
  // ",proxy=on|v1|v2|off", ",ipv6-only=on|off", ",mode=0660",
  // ",deflate=off|on|takeover", and what its TLS has of its own (docs/options.md). At most 255.
  std::vector<std::string> listen = {"127.0.0.1:8080"};
  std::string admin = "127.0.0.1:9090";  // ADDR:PORT of the operator's listener, or "off"
  std::uint32_t backlog = 4096;          // waiting handshakes per worker and listener; 1..65535

  // --- who may come in
  // Origins whose pages may open WebSockets (RFC 6455 10.2): "https://example.com",
  // "https://*.example.com" (any sub-domain, not itself) or "null". None: pages of every origin.
  // Clients that send no Origin, which every browser does, are let in either way.
  std::vector<std::string> origins = {};

  // --- how big it is
  std::uint32_t workers = 0;  // threads, each with a descriptor table of its own; 0 = auto; 1..1024
  std::uint64_t connections_max =
      0;                     // open connections in all; 0 = auto: what descriptors and memory allow
  bool allow_fewer = false;  // start although connections_max cannot be reached
  std::uint32_t connections_per_ip_max = 0;     // of IPv6: per /64; 0 = no limit
  std::uint32_t handshakes_per_second_max = 0;  // in all; 0 = no limit
  IoChoice io = IoChoice::kAuto;

  // --- behind proxies
  // Networks ("10.0.0.0/8", "::1") of proxies whose word for their client counts; "unix": whoever
  // comes through a unix socket.
  std::vector<std::string> trusted_proxies;
  ForwardedHeader forwarded_header =
      ForwardedHeader::kXForwardedFor;  // where they say it; the other one is not looked at

  // --- keepalive (RFC 6455 5.5.2)
  Milliseconds ping_interval{
      25'000};  // silence after which a peer is pinged; 0 = never; 100 ms..1 h
  Milliseconds pong_timeout{10'000};  // further silence after which it is dropped; 100 ms..1 h
  Milliseconds idle_batch{20};        // longest that a worker with keepalive alone to do gathers
                                      // arrivals; 0 = never; ..100 ms

  // --- limits of one peer
  Milliseconds handshake_timeout{
      10'000};  // from accept to the end of the request, its body included; for a further request
                // of a connection, from its first byte; 100 ms..5 min
  Milliseconds close_timeout{1'000};  // wait for the peer's end of a close handshake; 10 ms..1 min
  Milliseconds unsent_timeout{
      30'000};  // bytes unacknowledged by the peer's machine; 0 = the kernel's; 1 s..1 h
  std::uint32_t head_bytes_max = 8192;          // request line and headers; 256..1 MiB
  std::uint32_t headers_max = 100;              // header fields of one request; 1..10,000
  std::uint32_t message_bytes_max = 64 * 1024;  // one WebSocket message or HTTP body; 0..16 MiB
  std::uint32_t fragments_max = 1024;           // frames of one message; 1..65536
  std::uint32_t queue_bytes_max =
      1024 * 1024;  // bytes waiting for a peer that reads slowly; 1 KiB..1 GiB
  QueueFullPolicy queue_full = QueueFullPolicy::kDisconnect;
  std::uint32_t message_rate_max =
      0;  // messages and control frames a second from one peer, a second's worth at once; 0 = no
          // limit; ..1,000,000. Requests over HTTP are under no such limit
  std::uint64_t byte_rate_max =
      0;  // bytes a second from one peer, a second's worth at once; 0 = no limit

  // --- fan-out
  Milliseconds topic_window{0};  // /topics/<name>: messages that come within so long leave in one
                                 // write; 0 = at once; ..1 s

  // --- TLS
  // Certificate chains as PEM files, and the private key of each, in the same order. Any: every
  // listener with a port speaks TLS, unless it says ",tls=off". Clients choose by name (SNI); the
  // first serves those that name nobody we know. Read again by Server::reload_certificates().
  std::vector<std::string> tls_cert = {};
  std::vector<std::string> tls_key = {};
  bool tls12 = false;  // TLS 1.2 too; such a connection costs some 13 KiB more than one of TLS 1.3
  // Take connections of TLS 1.3 over from OpenSSL after their handshake: 128 B each in place of
  // 14 KiB.
  bool tls_detach = true;
  // Connections that OpenSSL keeps although tls_detach is on, which is those of TLS 1.2, at
  // once. Who speaks nothing newer is refused beyond it; 0..1,000,000.
  std::uint32_t tls_attached_max = 4096;
  // Whether clients are asked for a certificate (a listener may choose for itself), and PEM files
  // of those who may sign one, with their revocation lists, if there are any. What one showed is in
  // Request::client_certificate(). kOptional: who has none comes in without.
  ClientCertificates tls_client_cert = ClientCertificates::kOff;
  std::vector<std::string> tls_client_ca = {};
  // As OpenSSL names them, the preferred one first; none: what docs/options.md tells. Of TLS 1.3
  // three suites are known, of TLS 1.2 those with forward secrecy and AEAD. And the groups in which
  // keys are exchanged.
  std::vector<std::string> tls_suites = {};
  std::vector<std::string> tls12_suites = {};
  std::vector<std::string> tls_groups = {};
  // How long a client may come back with a session ticket, and how often the server makes a new key
  // for them, taking tickets of the one before; 1 s..7 d (RFC 8446 4.6.1).
  Milliseconds tls_ticket_lifetime{2 * 60 * 60 * 1000};
  // Files of ticket keys that several servers share, in place of keys of its own; read again with
  // the certificates (docs/operating.md has the format).
  std::vector<std::string> tls_ticket_keys = {};

  // --- compression (RFC 7692)
  // Whether permessage-deflate is agreed on with peers that offer it. kOn: without context
  // takeover, so that an idle peer owns no stream. kTakeover: each peer keeps its windows between
  // messages, which compresses better and costs memory. A listener may choose for itself (listen).
  DeflateChoice deflate = DeflateChoice::kOff;
  std::uint32_t deflate_window_bits =
      12;  // with kTakeover: the largest window that is kept, as a power of two; 9..15

  // --- publishing over HTTP
  std::string publish_token;  // bearer token that POST /topics/<name> needs; empty: loopback only
  std::vector<std::string> cors_origins;  // web pages that may publish ("https://example.com");
                                          // "*": all; empty: those of this host

  // --- overload and shutdown
  std::uint32_t high_water_percent =
      90;  // of connections, descriptors or memory: /readyz turns false; 1..100
  Milliseconds retry_after{5'000};  // told to refused peers (whole seconds on the wire); 1 s..1 h
  Milliseconds drain_time{10'000};  // closes after SIGTERM are spread over this; 0..1 h
};

}  // namespace holdfast
