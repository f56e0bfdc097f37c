// What TLS costs, beside what OpenSSL alone takes for the same in the same run. 100 bytes each.

#include <benchmark/benchmark.h>
#include <openssl/pem.h>

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "protocol/tls_codec.h"
#include "protocol/tls_peer.h"

namespace holdfast::protocol {
namespace {

const std::string kText(100, 'x');
// Of either. Where instructions are counted, which do not depend on it, fewer do.
std::size_t cold_peers() {
  const char* given = std::getenv("HOLDFAST_COLD_PEERS");
  return given == nullptr ? 20'000 : std::strtoul(given, nullptr, 10);
}
constexpr std::size_t kBatch = 500;  // records that are made ready outside the measured time

// What is measured stands in functions of such names, so that callgrind can be told to count these
// alone: --toggle-collect='*measured_*'.
#define MEASURED [[gnu::noinline]]

template <class Write>
std::string pem(Write write) {
  BIO* bio = BIO_new(BIO_s_mem());
  write(bio);
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return text;
}

const Identity& identity() {
  static const Identity one("localhost");
  return one;
}

std::vector<TlsRecords> many_records(TlsEngine& engine, std::size_t count, int seed) {
  std::mt19937_64 random(static_cast<std::uint64_t>(seed));
  std::vector<TlsRecords> result;
  for (std::size_t i = 0; i < count; ++i) {
    TlsTraffic read, write;
    for (std::size_t b = 0; b < 32; ++b) {
      read.secret[b] = static_cast<std::byte>(random());
      write.secret[b] = static_cast<std::byte>(random());
    }
    result.emplace_back(engine, TlsSuite::kAes128Gcm, read, write, 0);
  }
  return result;
}

// A message to one after the other of a crowd.
MEASURED void measured_push(TlsRecords& peer, TlsEngine& engine, std::byte* out) {
  const Bytes piece = as_bytes(kText);
  benchmark::DoNotOptimize(peer.seal(engine, {&piece, 1}, out));
}
void push_cold(benchmark::State& state) {
  TlsEngine engine;
  const std::size_t count = cold_peers();
  auto peers = many_records(engine, count, 1);
  std::vector<std::byte> out(1024);
  std::size_t next = 0;
  for (auto _ : state) {
    next = (next + 7919) % count;
    measured_push(peers[next], engine, out.data());
  }
}
BENCHMARK(push_cold)->Iterations(100'000);

struct OpenSslCrowd {
  SslContextPointer servers = server_context(identity()), clients = client_context();
  std::vector<std::unique_ptr<SslEnd>> ends;
  explicit OpenSslCrowd(std::size_t count) {
    SSL_CTX_set_mode(servers.get(), SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(servers.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_ciphersuites(clients.get(), "TLS_AES_128_GCM_SHA256");
    for (std::size_t i = 0; i < count; ++i) {
      SslEnd client(clients.get(), false);
      ends.push_back(std::make_unique<SslEnd>(servers.get(), true));
      shake_hands(client, *ends.back());
    }
  }
};
// Made once: it takes 20 s.
OpenSslCrowd& cold_crowd() {
  static OpenSslCrowd crowd(cold_peers());
  return crowd;
}
MEASURED void measured_push_openssl(SSL* ssl) {
  benchmark::DoNotOptimize(SSL_write(ssl, kText.data(), static_cast<int>(kText.size())));
  (void)BIO_reset(SSL_get_wbio(ssl));
}
void push_cold_openssl(benchmark::State& state) {
  OpenSslCrowd& crowd = cold_crowd();
  std::size_t next = 0;
  for (auto _ : state) {
    next = (next + 7919) % crowd.ends.size();
    measured_push_openssl(crowd.ends[next]->ssl());
  }
}
BENCHMARK(push_cold_openssl)->Iterations(100'000);

// One that talks all the time: its record is opened, the answer sealed.
MEASURED void measured_echo(TlsRecords& server, TlsEngine& engine, MutableBytes record,
                            std::byte* out) {
  const TlsOpened opened = server.open(engine, record);
  CHECK(opened.kind == TlsOpened::Kind::kData);
  const Bytes answer = opened.plaintext;
  benchmark::DoNotOptimize(server.seal(engine, {&answer, 1}, out));
}
void echo_hot(benchmark::State& state) {
  TlsEngine ours, theirs;
  TlsTraffic read, write;
  read.secret[0] = std::byte{1};
  write.secret[0] = std::byte{2};
  TlsRecords server(ours, TlsSuite::kAes128Gcm, read, write, 0);
  const std::size_t size = kText.size() + kTlsOverheadBytes;
  std::vector<std::byte> records(kBatch * size), out(256);
  const Bytes piece = as_bytes(kText);
  std::uint64_t sequence = 0;
  std::size_t next = kBatch;
  for (auto _ : state) {
    if (next == kBatch) {
      state.PauseTiming();
      for (next = 0; next < kBatch; ++next)
        theirs.seal(TlsSuite::kAes128Gcm, read.secret, sequence++, TlsContent::kApplicationData,
                    {&piece, 1}, 0, records.data() + next * size);
      next = 0;
      state.ResumeTiming();
    }
    measured_echo(server, ours, MutableBytes(records).subspan(next++ * size, size), out.data());
  }
}
BENCHMARK(echo_hot)->Iterations(200'000);

MEASURED void measured_echo_openssl(SSL* ssl, Bytes record) {
  std::array<char, 256> buffer;
  BIO_write(SSL_get_rbio(ssl), record.data(), static_cast<int>(record.size()));
  const int size = SSL_read(ssl, buffer.data(), buffer.size());
  CHECK(size == static_cast<int>(kText.size()));
  benchmark::DoNotOptimize(SSL_write(ssl, buffer.data(), size));
  (void)BIO_reset(SSL_get_wbio(ssl));
}
void echo_hot_openssl(benchmark::State& state) {
  OpenSslCrowd crowd(0);
  SslEnd client(crowd.clients.get(), false), server(crowd.servers.get(), true);
  shake_hands(client, server);
  std::vector<std::byte> records;
  std::size_t next = kBatch;
  for (auto _ : state) {
    if (next == kBatch) {
      state.PauseTiming();
      for (next = 0; next < kBatch; ++next) client.write(kText);
      records = client.output();
      next = 0;
      state.ResumeTiming();
    }
    const std::size_t size = records.size() / kBatch;
    measured_echo_openssl(server.ssl(), Bytes(records).subspan(next++ * size, size));
  }
}
BENCHMARK(echo_hot_openssl)->Iterations(200'000);

// The server's part of a handshake, the client's not counted.
MEASURED void measured_handshake(TlsCodec& codec, TlsEngine& engine, MutableBytes input,
                                 const std::shared_ptr<const TlsContext>& context,
                                 std::vector<std::byte>& scratch, std::vector<std::byte>& out) {
  if (!codec.is_begun()) codec.begin(context);
  while (codec.next(engine, input, scratch).kind != TlsOpened::Kind::kMore) continue;
  out.clear();
  if (codec.has_something_to_say()) codec.seal(engine, {}, out);
}
MEASURED void measured_end(TlsCodec& codec, TlsEngine& engine) { codec.end(engine); }

std::shared_ptr<const TlsContext> server_of_ours(bool detach) {
  TlsIdentity files;
  files.chain_pem = pem([](BIO* bio) { PEM_write_bio_X509(bio, identity().certificate.get()); });
  files.key_pem = pem([](BIO* bio) {
    PEM_write_bio_PrivateKey(bio, identity().key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  return *TlsContext::make({.identities = {files}, .detach = detach});
}

void handshake(benchmark::State& state, bool resumed) {
  const auto context = server_of_ours(true);
  const auto clients = client_context();
  SslSessionPointer session;
  TlsEngine engine;
  std::vector<std::byte> scratch;
  for (auto _ : state) {
    state.PauseTiming();
    SslEnd client(clients.get(), false);
    if (resumed && session != nullptr) SSL_set_session(client.ssl(), session.get());
    TlsCodec codec;
    client.handshake();
    while (!client.is_done() || !codec.is_established()) {
      auto wire = client.output();
      std::vector<std::byte> out;
      state.ResumeTiming();
      measured_handshake(codec, engine, wire, context, scratch, out);
      state.PauseTiming();
      client.input(out);
      client.handshake();
    }
    client.read();
    if (session == nullptr) session.reset(SSL_get1_session(client.ssl()));
    SSL_set_shutdown(client.ssl(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    state.ResumeTiming();
    measured_end(codec, engine);
  }
}

// OpenSSL alone: the same settings and the same memory under it, without a codec.
MEASURED void measured_handshake_openssl(std::unique_ptr<SslEnd>& server, SSL_CTX* context,
                                         Bytes input, std::vector<std::byte>& out) {
  if (server == nullptr) server = std::make_unique<SslEnd>(context, true);
  server->input(input);
  server->handshake();
  out = server->output();
}
MEASURED void measured_end_openssl(std::unique_ptr<SslEnd>& server) { server.reset(); }

void handshake_openssl(benchmark::State& state, bool resumed) {
  const auto context = server_of_ours(false);
  const auto clients = client_context();
  SslSessionPointer session;
  for (auto _ : state) {
    state.PauseTiming();
    SslEnd client(clients.get(), false);
    if (resumed && session != nullptr) SSL_set_session(client.ssl(), session.get());
    std::unique_ptr<SslEnd> server;
    client.handshake();
    while (!client.is_done() || server == nullptr || !server->is_done()) {
      const auto wire = client.output();
      std::vector<std::byte> out;
      state.ResumeTiming();
      measured_handshake_openssl(server, context->ssl(), wire, out);
      state.PauseTiming();
      client.input(out);
      client.handshake();
    }
    client.read();
    if (session == nullptr) session.reset(SSL_get1_session(client.ssl()));
    SSL_set_shutdown(client.ssl(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    state.ResumeTiming();
    measured_end_openssl(server);
  }
}
BENCHMARK_CAPTURE(handshake, full, false)->Iterations(500);
BENCHMARK_CAPTURE(handshake_openssl, full, false)->Iterations(500);
BENCHMARK_CAPTURE(handshake, resumed, true)->Iterations(500);
BENCHMARK_CAPTURE(handshake_openssl, resumed, true)->Iterations(500);

}  // namespace
}  // namespace holdfast::protocol
