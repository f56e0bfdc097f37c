#pragma once

// The signatures of the Pusher protocol: HMAC-SHA256 in lower-case hexadecimal digits, shown as
// "key:signature".

#include <optional>
#include <string>
#include <string_view>

namespace holdfast::pusher {

// HMAC-SHA256 of `text` under `secret`, 64 hexadecimal digits. Any thread.
std::string sign(std::string_view secret, std::string_view text);
// MD5 of `text`, 32 hexadecimal digits: the protocol's body_md5, which guards against accidents
// only.
std::string md5_of(std::string_view text);
// Takes the same time wherever the first difference stands.
bool is_same(std::string_view given, std::string_view wanted);

// What is signed for each purpose. `channel_data` and `user_data` exactly as they were received.
std::string text_to_join(std::string_view socket_id, std::string_view channel,
                         std::optional<std::string_view> channel_data);
std::string text_to_sign_in(std::string_view socket_id, std::string_view user_data);
// METHOD, path, and the query's parameters but auth_signature: names in lower case, sorted, values
// decoded.
std::string text_of_request(std::string_view method, std::string_view path, std::string_view query);

// Whether `auth` ("key:signature") was made with this key and secret for `text`.
bool is_signed(std::string_view auth, std::string_view key, std::string_view secret,
               std::string_view text);

}  // namespace holdfast::pusher
