// What a client says, and what is read out of it: any bytes at all.

#include <cstddef>
#include <cstdint>

#include "pusher/channel_name.h"
#include "pusher/client_message.h"
#include "pusher/query.h"
#include "pusher/server_message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdfast::pusher;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  is_plain_ping(text);
  parse_channel_data(text);
  parse_user_data(text);
  parse_query(text);
  const auto message = parse_client_message(text);
  if (!message) return 0;
  if (is_channel_name(message->channel)) classify(message->channel);
  // What goes out of it must be readable for others.
  const std::string out = client_event(message->event, message->channel, message->data, "1");
  if (!parse_client_message(out)) __builtin_trap();
  const auto fields = message->fields();
  if (fields && fields->channel_data) parse_channel_data(*fields->channel_data);
  return 0;
}
