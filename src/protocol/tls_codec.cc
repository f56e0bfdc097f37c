#include "protocol/tls_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"

namespace holdfast::protocol {
namespace {

using Kind = TlsOpened::Kind;

// A record of TLS 1.2 or of a handshake may be longer than one of 1.3 (RFC 5246 6.2.3).
constexpr std::size_t kLengthMax = (1 << 14) + 2048;

// How many bytes from its header on belong together: a whole record, or the header of one that
// cannot be right, which is judged without waiting for the rest.
std::size_t record_bytes(Bytes header) {
  const std::size_t length =
      std::to_integer<std::size_t>(header[3]) << 8 | std::to_integer<std::size_t>(header[4]);
  const auto type = std::to_integer<int>(header[0]);
  const bool is_record = type >= 20 && type <= 23 && length <= kLengthMax;
  return kTlsHeaderBytes + (is_record ? length : 0);
}

}  // namespace

void TlsCodec::begin(std::shared_ptr<const TlsContext> context, bool newest_only) {
  CHECK(!is_begun());
  make_busy().handshake = std::make_unique<TlsHandshake>(std::move(context), newest_only);
}

void TlsCodec::begin_client(std::shared_ptr<const TlsClientContext> context, TlsSessions* sessions,
                            bool resume) {
  CHECK(!is_begun());
  ssl_session_st* session = resume && sessions != nullptr ? sessions->next() : nullptr;
  Busy& busy = make_busy();
  busy.handshake = std::make_unique<TlsHandshake>(std::move(context), sessions, session);
  busy.handshake->start(busy.output);
}

void TlsCodec::wait(Bytes input) {
  CHECK(!is_begun());
  auto& partial = make_busy().partial;
  partial.insert(partial.end(), input.begin(), input.end());
}

std::vector<std::byte> TlsCodec::take_waiting() {
  CHECK(is_waiting());
  std::vector<std::byte> bytes = std::move(busy_->partial);
  busy_.reset();
  return bytes;
}

TlsCodec::Busy& TlsCodec::make_busy() {
  if (busy_ == nullptr) busy_ = std::make_unique<Busy>();
  return *busy_;
}
void TlsCodec::forget_client_certificate() {
  if (busy_ == nullptr || busy_->certificate == nullptr) return;
  busy_->certificate.reset();
  rest();
}

void TlsCodec::rest() {
  if (busy_ != nullptr && busy_->is_empty()) busy_.reset();
}

std::optional<MutableBytes> TlsCodec::take_record(MutableBytes& input,
                                                  std::vector<std::byte>& scratch) {
  if (busy_ == nullptr || busy_->partial.empty()) {
    if (input.size() >= kTlsHeaderBytes) {
      const std::size_t size = record_bytes(input);
      if (input.size() >= size) {
        const MutableBytes record = input.first(size);
        input = input.subspan(size);
        return record;
      }
    }
    if (!input.empty()) make_busy().partial.assign(input.begin(), input.end());
    input = {};
    return std::nullopt;
  }
  auto& partial = busy_->partial;
  std::size_t wanted = kTlsHeaderBytes;
  while (partial.size() < wanted || wanted == kTlsHeaderBytes) {
    const std::size_t taken = std::min(input.size(), wanted - std::min(wanted, partial.size()));
    partial.insert(partial.end(), input.begin(),
                   input.begin() + static_cast<std::ptrdiff_t>(taken));
    input = input.subspan(taken);
    if (partial.size() < wanted) return std::nullopt;
    const std::size_t size = record_bytes(partial);
    if (size == wanted) break;
    wanted = size;
  }
  // Out of here: whoever gets its plaintext may end this connection.
  scratch.swap(partial);
  std::vector<std::byte>().swap(partial);
  return MutableBytes(scratch);
}

TlsOpened TlsCodec::next(TlsEngine& engine, MutableBytes& input, std::vector<std::byte>& scratch) {
  if (is_attached() && busy_->handshake->has_lost())
    return {.kind = Kind::kFailed,
            .alert = TlsAlert::kInternalError,
            .reason = busy_->handshake->failure().text};
  const auto record = take_record(input, scratch);
  if (!record) return {};
  if (records_.is_alive()) {
    TlsOpened opened = records_.open(engine, *record);
    CHECK(opened.kind != Kind::kMore);
    rest();
    return opened;
  }
  if (!busy_->attached) return take_handshake_record(engine, *record);
  std::vector<std::byte> plaintext;
  const TlsOpened opened = busy_->handshake->read(engine, *record, plaintext, busy_->output);
  if (opened.kind != Kind::kData) return opened;
  const std::size_t size = opened.plaintext.size();
  if (busy_->handshake->is_client())
    take_over(busy_->handshake->detach_client(engine, *record, opened.plaintext));
  scratch = std::move(plaintext);
  return {.kind = Kind::kData, .plaintext = MutableBytes(scratch).first(size)};
}

TlsOpened TlsCodec::take_handshake_record(TlsEngine& engine, Bytes record) {
  TlsHandshake& handshake = *busy_->handshake;
  switch (handshake.feed(record, busy_->output)) {
    case TlsHandshake::Progress::kMore:
      return {.kind = Kind::kNothing};
    case TlsHandshake::Progress::kFailed:
      return {.kind = Kind::kFailed, .reason = "the TLS handshake failed"};
    case TlsHandshake::Progress::kDone:
      break;
  }
  busy_->certificate = handshake.client_certificate();
  const TlsOpened established{.kind = Kind::kEstablished, .resumed = handshake.was_resumed()};
  busy_->attached = true;
  if (!handshake.is_client()) take_over(handshake.detach(engine));
  return established;
}

void TlsCodec::take_over(std::optional<TlsRecords> records) {
  if (!records) return;
  records_ = std::move(*records);
  busy_->handshake.reset();
  busy_->attached = false;
  rest();
}

// How many bytes write() may need. Where OpenSSL seals, it does so here: how much it adds is its
// business (padding, fragments), so nothing but the records themselves can tell.
std::size_t TlsCodec::prepare(TlsEngine& engine, std::span<const Bytes> pieces) {
  std::size_t bytes = 0;
  for (const Bytes piece : pieces) bytes += piece.size();
  if (is_attached()) {
    std::vector<std::byte> joined;
    joined.reserve(bytes);
    for (const Bytes piece : pieces) joined.insert(joined.end(), piece.begin(), piece.end());
    busy_->handshake->write(engine, joined, busy_->output);
  }
  const std::size_t waiting = busy_ == nullptr ? 0 : busy_->output.size();
  return waiting + (records_.is_alive() ? records_.sealed_bytes_max(bytes) : 0);
}

std::size_t TlsCodec::take_output(MutableBytes out) {
  if (busy_ == nullptr) return 0;
  const std::size_t size = busy_->output.size();
  CHECK(size <= out.size());
  std::copy(busy_->output.begin(), busy_->output.end(), out.begin());
  std::vector<std::byte>().swap(busy_->output);
  rest();
  return size;
}

MutableBytes TlsCodec::write(MutableBytes out, TlsEngine& engine, std::span<const Bytes> pieces) {
  std::size_t size = take_output(out);
  if (records_.is_alive() && !records_.has_write_end())
    size += records_.seal(engine, pieces, out.data() + size);
  CHECK(size <= out.size());
  return out.first(size);
}

void TlsCodec::seal(TlsEngine& engine, std::span<const Bytes> pieces, std::vector<std::byte>& out) {
  const MutableBytes sealed = seal(engine, pieces, [&](std::size_t size) {
    out.resize(size);
    return out.data();
  });
  out.resize(sealed.size());
}

void TlsCodec::end_writing(TlsEngine& engine, TlsAlert alert) {
  if (!is_established()) return;
  std::array<std::byte, TlsRecords::kAlertBytes> out;
  if (!records_.is_alive()) {
    if (alert == TlsAlert::kCloseNotify) busy_->handshake->write_close(busy_->output);
    return;
  }
  const std::size_t size = records_.seal_alert(engine, alert, out.data());
  auto& output = make_busy().output;
  output.insert(output.end(), out.begin(), out.begin() + static_cast<std::ptrdiff_t>(size));
  rest();
}

// RFC 8446 5.1, 6: a fatal alert, in a record of its own. Behind a first flight of TLS 1.3 it would
// have to be sealed with keys that OpenSSL alone has (and that says nothing for others); in the
// clear it would be a fault of ours (5), so there TCP ends alone.
void TlsCodec::give_up(TlsAlert alert) {
  CHECK(!is_established());
  if (busy_ == nullptr) return;
  const bool may_say = busy_->handshake == nullptr || busy_->handshake->is_in_clear();
  busy_->handshake.reset();
  std::vector<std::byte>().swap(busy_->partial);
  if (may_say && alert != TlsAlert::kCloseNotify) {
    constexpr std::byte kFatal{2};
    const std::array<std::byte, 7> record = {static_cast<std::byte>(TlsContent::kAlert),
                                             std::byte{3},
                                             std::byte{3},
                                             std::byte{0},
                                             std::byte{2},
                                             kFatal,
                                             static_cast<std::byte>(alert)};
    busy_->output.insert(busy_->output.end(), record.begin(), record.end());
  }
  rest();
}

std::size_t TlsCodec::unsaid_bytes() const {
  if (busy_ == nullptr) return 0;
  const std::size_t kept = busy_->handshake == nullptr ? 0 : busy_->handshake->kept_bytes();
  return busy_->output.size() + kept;
}

void TlsCodec::end(TlsEngine& engine) {
  records_.end(engine);
  busy_.reset();
}

std::string describe_failure(const TlsOpened& opened, const TlsCodec& codec) {
  using Why = TlsFailure::Kind;
  if (opened.kind == TlsOpened::Kind::kAlerted)
    return fmt::format("TLS alert {}", static_cast<int>(opened.alert));
  if (codec.handshake() == nullptr) return fmt::format("TLS: {}", opened.reason);
  const TlsFailure& failure = codec.handshake()->failure();
  switch (failure.kind) {
    case Why::kUnverified:
      return fmt::format("certificate not verified: {}", failure.text);
    case Why::kAlert:
      return fmt::format("TLS alert: {}", failure.text);
    case Why::kOther:
      break;
  }
  return fmt::format("TLS: {}", failure.text);
}

}  // namespace holdfast::protocol
