// What TLS costs, beside what OpenSSL alone takes for the same in the same run. 100 bytes each.

#include <benchmark/benchmark.h>
#include <openssl/pem.h>

#include <random>
#include <string>
#include <vector>

#include "protocol/tls_codec.h"
#include "protocol/tls_peer.h"

namespace holdfast::protocol {
namespace {

const std::string kText(100, 'x');
constexpr std::size_t kColdPeers = 20'000;  // of ours; a tenth of them of OpenSSL's, for the memory

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

std::vector<TlsRecords> many_records(std::size_t count, int seed) {
  std::mt19937_64 random(static_cast<std::uint64_t>(seed));
  std::vector<TlsRecords> result;
  for (std::size_t i = 0; i < count; ++i) {
    TlsTraffic read, write;
    for (std::size_t b = 0; b < 32; ++b) {
      read.secret[b] = static_cast<std::byte>(random());
      write.secret[b] = static_cast<std::byte>(random());
    }
    result.emplace_back(TlsSuite::kAes128Gcm, read, write, 0);
  }
  return result;
}

// A message to one after the other of a crowd.
void push_cold(benchmark::State& state) {
  TlsEngine engine;
  auto peers = many_records(kColdPeers, 1);
  std::vector<std::byte> out(1024);
  const Bytes piece = as_bytes(kText);
  std::size_t next = 0;
  for (auto _ : state) {
    next = (next + 7919) % kColdPeers;
    benchmark::DoNotOptimize(peers[next].seal(engine, {&piece, 1}, out.data()));
  }
}
BENCHMARK(push_cold);

struct OpenSslCrowd {
  SslContextPointer servers = server_context(identity()), clients = client_context();
  std::vector<std::unique_ptr<SslEnd>> ends;
  explicit OpenSslCrowd(std::size_t count) {
    SSL_CTX_set_mode(servers.get(), SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_ciphersuites(clients.get(), "TLS_AES_128_GCM_SHA256");
    for (std::size_t i = 0; i < count; ++i) {
      SslEnd client(clients.get(), false);
      ends.push_back(std::make_unique<SslEnd>(servers.get(), true));
      shake_hands(client, *ends.back());
    }
  }
};
void push_cold_openssl(benchmark::State& state) {
  OpenSslCrowd crowd(kColdPeers / 10);
  std::size_t next = 0;
  for (auto _ : state) {
    next = (next + 7919) % crowd.ends.size();
    SSL* ssl = crowd.ends[next]->ssl();
    benchmark::DoNotOptimize(SSL_write(ssl, kText.data(), static_cast<int>(kText.size())));
    (void)BIO_reset(SSL_get_wbio(ssl));
  }
}
BENCHMARK(push_cold_openssl);

// One that talks all the time: its record is opened, the answer sealed.
void echo_hot(benchmark::State& state) {
  TlsEngine ours, theirs;
  TlsTraffic read, write;
  read.secret[0] = std::byte{1};
  write.secret[0] = std::byte{2};
  TlsRecords server(TlsSuite::kAes128Gcm, read, write, 0);
  std::vector<std::byte> in(256), out(256);
  const Bytes piece = as_bytes(kText);
  std::uint64_t sequence = 0;
  for (auto _ : state) {
    state.PauseTiming();
    const std::size_t size = theirs.seal(TlsSuite::kAes128Gcm, read.secret, sequence++,
                                         TlsContent::kApplicationData, {&piece, 1}, 0, in.data());
    state.ResumeTiming();
    const TlsOpened opened = server.open(ours, MutableBytes(in).first(size));
    CHECK(opened.kind == TlsOpened::Kind::kData);
    const Bytes answer = opened.plaintext;
    benchmark::DoNotOptimize(server.seal(ours, {&answer, 1}, out.data()));
  }
}
BENCHMARK(echo_hot)->Iterations(200'000);

void echo_hot_openssl(benchmark::State& state) {
  OpenSslCrowd crowd(0);
  SslEnd client(crowd.clients.get(), false), server(crowd.servers.get(), true);
  shake_hands(client, server);
  std::array<char, 256> buffer;
  for (auto _ : state) {
    state.PauseTiming();
    client.write(kText);
    const auto wire = client.output();
    (void)BIO_reset(SSL_get_wbio(server.ssl()));
    state.ResumeTiming();
    server.input(wire);
    const int size = SSL_read(server.ssl(), buffer.data(), buffer.size());
    CHECK(size == 100);
    benchmark::DoNotOptimize(SSL_write(server.ssl(), buffer.data(), size));
  }
}
BENCHMARK(echo_hot_openssl)->Iterations(200'000);

// The server's part of a handshake, the client's not counted.
void handshake(benchmark::State& state, bool ours, bool resumed) {
  TlsIdentity files;
  files.chain_pem = pem([](BIO* bio) { PEM_write_bio_X509(bio, identity().certificate.get()); });
  files.key_pem = pem([](BIO* bio) {
    PEM_write_bio_PrivateKey(bio, identity().key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  // OpenSSL alone, with the same settings: what detaching is held against.
  const auto context = TlsContext::make({.identities = {files}, .detach = ours});
  CHECK(context);
  const auto clients = client_context();
  SslSessionPointer session;
  TlsEngine engine;
  for (auto _ : state) {
    state.PauseTiming();
    SslEnd client(clients.get(), false);
    if (resumed && session != nullptr) SSL_set_session(client.ssl(), session.get());
    TlsCodec codec;
    client.handshake();
    bool begun = false;
    std::vector<std::byte> scratch;
    while (!client.is_done() || !codec.is_established()) {
      auto wire = client.output();
      std::vector<std::byte> out(16'384);
      MutableBytes input = wire;
      state.ResumeTiming();
      if (!begun) codec.begin(*context);
      begun = true;
      while (codec.next(engine, input, scratch).kind != TlsOpened::Kind::kMore) continue;
      out.resize(codec.has_something_to_say() ? codec.seal(engine, {}, out.data()) : 0);
      state.PauseTiming();
      client.input(out);
      client.handshake();
    }
    client.read();
    session.reset(SSL_get1_session(client.ssl()));
    SSL_set_shutdown(client.ssl(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    state.ResumeTiming();
    codec.end(engine);
  }
}
BENCHMARK_CAPTURE(handshake, full, true, false);
BENCHMARK_CAPTURE(handshake, full_openssl, false, false);
BENCHMARK_CAPTURE(handshake, resumed, true, true);
BENCHMARK_CAPTURE(handshake, resumed_openssl, false, true);

}  // namespace
}  // namespace holdfast::protocol
