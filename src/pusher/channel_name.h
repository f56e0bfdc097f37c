#pragma once

// What the name of a channel says of it.

#include <array>
#include <cstdint>
#include <string_view>

namespace holdfast::pusher {

struct ChannelName {
  enum class Access : std::uint8_t {
    kPublic,
    kPrivate,
    kEncrypted,  // private, and the server sees ciphertext alone
    kPresence,   // private, and its members are known to each other
    kUser,       // "#server-to-user-ID": what the server sends to one signed-in user
  };
  Access access = Access::kPublic;
  bool is_cache = false;  // the last event is kept for those who come later

  bool needs_signature() const {
    return access == Access::kPrivate || access == Access::kEncrypted ||
           access == Access::kPresence;
  }
  // Whether its members may send events to each other.
  bool takes_client_events() const {
    return access == Access::kPrivate || access == Access::kPresence;
  }
};

// By Access, but for users' own, which come and go with sign-ins.
inline constexpr std::array<std::string_view, 4> kChannelKindNames = {"public", "private",
                                                                      "encrypted", "presence"};
inline constexpr std::size_t kChannelNameBytesMax = 164;
inline constexpr std::string_view kUserChannelPrefix = "#server-to-user-";

// Letters, digits and _-=@,.; in 1 to 164 bytes, prefix included; or a user's own channel.
bool is_channel_name(std::string_view name);
ChannelName classify(std::string_view name);

}  // namespace holdfast::pusher
