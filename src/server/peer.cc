#include "holdfast/peer.h"

#include "base/check.h"
#include "server/worker.h"

namespace holdfast {

void Peer::send(MessageKind kind, Bytes payload, std::string_view event_id) {
  worker_->send(descriptor_, kind, payload, event_id);
}
void Peer::subscribe(std::string_view topic, const SubscribeOptions& options) {
  worker_->subscribe(descriptor_, topic, options);
}
void Peer::unsubscribe(std::string_view topic) { worker_->unsubscribe(descriptor_, topic); }
bool Peer::at_this_point_of(std::string_view topic, std::function<void(Peer&)> act) {
  return worker_->at_this_point_of(descriptor_, topic, std::move(act));
}
bool Peer::publish(std::string_view topic, MessageKind kind, Bytes payload,
                   const PublishOptions& options) {
  return worker_->publish(topic, kind, payload, options);
}
void Peer::close(std::uint16_t code, std::string_view reason) {
  worker_->close(descriptor_, code, reason, server::Ending::kHandler);
}
std::uint64_t Peer::queued_bytes() const { return worker_->queued_bytes(descriptor_); }
std::string Peer::address() const { return worker_->address_of(descriptor_); }
PeerId Peer::id() const { return worker_->id_of(descriptor_); }
std::unique_ptr<Kept>& Peer::data_place() { return worker_->belongings().data(descriptor_); }
Kept* Peer::existing_data() const { return worker_->belongings().find_data(descriptor_); }

void Peer::wrong_data_type() {
  check_failed("Peer::data() is asked for the type that it was first asked for", __FILE__,
               __LINE__);
}

}  // namespace holdfast
