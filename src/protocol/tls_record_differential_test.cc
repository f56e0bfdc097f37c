// Records that no honest peer sends, given to this record layer and to OpenSSL's, under the same
// keys in the same process. Both must come to the same end with the same alert; where ours is
// stricter, the row says why.

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "protocol/tls_peer.h"
#include "protocol/tls_record.h"

namespace holdfast::protocol {
namespace {

std::vector<std::byte> text(std::string_view of) {
  return {as_bytes(of).begin(), as_bytes(of).end()};
}

// What a peer with the right keys may do.
class Forger {
 public:
  Forger(TlsSuite suite, const TlsSecret& secret) : suite_(suite), secret_(secret) {}

  // One record of any kind and padding.
  Forger& record(int type, const std::vector<std::byte>& content, std::size_t padding = 0) {
    const std::size_t at = wire.size();
    wire.resize(at + content.size() + padding + kTlsOverheadBytes);
    const Bytes piece = content;
    engine_.seal(suite_, secret_, sequence_++, static_cast<TlsContent>(type), {&piece, 1}, padding,
                 wire.data() + at);
    return *this;
  }
  Forger& hex(int type, std::string_view content, std::size_t padding = 0) {
    return record(type, bytes_of_hex(content), padding);
  }
  Forger& data(std::string_view what) { return record(23, text(what)); }
  Forger& raw(std::string_view bytes) {
    const auto more = bytes_of_hex(bytes);
    wire.insert(wire.end(), more.begin(), more.end());
    return *this;
  }
  Forger& key_update(int request) {
    hex(22, request == 0 ? "18 00 00 01 00" : "18 00 00 01 01");
    return next_keys();
  }
  Forger& next_keys() {
    secret_ = engine_.advance(suite_, secret_);
    sequence_ = 0;
    return *this;
  }
  Forger& skip() {
    ++sequence_;
    return *this;
  }
  std::vector<std::byte> wire;

 private:
  TlsEngine engine_;
  TlsSuite suite_;
  TlsSecret secret_;
  std::uint64_t sequence_ = 0;
};

struct Outcome {
  std::string heard;
  std::string end;  // "open", "closed", "alert N": the peer's, "failed N": ours
  bool operator==(const Outcome&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  return out << "'" << outcome.heard.substr(0, 40) << "' (" << outcome.heard.size() << ") "
             << outcome.end;
}

// The alert at the end of what OpenSSL said, if any.
std::optional<int> alert_of(std::vector<std::byte> wire, TlsSuite suite,
                            const TlsTraffic& traffic) {
  TlsEngine engine;
  TlsTraffic read = traffic;
  std::optional<int> alert;
  for (std::size_t at = 0; at < wire.size();) {
    const std::size_t size = kTlsHeaderBytes + std::to_integer<std::size_t>(wire[at + 3]) * 256 +
                             std::to_integer<std::size_t>(wire[at + 4]);
    const auto inner =
        engine.open(suite, read.secret, read.sequence++, MutableBytes(wire).subspan(at, size));
    CHECK(inner);
    const int type = std::to_integer<int>(inner->back());
    if (type == 21) alert = std::to_integer<int>((*inner)[1]);
    if (type == 22 && std::to_integer<int>((*inner)[0]) == kTlsKeyUpdate) {
      read.secret = engine.advance(suite, read.secret);
      read.sequence = 0;
    }
    at += size;
  }
  return alert;
}

Outcome outcome_of_openssl(SslEnd& server, const TlsTraffic& writes, Bytes wire) {
  Outcome outcome;
  server.input(wire);
  outcome.heard = server.read();
  const auto said = alert_of(server.output(), server.suite(), writes);
  if (said && *said != 0) {
    outcome.end = "failed " + std::to_string(*said);
  } else if ((SSL_get_shutdown(server.ssl()) & SSL_RECEIVED_SHUTDOWN) != 0) {
    const unsigned long error = ERR_peek_error();
    const int reason = ERR_GET_REASON(error);
    outcome.end = error != 0 && reason > 1000 ? "alert " + std::to_string(reason - 1000) : "closed";
  } else {
    outcome.end = "open";
  }
  ERR_clear_error();
  return outcome;
}

Outcome outcome_of_ours(TlsRecords& records, std::vector<std::byte> wire) {
  using Kind = TlsOpened::Kind;
  TlsEngine engine;
  Outcome outcome;
  outcome.end = "open";
  MutableBytes input = wire;
  while (!input.empty() && outcome.end == "open") {
    const TlsOpened opened = records.open(engine, input);
    input = input.subspan(opened.used);
    outcome.heard += as_text(opened.plaintext);
    const std::string number = std::to_string(static_cast<int>(opened.alert));
    if (opened.kind == Kind::kMore) break;
    if (opened.kind == Kind::kClosed) outcome.end = "closed";
    if (opened.kind == Kind::kAlerted) outcome.end = "alert " + number;
    if (opened.kind == Kind::kFailed) outcome.end = "failed " + number;
  }
  return outcome;
}

struct Row {
  std::string name;
  std::function<void(Forger&)> forge;
  // Where ours ends otherwise: how, and why that is right.
  std::string ours = {};
  std::string why = {};
};

std::vector<std::byte> zeros(std::size_t size) { return std::vector<std::byte>(size); }
std::vector<std::byte> filled(std::size_t size) {
  return std::vector<std::byte>(size, std::byte{'a'});
}

std::vector<Row> rows() {
  return {
      {"data", [](Forger& f) { f.data("hello").data(" again"); }},
      {"padding", [](Forger& f) { f.record(23, text("hello"), 1).record(23, text("!"), 16'000); }},
      {"the longest record", [](Forger& f) { f.record(23, filled(16'384)); }},
      {"the longest padding", [](Forger& f) { f.record(23, {}, 16'384).data("x"); }},
      {"padding alone", [](Forger& f) { f.hex(0, "", 100); }},
      {"one zero", [](Forger& f) { f.hex(0, ""); }},
      {"content behind zeros", [](Forger& f) { f.record(23, zeros(100)).data("x"); }},
      {"an empty record", [](Forger& f) { f.data("").data("x"); }},
      {"32 empty records",
       [](Forger& f) {
         for (int i = 0; i < 32; ++i) f.data("");
         f.data("x");
       }},
      {"33 empty records",
       [](Forger& f) {
         for (int i = 0; i < 33; ++i) f.data("");
       }},
      {"a record that is not authentic",
       [](Forger& f) { f.data("x").wire.back() ^= std::byte{1}; }},
      {"a changed header",
       [](Forger& f) {
         f.data("x").wire[4] ^= std::byte{1};
         f.raw("00");
       }},
      {"a record left out", [](Forger& f) { f.skip().data("x"); }},
      {"a record twice",
       [](Forger& f) {
         f.data("x");
         const auto once = f.wire;
         f.wire.insert(f.wire.end(), once.begin(), once.end());
       }},
      {"plain text", [](Forger& f) { f.raw("47 45 54 20 2f 20 48 54 54 50 2f 31"); }, "failed 10",
       "OpenSSL takes the second byte for a version and says protocol_version"},
      {"a plain handshake record", [](Forger& f) { f.raw("16 03 03 00 05 18 00 00 01 00"); }},
      {"a plain alert", [](Forger& f) { f.raw("15 03 03 00 02 02 28"); }},
      {"a change of cipher", [](Forger& f) { f.raw("14 03 03 00 01 01"); }},
      {"a record of kind 24", [](Forger& f) { f.raw("18 03 03 00 11").raw(std::string(34, '0')); }},
      {"version 3.1", [](Forger& f) { f.data("x").wire[2] = std::byte{1}; }},
      {"version 3.4", [](Forger& f) { f.data("x").wire[2] = std::byte{4}; }},
      {"length 0", [](Forger& f) { f.raw("17 03 03 00 00"); }},
      {"length 16", [](Forger& f) { f.raw("17 03 03 00 10" + std::string(32, '0')); }},
      {"length 17 of zeros", [](Forger& f) { f.raw("17 03 03 00 11" + std::string(34, '0')); }},
      {"a length above all", [](Forger& f) { f.raw("17 03 03 ff ff"); }},
      {"a length one above the most",
       [](Forger& f) { f.raw("17 03 03 41 01" + std::string(2 * 16'641, '0')); }},
      {"half a record", [](Forger& f) { f.data("x").data("yy").wire.resize(30); }},
      {"close_notify", [](Forger& f) { f.data("x").hex(21, "01 00"); }},
      {"close_notify that claims to be fatal", [](Forger& f) { f.hex(21, "02 00"); }},
      {"data behind close_notify", [](Forger& f) { f.hex(21, "01 00").data("x"); }},
      {"garbage behind close_notify", [](Forger& f) { f.hex(21, "01 00").raw("00 11 22"); }},
      {"a fatal alert", [](Forger& f) { f.hex(21, "02 28"); }},
      {"an unknown fatal alert", [](Forger& f) { f.hex(21, "02 ee"); }},
      {"a warning other than the two", [](Forger& f) { f.hex(21, "01 28").data("x"); }},
      {"user_canceled", [](Forger& f) { f.hex(21, "01 5a").data("x"); }},
      {"five times user_canceled",
       [](Forger& f) {
         for (int i = 0; i < 5; ++i) f.hex(21, "01 5a");
       }},
      {"an empty alert", [](Forger& f) { f.hex(21, ""); }},
      {"half an alert", [](Forger& f) { f.hex(21, "02"); }},
      {"two alerts in a record", [](Forger& f) { f.hex(21, "01 5a 01 00"); }},
      {"an inner change of cipher", [](Forger& f) { f.hex(20, "01"); }},
      {"an inner record of kind 24", [](Forger& f) { f.hex(24, "01"); }},
      {"an inner record of kind 255", [](Forger& f) { f.hex(255, "01"); }},
      {"a key update", [](Forger& f) { f.key_update(0).data("new").key_update(1).data("er"); }},
      {"a key update without new keys", [](Forger& f) { f.hex(22, "18 00 00 01 00").data("old"); }},
      {"a padded key update",
       [](Forger& f) { f.hex(22, "18 00 00 01 01", 50).next_keys().data("new"); }},
      {"a key update in pieces",
       [](Forger& f) {
         f.hex(22, "18 00").hex(22, "00").hex(22, "01 00").next_keys().data("new");
       }},
      {"data inside a key update", [](Forger& f) { f.hex(22, "18 00").data("x"); }},
      {"close_notify inside a key update", [](Forger& f) { f.hex(22, "18 00").hex(21, "01 00"); }},
      {"a key update that asks for 2", [](Forger& f) { f.hex(22, "18 00 00 01 02"); }},
      {"a key update of two bytes", [](Forger& f) { f.hex(22, "18 00 00 02 00 00"); }, "failed 50",
       "RFC 8446 6.2: a length out of range is decode_error; OpenSSL says illegal_parameter"},
      {"a key update of no bytes", [](Forger& f) { f.hex(22, "18 00 00 00"); }},
      {"a very long key update", [](Forger& f) { f.hex(22, "18 ff ff ff 00"); }, "failed 50",
       "OpenSSL finds it too long for its buffer (illegal_parameter) before it parses"},
      {"a message behind a key update",
       [](Forger& f) { f.hex(22, "18 00 00 01 00 18 00 00 01 00"); }},
      {"an empty handshake record", [](Forger& f) { f.hex(22, "").data("x"); }},
      {"a padded empty handshake record", [](Forger& f) { f.hex(22, "", 9); }},
      {"a ClientHello", [](Forger& f) { f.hex(22, "01 00 00 02 03 03"); }},
      {"a ticket to the server", [](Forger& f) { f.hex(22, "04 00 00 02 00 00"); }},
      {"a certificate", [](Forger& f) { f.hex(22, "0b 00 00 04 00 00 00 00"); }},
      {"a Finished", [](Forger& f) { f.hex(22, "14 00 00 02 00 00"); }},
      {"a HelloRequest", [](Forger& f) { f.hex(22, "00 00 00 00"); }},
  };
}

TEST(TlsRecords, JudgeAsOpenSslDoesOrMoreStrictly) {
  const Identity identity("localhost");
  for (const char* suite :
       {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}) {
    const auto servers = server_context(identity);
    const auto clients = client_context();
    CHECK(SSL_CTX_set_ciphersuites(clients.get(), suite) == 1);
    SSL_CTX_set_num_tickets(servers.get(), 0);
    for (const Row& row : rows()) {
      SCOPED_TRACE(std::string(suite) + ": " + row.name);
      SslEnd client(clients.get(), false), server(servers.get(), true);
      shake_hands(client, server);
      ERR_clear_error();
      const TlsTraffic read{server.secret("CLIENT_TRAFFIC_SECRET_0"), 0};
      const TlsTraffic write{server.secret("SERVER_TRAFFIC_SECRET_0"), 0};
      TlsEngine engine;
      TlsRecords ours(engine, server.suite(), read, write, 0);
      Forger forger(server.suite(), read.secret);
      row.forge(forger);
      const Outcome mine = outcome_of_ours(ours, forger.wire);
      const Outcome theirs = outcome_of_openssl(server, write, forger.wire);
      if (row.ours.empty()) {
        EXPECT_EQ(mine, theirs);
      } else {
        EXPECT_EQ(mine.end, row.ours) << row.why;
        EXPECT_NE(mine.end, theirs.end) << "no difference any more: OpenSSL says " << theirs;
      }
    }
  }
}

}  // namespace
}  // namespace holdfast::protocol
