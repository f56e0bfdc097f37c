#include "simulator/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "protocol/frame.h"
#include "simulator/message.h"

namespace holdfast::simulator {
namespace {

// A handler needs no name for a peer; the ledger does.
struct Handle {
  const server::Worker* worker;
  std::int64_t descriptor_and_padding;
};
static_assert(sizeof(Handle) == sizeof(Peer));

bool is_in(const Facts& facts, WindowName name) {
  return facts.was_opened && !facts.was_ended && (facts.subscribed >> name.first & 1) != 0 &&
         facts.wishes[name.first] == name.second;
}

}  // namespace

Link& Ledger::link_of(Peer& peer) {
  const auto handle = std::bit_cast<Handle>(peer);
  for (const Post& post : posts_) {
    if (post.worker.get() != handle.worker) continue;
    Link* link =
        post.loop->link_of(static_cast<std::int32_t>(handle.descriptor_and_padding & 0xFFFFFFFF));
    CHECK(link != nullptr && "a handler was called for a descriptor that is not open");
    return *link;
  }
  CHECK(false && "Peer is laid out in another way than the ledger believes");
  __builtin_unreachable();
}

void Ledger::opened(Peer& peer) {
  Link& link = link_of(peer);
  ++post_of(peer).opened;
  world_.note(What::kOpened, link.worker, link.id);
  if (link.facts.was_opened) world_.trace.fail(fmt::format("open() twice for peer {}", link.id));
  link.facts.was_opened = true;
  link.facts.received_at = world_.now;
  ++opened_by_second_[std::chrono::duration_cast<std::chrono::seconds>(
                          link.facts.accepted_at.time_since_epoch())
                          .count()];
}

void Ledger::ended(Peer& peer, std::uint16_t code) {
  Link& link = link_of(peer);
  Post& post = post_of(peer);
  follow_mail(post);
  ++post.ended;
  world_.note(What::kEnded, link.worker, link.id, code);
  if (!link.facts.was_opened)
    world_.trace.fail(fmt::format("close() for peer {}, which was never opened", link.id));
  if (link.facts.was_ended) world_.trace.fail(fmt::format("close() twice for peer {}", link.id));
  link.facts.was_ended = true;
  link.facts.ended_at = world_.now;
  forget_windows(post, link.facts.subscribed);
}

void Ledger::message(Peer& peer) {
  const Link& link = link_of(peer);
  ++post_of(peer).messages;
  if (!link.facts.was_opened || link.facts.was_ended) {
    world_.trace.fail(
        fmt::format("message() for peer {} before its open() or after its close()", link.id));
  }
}

void Ledger::subscribe(Peer& peer, std::uint32_t topic, std::uint8_t wish) {
  Link& link = link_of(peer);
  Post& post = post_of(peer);
  world_.note(What::kSubscribe, link.worker, link.id, topic, wish);
  peer.subscribe(topic_name(topic), kWishes[wish]);
  if (link.facts.was_ended) return;
  const bool was_subscribed = (link.facts.subscribed >> topic & 1) != 0;
  if (was_subscribed && link.facts.wishes[topic] == wish) return;
  // What waits is for those who were there when it was published.
  end_window(post, {topic, wish});
  if (was_subscribed) end_window(post, {topic, link.facts.wishes[topic]});
  link.facts.subscribed |= 1u << topic;
  link.facts.wishes[topic] = wish;
}

void Ledger::unsubscribe(Peer& peer, std::uint32_t topic) {
  Link& link = link_of(peer);
  world_.note(What::kUnsubscribe, link.worker, link.id, topic);
  peer.unsubscribe(topic_name(topic));
  link.facts.subscribed &= ~(1u << topic);
  forget_windows(post_of(peer), 1u << topic);
}

void Ledger::request(Publisher& publisher) {
  for (Post& post : posts_) {
    if (post.worker.get() == &publisher) ++post.requests;
  }
}

bool Ledger::publish(Publisher& publisher, std::uint32_t topic, std::size_t bytes) {
  const std::string payload = begin_publication(topic, bytes);
  Post* through = nullptr;
  for (Post& post : posts_) {
    if (post.worker.get() == &publisher) through = &post;
  }
  CHECK(through != nullptr);
  const bool everywhere = publisher.publish(topic_name(topic), MessageKind::kText,
                                            as_bytes(payload), {.key = key_of(publications() - 1)});
  through->lost += last_refused_;
  if (everywhere != (last_refused_ == 0)) {
    world_.trace.fail("publish() does not say whether a mailbox was full");
  }
  return everywhere;
}

void Ledger::publish(std::uint32_t topic, std::size_t bytes) {
  const std::string payload = begin_publication(topic, bytes);
  publish(server::make_publication(topic_name(topic), MessageKind::kText, as_bytes(payload),
                                   {.key = key_of(publications() - 1)}));
}

std::string Ledger::begin_publication(std::uint32_t topic, std::size_t bytes) {
  const std::uint32_t number = publications();
  topics_.push_back(topic);
  std::string payload = make_publication_text(number, bytes);
  sizes_.push_back(payload.size());
  return payload;
}

void Ledger::open_broker() {
  std::vector<broker::Mailbox*> mailboxes;
  for (const Post& post : posts_) mailboxes.push_back(post.mailbox.get());
  broker_ = std::make_unique<broker::MemoryBroker>(std::move(mailboxes));
}

// What each mailbox takes follows from its length and from who is interested.
std::uint32_t Ledger::publish(broker::SharedPublication publication) {
  const std::uint32_t number = publications() - 1;
  const std::uint32_t topic = topics_[number];
  world_.note(What::kPublish, -1, -1, number, topic);
  std::uint32_t refused = 0;
  for (Post& post : posts_) {
    if (post.interest[topic] == 0) continue;
    if (post.mail.size() - post.counters->publications.read() < world_.scenario.mailbox_max) {
      post.mail.push_back(number);
      post.loop->look_at_waker();
    } else {
      ++refused;
      world_.note(What::kRefusedMail, static_cast<int>(&post - posts_.data()), -1, number);
    }
  }
  last_refused_ = refused;
  if (world_.is_sabotaged(Sabotage::kLosesPublication)) return refused;
  if (world_.is_sabotaged(Sabotage::kRepeatsPublication)) broker_->publish(publication);
  if (broker_->publish(std::move(publication)) != refused) {
    world_.trace.fail(
        fmt::format("publication {}: other mailboxes were full than {}", number, refused));
  }
  return refused;
}

void Ledger::gain_interest(std::uint32_t worker, std::string_view topic) {
  ++posts_[worker].interest[simulator::topic_of(topic)];
  broker_->gain_interest(worker, topic);
}

void Ledger::lose_interest(std::uint32_t worker, std::string_view topic) {
  --posts_[worker].interest[simulator::topic_of(topic)];
  broker_->lose_interest(worker, topic);
}

void Ledger::follow_mail(Post& post) {
  const std::uint64_t taken = post.counters->publications.read();
  if (taken > post.mail.size())
    return world_.trace.fail("a worker took more publications than its mailbox was given");
  for (; post.mail_taken < taken; ++post.mail_taken) owe(post, post.mail[post.mail_taken]);
  // Handlers are called before the worker takes its mail and ends its windows, or after both.
  if (!post.loop->is_dispatching()) end_windows(post);
}

// To those who want it at once; the others' window takes it.
void Ledger::owe(Post& post, std::uint32_t number) {
  const std::uint32_t topic = topics_[number];
  std::array<bool, kWishes.size()> is_wanted{};
  for (Link* link : post.loop->held()) {
    Facts& facts = link->facts;
    if (!facts.was_opened || facts.was_ended || (facts.subscribed >> topic & 1) == 0) continue;
    is_wanted[facts.wishes[topic]] = true;
    if (facts.wishes[topic] != 0) continue;
    facts.owed.push_back(number);
    ++post.deliveries;
  }
  for (std::size_t wish = 1; wish < kWishes.size(); ++wish) {
    if (is_wanted[wish]) gather(post, number, static_cast<std::uint8_t>(wish));
  }
}

void Ledger::gather(Post& post, std::uint32_t number, std::uint8_t wish) {
  constexpr std::size_t kBytesMax = 256 * 1024;  // a window that holds so much ends at once
  const WindowName name{topics_[number], wish};
  const bool is_new = !post.windows.contains(name);
  Window& window = post.windows[name];
  const auto wire_bytes = [this](std::uint32_t one) {
    return sizes_[one] + protocol::frame_header_bytes(sizes_[one], false);
  };
  if (kWishes[wish].conflate) {
    const auto older =
        std::find_if(window.waiting.begin(), window.waiting.end(),
                     [&](std::uint32_t one) { return key_of(one) == key_of(number); });
    if (older != window.waiting.end()) {
      window.bytes -= wire_bytes(*older);
      window.waiting.erase(older);
      ++post.conflated;
    }
  }
  window.waiting.push_back(number);
  window.bytes += wire_bytes(number);
  ++post.gathered;
  const bool is_full = window.bytes >= kBytesMax;
  if (!is_new && !is_full) return;
  std::erase_if(post.due, [&](const auto& due) { return due.second == name; });
  post.due.emplace(post.loop->now() + (is_full ? Duration(0) : Duration(kWishes[wish].window)),
                   name);
}

void Ledger::end_windows(Post& post) {
  while (!post.due.empty() && post.due.begin()->first <= post.loop->now()) {
    end_window(post, WindowName(post.due.begin()->second));
  }
}

// What waits there, if anything, goes to those who are there.
void Ledger::end_window(Post& post, WindowName name) {
  const auto ended = post.windows.extract(name);
  if (ended.empty()) return;
  const std::vector<std::uint32_t>& waiting = ended.mapped().waiting;
  std::erase_if(post.due, [&](const auto& due) { return due.second == name; });
  for (Link* link : post.loop->held()) {
    Facts& facts = link->facts;
    if (!is_in(facts, name)) continue;
    facts.owed.insert(facts.owed.end(), waiting.begin(), waiting.end());
    post.deliveries += waiting.size();
  }
}

// Of these topics (a bit each): with its last subscriber goes what waits for it.
void Ledger::forget_windows(Post& post, std::uint32_t topics) {
  const auto is_wanted = [&](const WindowName& name) {
    return std::any_of(post.loop->held().begin(), post.loop->held().end(),
                       [&](const Link* link) { return is_in(link->facts, name); });
  };
  for (auto at = post.windows.begin(); at != post.windows.end();) {
    const WindowName name = at->first;
    if ((topics >> name.first & 1) == 0 || is_wanted(name)) {
      ++at;
      continue;
    }
    std::erase_if(post.due, [&](const auto& due) { return due.second == name; });
    at = post.windows.erase(at);
  }
}

}  // namespace holdfast::simulator
