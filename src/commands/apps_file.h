#pragma once

// [[apps]] of holdfast.toml: the applications of the channel protocol.

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "pusher/app.h"

namespace holdfast::commands {

// The error tells every wrong entry on a line of its own, each with its place: "holdfast.toml:7:3:
// …". A file without [[apps]] gives an empty table.
Result<std::shared_ptr<pusher::AppTable>> parse_apps(std::string_view text, std::string_view path);
Result<std::shared_ptr<pusher::AppTable>> read_apps_file(const std::string& path);

// What is there without any [[apps]], for the first page in the first minute: app 1, key "app-key",
// secret "app-secret", client events allowed. Everybody knows them: only for loopback.
std::shared_ptr<pusher::AppTable> development_apps();

}  // namespace holdfast::commands
