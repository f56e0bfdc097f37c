#include "pusher/client_message.h"

#include <nlohmann/json.hpp>

namespace holdfast::pusher {
namespace {

using Json = nlohmann::json;

std::optional<Json> parse_object(std::string_view text) {
  Json value = Json::parse(text, nullptr, false);
  if (!value.is_object()) return std::nullopt;
  return value;
}

std::string text_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<std::string> optional_text_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

// An id may be text or a whole number; both name the same user.
std::string id_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return {};
  if (found->is_string()) return found->get<std::string>();
  if (found->is_number_integer()) return found->dump();
  return {};
}

std::optional<Place> place_of(const Json& object) {
  const auto found = object.find("recover");
  if (found == object.end() || *found == false || found->is_null()) return std::nullopt;
  if (!found->is_object()) return Place{};
  const auto serial = found->find("serial");
  const std::uint64_t epoch = parse_epoch(text_of(*found, "epoch"));
  if (epoch == 0 || serial == found->end() || !serial->is_number_unsigned()) return Place{};
  return Place{epoch, serial->get<std::uint64_t>()};
}

}  // namespace

std::optional<ClientMessage> parse_client_message(std::string_view text) {
  const auto object = parse_object(text);
  if (!object) return std::nullopt;
  ClientMessage message{text_of(*object, "event"), text_of(*object, "channel"), "{}"};
  if (message.event.empty()) return std::nullopt;
  if (const auto data = object->find("data"); data != object->end() && !data->is_null()) {
    message.data = data->dump();
  }
  return message;
}

std::optional<ClientMessage::Fields> ClientMessage::fields() const {
  Json value = Json::parse(data, nullptr, false);
  if (value.is_string()) value = Json::parse(value.get<std::string>(), nullptr, false);
  if (!value.is_object()) return std::nullopt;
  return Fields{text_of(value, "channel"), text_of(value, "auth"),
                optional_text_of(value, "channel_data"), optional_text_of(value, "user_data"),
                place_of(value)};
}

bool is_plain_ping(std::string_view text) {
  return text.size() < 64 && text.starts_with(R"({"event":"pusher:ping")");
}

std::optional<Identity> parse_channel_data(std::string_view text) {
  const auto object = parse_object(text);
  if (!object) return std::nullopt;
  Identity identity{id_of(*object, "user_id"), "null"};
  if (identity.id.empty()) return std::nullopt;
  if (const auto info = object->find("user_info"); info != object->end())
    identity.info = info->dump();
  return identity;
}

std::optional<SignedIn> parse_user_data(std::string_view text) {
  const auto object = parse_object(text);
  if (!object) return std::nullopt;
  SignedIn signed_in{{id_of(*object, "id"), "null"}, {}};
  if (signed_in.user.id.empty()) return std::nullopt;
  if (const auto info = object->find("user_info"); info != object->end()) {
    signed_in.user.info = info->dump();
  }
  if (const auto watched = object->find("watchlist"); watched != object->end()) {
    if (!watched->is_array()) return std::nullopt;
    for (const Json& user : *watched) {
      if (user.is_string()) {
        signed_in.watchlist.push_back(user.get<std::string>());
      } else if (user.is_number_integer()) {
        signed_in.watchlist.push_back(user.dump());
      } else {
        return std::nullopt;
      }
    }
  }
  return signed_in;
}

}  // namespace holdfast::pusher
