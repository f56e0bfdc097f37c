#include "simulator/ledger.h"

#include <fmt/format.h>

#include <bit>

#include "base/check.h"
#include "simulator/message.h"

namespace holdfast::simulator {
namespace {

// A handler needs no name for a peer; the ledger does.
struct Handle {
  const server::Worker* worker;
  std::int64_t descriptor_and_padding;
};
static_assert(sizeof(Handle) == sizeof(Peer));

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
}

void Ledger::message(Peer& peer) {
  const Link& link = link_of(peer);
  ++post_of(peer).messages;
  if (!link.facts.was_opened || link.facts.was_ended) {
    world_.trace.fail(
        fmt::format("message() for peer {} before its open() or after its close()", link.id));
  }
}

void Ledger::subscribe(Peer& peer, std::uint32_t topic) {
  Link& link = link_of(peer);
  world_.note(What::kSubscribe, link.worker, link.id, topic);
  peer.subscribe(topic_name(topic));
  if (!link.facts.was_ended) link.facts.subscribed |= 1u << topic;
}

void Ledger::unsubscribe(Peer& peer, std::uint32_t topic) {
  Link& link = link_of(peer);
  world_.note(What::kUnsubscribe, link.worker, link.id, topic);
  peer.unsubscribe(topic_name(topic));
  link.facts.subscribed &= ~(1u << topic);
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
  const bool everywhere =
      publisher.publish(topic_name(topic), MessageKind::kText, as_bytes(payload));
  through->lost += last_refused_;
  if (everywhere != (last_refused_ == 0)) {
    world_.trace.fail("publish() does not say whether a mailbox was full");
  }
  return everywhere;
}

void Ledger::publish(std::uint32_t topic, std::size_t bytes) {
  const std::string payload = begin_publication(topic, bytes);
  publish(server::make_publication(topic_name(topic), MessageKind::kText, as_bytes(payload), {}));
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
  for (; post.mail_taken < taken; ++post.mail_taken) {
    const std::uint32_t number = post.mail[post.mail_taken];
    const std::uint32_t topic = 1u << topics_[number];
    for (Link* link : post.loop->held()) {
      Facts& facts = link->facts;
      if (!facts.was_opened || facts.was_ended || (facts.subscribed & topic) == 0) continue;
      facts.owed.push_back(number);
      ++post.deliveries;
    }
  }
}

}  // namespace holdfast::simulator
