#pragma once

// Whether a request of an application server is signed as it should be, and what it is told if not.

#include <cstdint>
#include <optional>
#include <string_view>

#include "holdfast/request.h"
#include "pusher/app.h"
#include "pusher/query.h"

namespace holdfast::pusher {

// {"error":"…"}
Reply api_error(int status, std::string_view error);

// Nothing when it is. `query` is the request's; `now` in Unix seconds. Any thread.
std::optional<Reply> check_signature(const Request& request, const App& app, const Query& query,
                                     std::int64_t now);
// The same for a page's stream, whose address was signed for it: it may be used for longer where a
// parameter `expires` says so (Unix seconds, at most a day from auth_timestamp), and
// `last_event_id`, which the page adds, is not signed.
std::optional<Reply> check_stream_signature(const Request& request, const App& app,
                                            const Query& query, std::int64_t now);

}  // namespace holdfast::pusher
