#pragma once

// What `holdfast serve` serves: endpoints that any WebSocket client can use without an SDK. Written
// on the library's face, like the handlers of anyone who builds on Holdfast.
//
//   /               holds the connection; messages are counted and ignored
//   /echo           sends back what it gets
//   /topics/<name>  subscribes to <name>, and with ?window=5ms or ?window=5ms&conflate takes
//   messages
//                   together (SubscribeOptions); POST publishes its body to all subscribers, on
//                   every worker, and with ?key=K as the newest value of K

#include "commands/serve_settings.h"
#include "holdfast/server.h"

namespace holdfast::commands {

// Adds them to a server that has not started. A POST needs the publish token as its bearer token;
// without one it must come from loopback. Answers to a POST: 202; 401 (no or a wrong token), 403
// (not from loopback), 404 (no name), 503 (a worker cannot keep up: some of its subscribers will
// miss the message). Web pages (requests with an Origin) may publish when they are of this host or
// among settings.cors_origins; others get 403. OPTIONS tells a browser so beforehand.
void add_endpoints(Server& server, const ServeSettings& settings);

}  // namespace holdfast::commands
