// Any bytes as a handshake, to our server and to our client: raw, as whoever has no keys may send
// them, and as the contents of records that are authentic, in the place of what an honest peer says
// under its handshake key. Nothing but that peer's own words may complete a handshake; and however
// the bytes are split, the same must come of them.

#include <algorithm>
#include <string>
#include <vector>

#include "base/check.h"
#include "protocol/tls_codec.h"
#include "protocol/tls_peer.h"

using namespace holdfast;
using namespace holdfast::protocol;

namespace {

using Kind = TlsOpened::Kind;
using Wire = std::vector<std::byte>;

const Identity& localhost() {
  static const Identity identity("localhost");
  return identity;
}

// Clients are asked for a certificate, so that one is read where it comes.
std::shared_ptr<const TlsContext> server_of_ours(bool allow_tls12) {
  static const auto make = [](bool older) {
    const TlsPolicy policy = {
        .identities = {{localhost().certificate_pem(), localhost().key_pem(), "fuzz.pem"}},
        .allow_tls12 = older,
        .client_certificates = TlsClientCertificates::kOptional,
        .client_authorities_pem = localhost().certificate_pem()};
    auto context = TlsContext::make(policy);
    CHECK(context);
    return *context;
  };
  static const auto newest = make(false), older = make(true);
  return allow_tls12 ? older : newest;
}

std::shared_ptr<const TlsClientContext> client_of_ours() {
  static const auto context = TlsClientContext::make({.name = "localhost", .verify = false});
  CHECK(context);
  return *context;
}

// Takes what a codec has to say, which must be whole records.
void take_output(TlsCodec& codec, TlsEngine& engine, Wire& output) {
  if (!codec.has_something_to_say()) return;
  Wire said;
  codec.seal(engine, {}, said);
  output.insert(output.end(), said.begin(), said.end());
  Bytes rest = said;
  while (!rest.empty()) {
    CHECK(rest.size() >= kTlsHeaderBytes);
    const std::size_t length =
        std::to_integer<std::size_t>(rest[3]) << 8 | std::to_integer<std::size_t>(rest[4]);
    CHECK(rest.size() >= kTlsHeaderBytes + length);
    rest = rest.subspan(kTlsHeaderBytes + length);
  }
}

// What a codec makes of bytes that come in pieces: the kinds of its answers, and why it failed.
std::string outcome_of(TlsCodec& codec, TlsEngine& engine, Bytes wire, std::size_t piece_bytes) {
  std::string outcome;
  Wire scratch, output;
  for (std::size_t at = 0; at < wire.size(); at += piece_bytes) {
    const Bytes piece = wire.subspan(at, std::min(piece_bytes, wire.size() - at));
    Wire memory(piece.begin(), piece.end());
    MutableBytes input = memory;
    while (true) {
      const TlsOpened opened = codec.next(engine, input, scratch);
      if (opened.kind == Kind::kMore) break;
      outcome += static_cast<char>('0' + static_cast<int>(opened.kind));
      outcome += as_text(opened.plaintext);
      if (opened.kind == Kind::kData || opened.kind == Kind::kNothing ||
          opened.kind == Kind::kEstablished)
        continue;
      take_output(codec, engine, output);
      return outcome + std::string(opened.reason) +
             std::string(codec.handshake() == nullptr ? "" : codec.handshake()->failure().text);
    }
    CHECK(input.empty());
    take_output(codec, engine, output);
  }
  return outcome;
}

struct Ours {
  TlsEngine engine{4};
  TlsCodec codec;
  ~Ours() { codec.end(engine); }
};

// Without keys nobody can end a handshake.
std::string outcome_of_raw(bool to_client, bool allow_tls12, Bytes wire, std::size_t piece_bytes) {
  Ours ours;
  if (to_client) {
    ours.codec.begin_client(client_of_ours(), nullptr, false);
    Wire first;
    take_output(ours.codec, ours.engine, first);
    CHECK(!first.empty());
  } else {
    ours.codec.begin(server_of_ours(allow_tls12));
  }
  std::string outcome = outcome_of(ours.codec, ours.engine, wire, piece_bytes);
  CHECK(!ours.codec.is_established());
  return outcome;
}

// Records of: kind (1), padding (1), length (1), content. Of kind 0: what the honest peer said.
Wire sealed(TlsEngine& engine, TlsSuite suite, const TlsSecret& secret, Bytes script, Bytes honest,
            bool& is_honest) {
  std::uint64_t sequence = 0;
  Wire wire;
  while (script.size() >= 3) {
    const auto type = static_cast<TlsContent>(script[0]);
    const auto padding = std::to_integer<std::size_t>(script[1]);
    const std::size_t size = std::min(std::to_integer<std::size_t>(script[2]), script.size() - 3);
    const Bytes content = script.subspan(3, size);
    script = script.subspan(3 + size);
    if (type == TlsContent::kInvalid) {
      is_honest = true;
      wire.insert(wire.end(), honest.begin(), honest.end());
      continue;
    }
    const std::size_t at = wire.size();
    wire.resize(at + size + padding + kTlsOverheadBytes);
    engine.seal(suite, secret, sequence++, type, {&content, 1}, padding, wire.data() + at);
  }
  return wire;
}

void meet_hostile_client(Bytes script, std::size_t piece_bytes) {
  static const SslContextPointer clients = client_context();
  Ours ours;
  SslEnd client(clients.get(), false);
  ours.codec.begin(server_of_ours(false));
  client.handshake();
  Wire scratch, answer, hello = client.output();
  MutableBytes input = hello;
  while (ours.codec.next(ours.engine, input, scratch).kind != Kind::kMore) continue;
  take_output(ours.codec, ours.engine, answer);
  client.input(answer);
  client.handshake();
  const Wire honest = client.output();
  bool is_honest = false;
  TlsEngine theirs(4);
  const Wire wire = sealed(theirs, client.suite(), client.secret("CLIENT_HANDSHAKE_TRAFFIC_SECRET"),
                           script, honest, is_honest);
  outcome_of(ours.codec, ours.engine, wire, piece_bytes);
  CHECK(is_honest || !ours.codec.is_established());
}

void meet_hostile_server(Bytes script, std::size_t piece_bytes) {
  static const SslContextPointer servers = server_context(localhost());
  Ours ours;
  SslEnd server(servers.get(), true);
  ours.codec.begin_client(client_of_ours(), nullptr, false);
  Wire scratch, hello;
  take_output(ours.codec, ours.engine, hello);
  server.input(hello);
  server.handshake();
  Wire honest = server.output();
  // Its ServerHello, from which the keys come, is left to it.
  const std::size_t size = kTlsHeaderBytes + (std::to_integer<std::size_t>(honest[3]) << 8 |
                                              std::to_integer<std::size_t>(honest[4]));
  CHECK(size <= honest.size());
  MutableBytes input = MutableBytes(honest).first(size);
  while (ours.codec.next(ours.engine, input, scratch).kind != Kind::kMore) continue;
  bool is_honest = false;
  TlsEngine theirs(4);
  const Wire wire = sealed(theirs, server.suite(), server.secret("SERVER_HANDSHAKE_TRAFFIC_SECRET"),
                           script, Bytes(honest).subspan(size), is_honest);
  outcome_of(ours.codec, ours.engine, wire, piece_bytes);
  CHECK(is_honest || !ours.codec.is_established());
}

}  // namespace

// How (1): to whom, sealed or raw, with TLS 1.2; size of the pieces (1); bytes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const bool to_client = (data[0] & 1) != 0, is_sealed = (data[0] & 2) != 0;
  const bool allow_tls12 = (data[0] & 4) != 0;
  const std::size_t piece_bytes = data[1] + 1u;
  const Bytes bytes = as_bytes({reinterpret_cast<const char*>(data) + 2, size - 2});
  if (is_sealed) {
    to_client ? meet_hostile_server(bytes, piece_bytes) : meet_hostile_client(bytes, piece_bytes);
    return 0;
  }
  const std::string whole = outcome_of_raw(to_client, allow_tls12, bytes, bytes.size() + 1);
  CHECK(outcome_of_raw(to_client, allow_tls12, bytes, piece_bytes) == whole);
  return 0;
}
