#include "protocol/tls_record.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <list>
#include <memory_resource>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "protocol/tls_peer.h"

namespace holdfast::protocol {
namespace {

using Kind = TlsOpened::Kind;

// A secret lives in one place: a copy would use its sequence numbers a second time.
static_assert(!std::is_copy_constructible_v<TlsRecords>);
static_assert(!std::is_copy_assignable_v<TlsRecords>);
static_assert(!std::is_trivially_copyable_v<TlsRecords>);
static_assert(std::is_nothrow_move_constructible_v<TlsRecords>);

// RFC 8448 3, "Simple 1-RTT Handshake".
constexpr std::string_view kClientSecret =
    "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
constexpr std::string_view kServerSecret =
    "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";
constexpr std::string_view kClientData =
    "17 03 03 00 43 a2 3f 70 54 b6 2c 94 d0 af fa fe 82 28 ba 55 cb ef ac ea 42 f9 14 aa 66 bc ab"
    "3f 2b 98 19 a8 a5 b4 6b 39 5b d5 4a 9a 20 44 1e 2b 62 97 4e 1f 5a 62 92 a2 97 70 14 bd 1e 3d"
    "ea e6 3a ee bb 21 69 49 15 e4";
constexpr std::string_view kServerData =
    "17 03 03 00 43 2e 93 7e 11 ef 4a c7 40 e5 38 ad 36 00 5f c4 a4 69 32 fc 32 25 d0 5f 82 aa 1b"
    "36 e3 0e fa f9 7d 90 e6 df fc 60 2d cb 50 1a 59 a8 fc c4 9c 4b f2 e5 f0 a2 1c 00 47 c2 ab f3"
    "32 54 0d d0 32 e1 67 c2 95 5d";
constexpr std::string_view kClientClose =
    "17 03 03 00 13 c9 87 27 60 65 56 66 b7 4d 7f f1 15 3e fd 6d b6 d0 b0 e3";
constexpr std::string_view kServerClose =
    "17 03 03 00 13 b5 8f d6 71 66 eb f5 99 d2 47 20 cf be 7e fa 7a 88 64 a9";

std::vector<std::byte> fifty_bytes() {
  std::vector<std::byte> bytes;
  for (int i = 0; i < 50; ++i) bytes.push_back(static_cast<std::byte>(i));
  return bytes;
}

std::vector<std::byte> sealed(TlsRecords& records, TlsEngine& engine, Bytes plaintext) {
  std::vector<std::byte> out(records.sealed_bytes_max(plaintext.size()));
  out.resize(records.seal(engine, {&plaintext, plaintext.empty() ? 0u : 1u}, out.data()));
  return out;
}
std::vector<std::byte> sealed(TlsRecords& records, TlsEngine& engine, std::string_view text) {
  return sealed(records, engine, as_bytes(text));
}
std::vector<std::byte> alert(TlsRecords& records, TlsEngine& engine, TlsAlert what) {
  std::vector<std::byte> out(TlsRecords::kAlertBytes);
  out.resize(records.seal_alert(engine, what, out.data()));
  return out;
}

// What comes of a stream: its plaintext, and how it ended.
struct Heard {
  std::string text;
  Kind end = Kind::kMore;
  TlsAlert alert = TlsAlert::kCloseNotify;
  std::string reason;
  std::size_t left = 0;
};
Heard hear(TlsRecords& records, TlsEngine& engine, MutableBytes input) {
  Heard heard;
  while (!input.empty()) {
    const TlsOpened opened = records.open(engine, input);
    if (opened.kind == Kind::kMore) break;
    input = input.subspan(opened.used);
    heard.text += as_text(opened.plaintext);
    if (opened.kind == Kind::kData || opened.kind == Kind::kNothing) continue;
    heard.end = opened.kind;
    heard.alert = opened.alert;
    heard.reason = opened.reason;
    break;
  }
  heard.left = input.size();
  return heard;
}

struct Ends {
  TlsTraffic client{secret_of_hex(kClientSecret), 0};
  TlsTraffic server{secret_of_hex(kServerSecret), 0};
  TlsEngine engine;
  TlsRecords of_client(std::uint8_t code = 0) {
    return {engine, TlsSuite::kAes128Gcm, server, client, code};
  }
  TlsRecords of_server(std::uint8_t code = 0) {
    return {engine, TlsSuite::kAes128Gcm, client, server, code};
  }
};

TEST(TlsRecords, SealWhatRfc8448Seals) {
  Ends ends;
  ends.server.sequence = 1;  // a ticket was the first record
  TlsRecords client = ends.of_client();
  TlsRecords server = ends.of_server();
  EXPECT_EQ(sealed(client, ends.engine, fifty_bytes()), bytes_of_hex(kClientData));
  EXPECT_EQ(sealed(server, ends.engine, fifty_bytes()), bytes_of_hex(kServerData));
  EXPECT_EQ(alert(client, ends.engine, TlsAlert::kCloseNotify), bytes_of_hex(kClientClose));
  EXPECT_EQ(alert(server, ends.engine, TlsAlert::kCloseNotify), bytes_of_hex(kServerClose));
}

TEST(TlsRecords, OpenWhatRfc8448SealedHoweverItIsSplit) {
  auto wire = bytes_of_hex(kClientData);
  const auto close = bytes_of_hex(kClientClose);
  wire.insert(wire.end(), close.begin(), close.end());
  const auto expected = fifty_bytes();
  for (std::size_t piece = 1; piece <= wire.size(); ++piece) {
    Ends ends;
    TlsRecords server = ends.of_server();
    std::vector<std::byte> waiting;
    Heard all;
    for (std::size_t at = 0; at < wire.size(); at += piece) {
      waiting.insert(waiting.end(), wire.begin() + static_cast<std::ptrdiff_t>(at),
                     wire.begin() + static_cast<std::ptrdiff_t>(std::min(at + piece, wire.size())));
      const Heard heard = hear(server, ends.engine, waiting);
      all.text += heard.text;
      all.end = heard.end;
      waiting.erase(waiting.begin(), waiting.end() - static_cast<std::ptrdiff_t>(heard.left));
    }
    EXPECT_EQ(all.text, as_text(expected)) << piece;
    EXPECT_EQ(all.end, Kind::kClosed) << piece;
  }
}

TEST(TlsRecords, AreMovedWithoutAnythingStayingBehind) {
  Ends ends;
  TlsRecords server = ends.of_server();
  TlsRecords elsewhere = std::move(server);
  const auto* left =
      reinterpret_cast<const std::byte*>(&server);  // NOLINT(bugprone-use-after-move)
  for (std::size_t i = 0; i < sizeof server; ++i) EXPECT_EQ(left[i], std::byte{0});
  EXPECT_FALSE(server.is_alive());
  EXPECT_TRUE(elsewhere.is_alive());
  elsewhere.end(ends.engine);
  const auto* ended = reinterpret_cast<const std::byte*>(&elsewhere);
  for (std::size_t i = 0; i < sizeof server; ++i) EXPECT_EQ(ended[i], std::byte{0});
}

TEST(TlsEngine, ForgetsTheKeysOfAConnectionThatIsGone) {
  for (const TlsSuite suite : {TlsSuite::kAes128Gcm, TlsSuite::kAes256Gcm}) {
    for (const std::size_t kept : {std::size_t{0}, TlsEngine::kKeptDefault}) {
      TlsEngine engine(kept);
      TlsSecret secret = secret_of_hex(kServerSecret);
      if (suite == TlsSuite::kAes256Gcm) secret.back() = std::byte{1};
      std::uint64_t sequence = 0;
      const auto seal = [&] {
        std::array<std::byte, kTlsOverheadBytes> out;
        engine.seal(suite, secret, sequence++, TlsContent::kApplicationData, {}, 0, out.data());
      };
      for (int i = 0; i < 5; ++i) seal();
      const std::uint64_t before = engine.derivations();
      seal();
      ASSERT_EQ(engine.derivations(), before) << "the key is at hand";
      engine.forget(suite, secret);
      seal();
      EXPECT_GT(engine.derivations(), before);
    }
  }
}

// Of those that talk often each has a cipher of its own.
TEST(TlsEngine, ForgetsAKeptCipherAndNobodyElses) {
  TlsEngine engine;
  std::uint64_t sequence = 0;
  const TlsSecret one = secret_of_hex(kServerSecret), other = secret_of_hex(kClientSecret);
  const auto derivations_to_seal = [&](const TlsSecret& secret) {
    std::array<std::byte, kTlsOverheadBytes> out;
    const std::uint64_t before = engine.derivations();
    engine.seal(TlsSuite::kAes128Gcm, secret, sequence++, TlsContent::kApplicationData, {}, 0,
                out.data());
    return engine.derivations() - before;
  };
  for (int i = 0; i < 5; ++i) {
    derivations_to_seal(one);
    derivations_to_seal(other);
  }
  ASSERT_EQ(derivations_to_seal(one), 0u);
  ASSERT_EQ(derivations_to_seal(other), 0u);
  engine.forget(TlsSuite::kAes128Gcm, one);
  EXPECT_EQ(derivations_to_seal(other), 0u);
  EXPECT_EQ(derivations_to_seal(one), 1u);
}

// Two that speak in turn, as in a broadcast that is begun while another goes on, share the engine's
// cipher: each record must come out under its own key.
TEST(TlsRecords, OfManyConnectionsShareAnEngineInAnyOrder) {
  for (const std::size_t kept : {std::size_t{0}, std::size_t{4}, TlsEngine::kKeptDefault}) {
    TlsEngine engine(kept);
    TlsEngine plain(0);
    std::vector<TlsRecords> senders, receivers;
    std::mt19937 random(7);
    for (int i = 0; i < 24; ++i) {
      TlsTraffic one, other;
      const auto suite = static_cast<TlsSuite>(i % 3);
      for (std::size_t b = 0; b < traits_of(suite).secret_bytes; ++b) {
        one.secret[b] = static_cast<std::byte>(random());
        other.secret[b] = static_cast<std::byte>(random());
      }
      senders.emplace_back(engine, suite, one, other, 0);
      receivers.emplace_back(engine, suite, other, one, 0);
    }
    for (int round = 0; round < 2000; ++round) {
      const std::size_t i = random() % (round < 1000 ? 3 : senders.size());
      const std::string text = std::to_string(round) + std::string(random() % 300, 'x');
      if (random() % 50 == 0) senders[i].update_keys(false);
      auto wire = sealed(senders[i], engine, text);
      ASSERT_EQ(hear(receivers[i], round % 2 == 0 ? engine : plain, wire).text, text);
    }
    EXPECT_EQ(engine.hits() > 500, true);
  }
}

TEST(TlsRecords, SplitLongTextsAtTheAgreedFragment) {
  for (std::uint8_t code = 0; code <= TlsRecords::kFragmentCodeMax; ++code) {
    Ends ends;
    TlsRecords client = ends.of_client(code), server = ends.of_server(code);
    const std::string text(40'000, 'a');
    auto wire = sealed(server, ends.engine, text);
    EXPECT_LE(wire.size(), server.sealed_bytes_max(text.size()) + 0u);
    for (std::size_t at = 0; at < wire.size();) {
      const std::size_t length = std::to_integer<std::size_t>(wire[at + 3]) * 256 +
                                 std::to_integer<std::size_t>(wire[at + 4]);
      EXPECT_LE(length, client.fragment_bytes_max() + 17);
      at += kTlsHeaderBytes + length;
    }
    EXPECT_EQ(hear(client, ends.engine, wire).text, text);
  }
}

TEST(TlsRecords, JoinManyPiecesInOneRecord) {
  Ends ends;
  TlsRecords client = ends.of_client(), server = ends.of_server();
  const std::string a = "one ", b, c = "two ", d = "three";
  const std::array<Bytes, 4> pieces = {as_bytes(a), as_bytes(b), as_bytes(c), as_bytes(d)};
  std::vector<std::byte> wire(server.sealed_bytes_max(13));
  wire.resize(server.seal(ends.engine, pieces, wire.data()));
  EXPECT_EQ(wire.size(), 13 + kTlsOverheadBytes);
  EXPECT_EQ(hear(client, ends.engine, wire).text, "one two three");
  // More pieces than a record takes.
  std::vector<Bytes> many(200, as_bytes(a));
  wire.resize(server.sealed_bytes_max(800));
  const std::size_t most = wire.size();
  wire.resize(server.seal(ends.engine, many, wire.data()));
  EXPECT_LE(wire.size(), most);
  EXPECT_EQ(hear(client, ends.engine, wire).text.size(), 800u);
}

TEST(TlsRecords, AnswerAKeyUpdateOnceHoweverManyAskForIt) {
  Ends ends;
  TlsRecords client = ends.of_client(), server = ends.of_server();
  for (int i = 0; i < 5; ++i) {
    client.update_keys(true);
    auto wire = sealed(client, ends.engine, "still me");
    EXPECT_EQ(hear(server, ends.engine, wire).text, "still me");
  }
  EXPECT_TRUE(server.owes());
  auto answer = sealed(server, ends.engine, "hello");
  EXPECT_EQ(answer.size(), 5 + kTlsOverheadBytes + 5 + kTlsOverheadBytes);
  EXPECT_FALSE(server.owes());
  EXPECT_EQ(hear(client, ends.engine, answer).text, "hello");
  EXPECT_FALSE(client.owes()) << "an answer asks for none";
  auto more = sealed(server, ends.engine, "under new keys");
  EXPECT_EQ(hear(client, ends.engine, more).text, "under new keys");
}

TEST(TlsRecords, OweAnAnswerThatCanGoWithoutData) {
  Ends ends;
  TlsRecords client = ends.of_client(), server = ends.of_server();
  client.update_keys(true);
  auto ask = sealed(client, ends.engine, "");
  EXPECT_EQ(hear(server, ends.engine, ask).end, Kind::kMore);
  auto answer = sealed(server, ends.engine, "");
  EXPECT_EQ(answer.size(), 5 + kTlsOverheadBytes);
  EXPECT_EQ(hear(client, ends.engine, answer).end, Kind::kMore);
  auto wire = sealed(server, ends.engine, "x");
  EXPECT_EQ(hear(client, ends.engine, wire).text, "x");
}

TEST(TlsRecords, ChangeKeysBeforeTheirLimit) {
  Ends ends;
  const std::uint64_t limit = traits_of(TlsSuite::kAes128Gcm).records_per_key_max;
  ends.server.sequence = limit - 3;
  TlsRecords client = ends.of_client(), server = ends.of_server();
  for (int i = 0; i < 6; ++i) {
    auto wire = sealed(server, ends.engine, "tick");
    EXPECT_EQ(hear(client, ends.engine, wire).text, "tick");
    EXPECT_LT(server.write_sequence(), limit);
  }
  EXPECT_LT(server.write_sequence(), 10u) << "a new key begins at zero";
}

TEST(TlsRecords, RefuseAPeerThatNeverChangesItsKeys) {
  for (const bool is_last : {false, true}) {
    Ends ends;
    ends.client.sequence = TlsRecords::kSequenceMax - (is_last ? 0 : 1);
    TlsRecords server = ends.of_server();
    std::vector<std::byte> wire(100);
    const Bytes text = as_bytes("x");
    wire.resize(ends.engine.seal(TlsSuite::kAes128Gcm, ends.client.secret, ends.client.sequence,
                                 TlsContent::kApplicationData, {&text, 1}, 0, wire.data()));
    const Heard heard = hear(server, ends.engine, wire);
    EXPECT_EQ(heard.text, is_last ? "" : "x");
    EXPECT_EQ(heard.end, is_last ? Kind::kFailed : Kind::kMore);
  }
}

// Memory that can be looked through.
class Watched final : public std::pmr::memory_resource {
 public:
  bool has(Bytes wanted) const {
    return std::ranges::any_of(chunks_, [&](const std::vector<std::byte>& chunk) {
      return !std::ranges::search(chunk, wanted).empty();
    });
  }
  std::size_t bytes() const {
    std::size_t sum = 0;
    for (const auto& chunk : chunks_) sum += chunk.size();
    return sum;
  }

 private:
  void* do_allocate(std::size_t bytes, std::size_t /*alignment*/) override {
    return chunks_.emplace_back(bytes).data();
  }
  void do_deallocate(void* memory, std::size_t /*bytes*/, std::size_t /*alignment*/) override {
    std::erase_if(chunks_, [memory](const auto& chunk) { return chunk.data() == memory; });
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
    return this == &other;
  }
  std::list<std::vector<std::byte>> chunks_;
};

TEST(TlsRecords, KeepWhatIsLongerInTheEnginesMemoryUntilTheyEnd) {
  Watched memory;
  TlsEngine engine(4, &memory);
  TlsTraffic read, write;
  for (std::size_t i = 0; i < kTlsSecretBytesMax; ++i) {
    read.secret[i] = static_cast<std::byte>(i + 1);
    write.secret[i] = static_cast<std::byte>(i + 101);
  }
  const auto tail = [](const TlsTraffic& one) { return Bytes(one.secret).last(16); };
  const auto many = [&](TlsSuite suite) {
    std::vector<TlsRecords> result;
    for (int i = 0; i < 5000; ++i) result.emplace_back(engine, suite, read, write, 0);
    return result;
  };
  const auto end_all = [&](std::vector<TlsRecords>& all) {
    for (TlsRecords& one : all) one.end(engine);
  };
  const std::size_t empty = memory.bytes();
  auto first = many(TlsSuite::kAes128Gcm);
  end_all(first);
  EXPECT_EQ(memory.bytes(), empty) << "SHA-256's have none";

  auto second = many(TlsSuite::kAes256Gcm);
  const std::size_t taken = memory.bytes();
  EXPECT_GE(taken, 5000 * sizeof(TlsSecretTails));
  EXPECT_TRUE(memory.has(tail(read)) && memory.has(tail(write)));
  TlsRecords moved = std::move(second.back());
  EXPECT_EQ(sealed(moved, engine, "x").size(), 1 + kTlsOverheadBytes);
  moved.update_keys(false);
  sealed(moved, engine, "x");
  end_all(second);
  EXPECT_TRUE(memory.has(tail(read))) << "one lives elsewhere";
  EXPECT_FALSE(memory.has(tail(write))) << "and has another by now";
  moved.end(engine);
  EXPECT_FALSE(memory.has(tail(read)));

  auto third = many(TlsSuite::kAes256Gcm);
  EXPECT_EQ(memory.bytes(), taken) << "it is used again";
  third.clear();
  EXPECT_FALSE(memory.has(tail(read)) || memory.has(tail(write))) << "without an end, too";
}

TEST(TlsRecords, AskThePeerForNewKeysAtTheSameLimit) {
  Ends ends;
  ends.client.sequence = traits_of(TlsSuite::kAes128Gcm).records_per_key_max - 1;
  TlsRecords server = ends.of_server();
  TlsRecords client(ends.engine, TlsSuite::kAes128Gcm, ends.server, ends.client, 0);
  // One that does not keep the limit itself.
  std::vector<std::byte> wire(100);
  const Bytes text = as_bytes("x");
  wire.resize(ends.engine.seal(TlsSuite::kAes128Gcm, ends.client.secret, ends.client.sequence,
                               TlsContent::kApplicationData, {&text, 1}, 0, wire.data()));
  EXPECT_EQ(hear(server, ends.engine, wire).text, "x");
  EXPECT_TRUE(server.owes());
  auto ask = sealed(server, ends.engine, "");
  EXPECT_EQ(hear(client, ends.engine, ask).end, Kind::kMore);
  EXPECT_TRUE(client.owes()) << "it was asked";
}

TEST(TlsRecords, ReadNothingBehindTheEnd) {
  Ends ends;
  TlsRecords client = ends.of_client(), server = ends.of_server();
  auto wire = alert(client, ends.engine, TlsAlert::kCloseNotify);
  EXPECT_TRUE(alert(client, ends.engine, TlsAlert::kInternalError).empty()) << "the last word";
  const auto garbage = bytes_of_hex("00 11 22 33 44 55 66");
  wire.insert(wire.end(), garbage.begin(), garbage.end());
  EXPECT_EQ(hear(server, ends.engine, wire).end, Kind::kClosed);
  std::vector<std::byte> rest = garbage;
  EXPECT_EQ(server.open(ends.engine, rest).kind, Kind::kNothing);
  // The other direction goes on (RFC 8446 6.1).
  auto answer = sealed(server, ends.engine, "bye");
  EXPECT_EQ(hear(client, ends.engine, answer).text, "bye");
}

}  // namespace
}  // namespace holdfast::protocol
