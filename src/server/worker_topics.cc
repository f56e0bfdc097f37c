// Publications on their way to this worker's subscribers.

#include <algorithm>
#include <array>
#include <boost/container_hash/hash.hpp>

#include "protocol/frame.h"
#include "server/topic_name.h"
#include "server/worker.h"

namespace holdfast::server {
namespace {

// Mail of one turn: a flood of publications must not keep the worker from its sockets.
constexpr std::size_t kMailPerTurn = 256;
// Publications that leave together are copied together, once, so that a peer's send is one piece
// and not many. Up to so much.
constexpr std::size_t kJoinBytesMax = 32 * 1024;
constexpr std::chrono::milliseconds kWindowMax{1000};

}  // namespace

void Worker::take_mail() {
  mail_.clear();
  while (mail_.size() < kMailPerTurn) {
    auto publication = mailbox_.next();
    if (!publication) break;
    mail_.push_back(std::move(*publication));
  }
  if (mail_.empty()) return;
  if (mail_.size() == kMailPerTurn) mailbox_.wake();
  prompt_until_ = loop_.now() + std::chrono::seconds(1);
  // Runs of one topic: those behind each other in the mail, so that a peer sees different topics in
  // the order of their publication.
  for (auto first = mail_.begin(); first != mail_.end();) {
    if ((*first)->errand != nullptr) {
      run_errand(*(*first)->errand);
      (first++)->reset();  // what it holds is not kept until the next mail
      continue;
    }
    const std::string_view topic = (*first)->topic;
    const auto last = std::find_if(first, mail_.end(), [&](const auto& one) {
      return one->errand != nullptr || one->topic != topic;
    });
    const std::span<const broker::SharedPublication> run(first, last);
    counters_.publications.add(run.size());
    fan_out(topic, run);
    counters_.messages_conflated.add(windows_.add(topic, run, loop_.now()));
    first = last;
  }
}

// Not for those that are closing either: their handler was told that they are gone.
void Worker::run_errand(const broker::Errand& errand) {
  if (errand.visit) return errand.visit(*this);
  if (!belongings_.is_present(errand.peer)) return;
  const auto descriptor = static_cast<int>(errand.peer.descriptor);
  if (table_[descriptor].state != State::kOpen) return;
  Peer peer(*this, descriptor);
  errand.act(peer);
}

void Worker::run_windows() {
  windows_.run(loop_.now(),
               [&](std::string_view key, const Windows::Batch& batch) { fan_out(key, batch); });
}

// To everyone who is found under `key`.
void Worker::fan_out(std::string_view key, std::span<const broker::SharedPublication> run) {
  if (topics_.subscriber_count(key) == 0) return;
  while (!run.empty()) {
    // What somebody here is not to be sent goes alone.
    const PeerId except = run[0]->except;
    const int skipped = belongings_.is_present(except) ? static_cast<int>(except.descriptor) : -1;
    std::size_t count = 1, bytes = run[0]->wire.size();
    while (skipped < 0 && count < run.size() && !belongings_.is_present(run[count]->except) &&
           bytes + run[count]->wire.size() <= kJoinBytesMax) {
      bytes += run[count++]->wire.size();
    }
    const auto part = run.first(count);
    run = run.subspan(count);
    std::array<Form, Connection::kForms> forms;
    topics_.for_each(key, [&](std::uint32_t subscriber) {
      const auto descriptor = static_cast<int>(subscriber);
      Connection& connection = table_[descriptor];
      if (connection.state != State::kOpen || descriptor == skipped) return;
      Form& form = forms[connection.deflate];
      if (form.held < 0) form = join(part, connection.deflate);
      if (form.wire.empty()) return;
      counters_.deliveries.add(part.size());
      if (form.payload_bytes != 0) note_deflated(connection, form);
      queue(descriptor, connection, form.wire, form.held);
    });
  }
}

Worker::Form Worker::join(std::span<const broker::SharedPublication> run, std::uint8_t deflate) {
  Form form;
  TransmitQueue::Held held;
  std::size_t size = 0;
  for (const auto& publication : run) {
    const SharedBytes& wire = wire_for(*publication, deflate);
    held.messages.push_back({wire, value_of(*publication)});
    size += wire.size();
    if (deflate == Connection::kEventStream ||
        wire.bytes().data() == publication->wire.bytes().data())
      continue;
    form.message_bytes += publication->wire.size();
    form.payload_bytes += wire.size();
  }
  if (run.size() == 1) {
    held.bytes = held.messages[0].bytes;
  } else {
    held.bytes = SharedBytes::allocate(size);
    std::byte* out = held.bytes.mutable_bytes().data();
    for (const TransmitQueue::Message& message : held.messages) {
      const Bytes wire = message.bytes.bytes();
      out = std::copy(wire.begin(), wire.end(), out);
    }
  }
  form.wire = held.bytes.bytes();
  form.held = transmit_.hold(std::move(held));
  return form;
}

std::uint64_t Worker::value_of(const broker::Publication& publication) const {
  if (!settings_.conflate) return 0;
  std::size_t hash = boost::hash<std::string>()(publication.topic);
  boost::hash_combine(hash, publication.key);
  return hash == 0 ? 1 : hash;
}

bool Worker::publish(std::string_view topic, MessageKind kind, std::span<const std::byte> payload,
                     const PublishOptions& options) {
  const std::uint32_t refused = broker_.publish(make_publication(topic, kind, payload, options));
  counters_.publications_lost.add(refused);
  return refused == 0;
}

broker::SharedPublication make_publication(std::string_view topic, MessageKind kind, Bytes payload,
                                           const PublishOptions& options) {
  const auto opcode =
      kind == MessageKind::kText ? protocol::Opcode::kText : protocol::Opcode::kBinary;
  const std::size_t header = protocol::frame_header_bytes(payload.size(), false);
  auto publication = std::make_shared<broker::Publication>();
  publication->topic = topic;
  publication->wire = SharedBytes::allocate(header + payload.size());
  publication->key = options.key;
  publication->event_id = options.event_id;
  publication->except = options.except;
  std::byte* out = publication->wire.mutable_bytes().data();
  protocol::write_frame_header(out, opcode, true, payload.size());
  std::copy(payload.begin(), payload.end(), out + header);
  return publication;
}

void Worker::subscribe(int descriptor, std::string_view topic, const SubscribeOptions& options) {
  // A subscription of one that is going would be inherited by the next peer with this descriptor.
  if (!is_topic(topic) || table_[descriptor].state != State::kOpen) return;
  SubscribeOptions wishes = options;
  wishes.window = std::clamp(options.window, std::chrono::milliseconds(0), kWindowMax);
  const auto subscriber = static_cast<std::uint32_t>(descriptor);
  const std::string key = Windows::key_of(topic, wishes);
  // What a window holds was published before this: it is for one who leaves it, not for one who
  // comes. Nobody is dropped for it before the flush, so no handler is called in here.
  windows_.end_early(
      topic,
      [&](std::string_view one) {
        const bool is_in = topics_.is_subscribed(subscriber, one);
        return one == key ? !is_in : is_in;
      },
      [this](std::string_view one, const Windows::Batch& batch) { fan_out(one, batch); });
  if (wishes.window.count() > 0 && topics_.subscriber_count(key) == 0) windows_.open(topic, wishes);
  if (!topics_.subscribe(subscriber, key)) return;
  // Once each: the wishes of before are gone.
  if (key != topic) topics_.unsubscribe(subscriber, topic);
  for (const std::string& other : windows_.keys_of(topic)) {
    if (other != key) topics_.unsubscribe(subscriber, other);
  }
}

void Worker::unsubscribe(int descriptor, std::string_view topic) {
  if (!is_topic(topic)) return;
  const auto subscriber = static_cast<std::uint32_t>(descriptor);
  topics_.unsubscribe(subscriber, topic);
  for (const std::string& key : windows_.keys_of(topic)) topics_.unsubscribe(subscriber, key);
}

// The letter brings an interest of its own: what is published after it comes to this mailbox,
// behind it, although nobody here may be subscribed yet.
bool Worker::at_this_point_of(int descriptor, std::string_view topic,
                              std::function<void(Peer&)> act) {
  if (!is_topic(topic) || table_[descriptor].state != State::kOpen) return false;
  auto letter = std::make_shared<broker::Publication>();
  letter->errand = std::make_unique<const broker::Errand>(
      PeerId{}, nullptr,
      [peer = id_of(descriptor), name = std::string(topic), act = std::move(act)](Worker& worker) {
        worker.run_errand({peer, act});
        worker.broker_.lose_interest(worker.number_, name);
      });
  broker_.gain_interest(number_, topic);
  if (mailbox_.post(std::move(letter))) return true;
  broker_.lose_interest(number_, topic);
  return false;
}

void Worker::topic_began(std::string_view key) {
  broker_.gain_interest(number_, Windows::topic_of(key));
}

void Worker::topic_ended(std::string_view key) {
  broker_.lose_interest(number_, Windows::topic_of(key));
  if (!windows_.is_empty()) windows_.close(key);
}

}  // namespace holdfast::server
