// Connects, sends lines, prints what comes.
//
//   client [--count N] [--cafile FILE | --insecure] URL [MESSAGE...]
//
// Sends each message; ends after N messages came, or when the server closes. Over wss:// the server
// must have a certificate that the system trusts, or one of FILE; --insecure believes anybody.
//
// Exit code: 0 when as much came as was asked for, 1 when the connection failed or ended before.

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "holdfast/client.h"

using namespace holdfast;

namespace {

struct Job {
  ClientOptions options;
  const char* url = nullptr;
  std::vector<std::string_view> messages;
  long count = -1;  // of messages to wait for; -1: until the server closes
};

std::optional<Job> job_from(int argc, char** argv) {
  Job job;
  int at = 1;
  for (; at < argc; ++at) {
    const std::string_view word = argv[at];
    if (word == "--insecure") {
      job.options.tls_verify = false;
    } else if (word == "--count" && at + 1 < argc) {
      job.count = std::atol(argv[++at]);
    } else if (word == "--cafile" && at + 1 < argc) {
      job.options.tls_ca_file = argv[++at];
    } else {
      break;
    }
  }
  if (at >= argc) return std::nullopt;
  job.url = argv[at];
  for (++at; at < argc; ++at) job.messages.emplace_back(argv[at]);
  return job;
}

int work(const Job& job) {
  Client client(job.options);
  if (const auto problem = client.connect(job.url)) {
    std::fprintf(stderr, "%s\n", problem->c_str());
    return 1;
  }
  long left = job.count;
  while (!client.is_over()) {
    const auto event = client.next(std::chrono::seconds(1));
    if (!event) continue;
    switch (event->kind) {
      case ClientEvent::Kind::kOpen:
        for (const std::string_view message : job.messages) client.send(message);
        if (left == 0) client.close();
        break;
      case ClientEvent::Kind::kText:
      case ClientEvent::Kind::kBinary:
        std::printf("%.*s\n", static_cast<int>(event->payload.size()),
                    as_text(event->payload).data());
        std::fflush(stdout);
        if (left > 0 && --left == 0) client.close();
        break;
      case ClientEvent::Kind::kClosed:
        std::fprintf(stderr, "closed: %d %.*s\n", event->code,
                     static_cast<int>(event->reason.size()), event->reason.data());
        break;
      case ClientEvent::Kind::kFailed:
        std::fprintf(stderr, "failed: %.*s\n", static_cast<int>(event->reason.size()),
                     event->reason.data());
        return 1;
    }
  }
  return left > 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto job = job_from(argc, argv);
  if (job) return work(*job);
  std::fprintf(stderr, "usage: client [--count N] [--cafile FILE | --insecure] URL [MESSAGE...]\n");
  return 2;
}
