// What compression costs per message, as the server does it. The message: quotes in JSON, none of
// which comes twice.

#include <benchmark/benchmark.h>

#include <random>
#include <string>

#include "base/check.h"
#include "protocol/message_deflater.h"
#include "protocol/message_inflater.h"

namespace holdfast::protocol {
namespace {

std::string quotes(std::size_t size) {
  std::mt19937 random(1);
  std::string text;
  while (text.size() < size) {
    text += "{\"symbol\":\"S" + std::to_string(random() % 300) +
            "\",\"bid\":" + std::to_string(random() % 100'000) + "},";
  }
  text.resize(size);
  return text;
}

void BM_Deflate(benchmark::State& state) {
  const std::string message = quotes(static_cast<std::size_t>(state.range(0)));
  MessageDeflater deflater(Takeover::kNone, window_bits_of(message.size()));
  std::size_t payload_bytes = 0;
  for (auto _ : state) {
    const auto payload = deflater.deflate(as_bytes(message));
    CHECK(payload);
    payload_bytes = payload->size();
  }
  state.counters["percent"] =
      100.0 * static_cast<double>(payload_bytes) / static_cast<double>(message.size());
}

void BM_Inflate(benchmark::State& state) {
  const std::string message = quotes(static_cast<std::size_t>(state.range(0)));
  MessageDeflater deflater;
  const std::string payload(as_text(*deflater.deflate(as_bytes(message))));
  MessageInflater inflater;
  for (auto _ : state) {
    CHECK(inflater.inflate(as_bytes(payload), message.size()) == MessageInflater::Outcome::kDone);
    inflater.release();
  }
}

BENCHMARK(BM_Deflate)->Arg(128)->Arg(250)->Arg(1024)->Arg(4096)->Arg(65'536);
BENCHMARK(BM_Inflate)->Arg(128)->Arg(250)->Arg(1024)->Arg(4096)->Arg(65'536);

}  // namespace
}  // namespace holdfast::protocol
