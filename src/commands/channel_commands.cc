#include "commands/channel_commands.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/result.h"
#include "holdfast/client.h"
#include "load/pusher_client.h"
#include "net/clock.h"
#include "net/random.h"
#include "pusher/channel_name.h"
#include "pusher/server_message.h"
#include "pusher/signature.h"

namespace holdfast::commands {
namespace {

constexpr long kTimeoutMilliseconds = 10'000;

struct Arguments {
  std::string server = "127.0.0.1:8080";
  std::string app = "1:app-key:app-secret";
  std::string channel, event, data;
  std::vector<std::string> channels;
  std::uint64_t count = 0;  // subscribe: events after which it ends; 0: never
  int pid = 0;
};

int fail(std::string_view command, std::string_view error) {
  fmt::print(stderr, "holdfast {}: {}\n", command, error);
  return 1;
}

// ---- key new

std::string random_hex(std::size_t bytes) {
  std::vector<std::byte> random(bytes);
  net::fill_random(random);
  std::string digits;
  for (const std::byte one : random) digits += fmt::format("{:02x}", static_cast<unsigned>(one));
  return digits;
}

int new_key() {
  std::uint32_t id = 0;
  net::fill_random({reinterpret_cast<std::byte*>(&id), sizeof id});
  fmt::print("[[apps]]\nid = \"{}\"\nkey = \"{}\"\nsecret = \"{}\"\n", 100'000 + id % 900'000,
             random_hex(10), random_hex(20));
  return 0;
}

// ---- publish

std::size_t take(char* bytes, std::size_t size, std::size_t count, void* out) {
  static_cast<std::string*>(out)->append(bytes, size * count);
  return size * count;
}

// The answer's body, or what went wrong.
Result<std::string> post(const std::string& url, const std::string& body) {
  const std::unique_ptr<CURL, void (*)(CURL*)> handle(curl_easy_init(), curl_easy_cleanup);
  CHECK(handle != nullptr);
  const std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers(
      curl_slist_append(nullptr, "Content-Type: application/json"), curl_slist_free_all);
  std::string answer;
  curl_easy_setopt(handle.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(handle.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(handle.get(), CURLOPT_POSTFIELDS, body.c_str());
  curl_easy_setopt(handle.get(), CURLOPT_TIMEOUT_MS, kTimeoutMilliseconds);
  curl_easy_setopt(handle.get(), CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(handle.get(), CURLOPT_WRITEDATA, &answer);
  const CURLcode result = curl_easy_perform(handle.get());
  if (result != CURLE_OK) return failure(curl_easy_strerror(result));
  long status = 0;
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status != 200) return failure(fmt::format("HTTP {}: {}", status, answer));
  return answer;
}

int publish(const Arguments& arguments) {
  const auto app = load::PusherApp::parse(arguments.app);
  if (!app) return fail("publish", "--app " + app.error().message);
  const std::string body =
      fmt::format(R"({{"name":{},"channel":{},"data":{}}})", pusher::json_string(arguments.event),
                  pusher::json_string(arguments.channel), pusher::json_string(arguments.data));
  const std::string path = fmt::format("/apps/{}/events", app->id);
  const std::string query =
      fmt::format("auth_key={}&auth_timestamp={}&auth_version=1.0&body_md5={}", app->key,
                  net::unix_seconds_now(), pusher::md5_of(body));
  const std::string signature = pusher::sign(app->secret, fmt::format("POST\n{}\n{}", path, query));
  const bool has_scheme = arguments.server.find("://") != std::string::npos;
  const auto answer = post(fmt::format("{}{}{}?{}&auth_signature={}", has_scheme ? "" : "http://",
                                       arguments.server, path, query, signature),
                           body);
  if (!answer) return fail("publish", answer.error().message);
  return 0;
}

// ---- subscribe

// What joins one channel; signed where the channel wants it.
std::string join_message(const load::PusherApp& app, const std::string& socket_id,
                         const std::string& channel) {
  nlohmann::json data = {{"channel", channel}};
  const pusher::ChannelName name = pusher::classify(channel);
  if (name.needs_signature()) {
    std::optional<std::string> member;
    if (name.access == pusher::ChannelName::Access::kPresence) {
      member = fmt::format(R"({{"user_id":"terminal-{}"}})", getpid());
      data["channel_data"] = *member;
    }
    data["auth"] =
        app.key + ":" + pusher::sign(app.secret, pusher::text_to_join(socket_id, channel, member));
  }
  return nlohmann::json{{"event", "pusher:subscribe"}, {"data", data}}.dump();
}

// Prints an event as a line: its channel, its name, its data. False for what ends the command.
bool print_event(Client& client, const load::PusherApp& app, const Arguments& arguments,
                 std::string_view text, std::uint64_t& events) {
  const auto message = nlohmann::json::parse(text, nullptr, false);
  if (!message.is_object()) return true;
  const auto word = [&](const char* name) {
    const auto found = message.find(name);
    return found == message.end() ? std::string()
           : found->is_string()   ? found->get<std::string>()
                                  : found->dump();
  };
  const std::string event = word("event");
  if (event == "pusher:connection_established") {
    const auto data = nlohmann::json::parse(word("data"), nullptr, false);
    const std::string socket_id = data.is_object() ? data.value("socket_id", "") : "";
    for (const std::string& channel : arguments.channels) {
      client.send(join_message(app, socket_id, channel));
    }
    return true;
  }
  if (event == "pusher:error" || event == "pusher:subscription_error") {
    fmt::print(stderr, "holdfast subscribe: {}\n", word("data"));
    return false;
  }
  if (event == "pusher_internal:subscription_succeeded") {
    fmt::print(stderr, "on {}\n", word("channel"));
    return true;
  }
  if (event == "pusher:pong" || event == "pusher:ping") return true;
  fmt::print("{}\t{}\t{}\n", word("channel"), event, word("data"));
  std::fflush(stdout);
  return ++events != arguments.count;
}

int subscribe(const Arguments& arguments) {
  const auto app = load::PusherApp::parse(arguments.app);
  if (!app) return fail("subscribe", "--app " + app.error().message);
  Client client;
  if (auto problem = client.connect("ws://" + arguments.server + load::pusher_path(*app))) {
    return fail("subscribe", *problem);
  }
  std::uint64_t events = 0;
  while (!client.is_over()) {
    const auto event = client.next(std::chrono::seconds(1));
    if (!event) continue;
    switch (event->kind) {
      case ClientEvent::Kind::kText:
        if (print_event(client, *app, arguments, as_text(event->payload), events)) continue;
        return events != 0 && events == arguments.count ? 0 : 1;
      case ClientEvent::Kind::kClosed:
        return fail("subscribe", fmt::format("closed with {} {}", event->code, event->reason));
      case ClientEvent::Kind::kFailed:
        return fail("subscribe", fmt::format("cannot connect: {}", event->reason));
      case ClientEvent::Kind::kOpen:
      case ClientEvent::Kind::kBinary:
        continue;
    }
  }
  return 1;
}

// ---- reload

// The servers that run from this program's file.
std::vector<int> running_servers() {
  std::vector<int> pids;
  std::error_code error;
  const auto own = std::filesystem::read_symlink("/proc/self/exe", error);
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    int pid = 0;
    const auto [end, wrong] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (wrong != std::errc() || end != name.data() + name.size() || pid == getpid()) continue;
    std::error_code unreadable;
    if (std::filesystem::read_symlink(entry.path() / "exe", unreadable) != own) continue;
    std::ifstream file(entry.path() / "cmdline");
    std::string program, command;
    std::getline(file, program, '\0');
    std::getline(file, command, '\0');
    if (command == "serve") pids.push_back(pid);
  }
  return pids;
}

int reload(const Arguments& arguments) {
  int pid = arguments.pid;
  if (pid == 0) {
    const std::vector<int> pids = running_servers();
    if (pids.size() != 1) {
      return fail("reload", fmt::format("{} servers of this program run here; name one: --pid N",
                                        pids.size()));
    }
    pid = pids.front();
  }
  if (kill(pid, SIGHUP) != 0) return fail("reload", fmt::format("{}: {}", pid, strerror(errno)));
  fmt::print("told {}; its log says what came of it\n", pid);
  return 0;
}

void add_server(CLI::App& command, Arguments& arguments) {
  command.add_option("--server", arguments.server, "Where the server listens: HOST:PORT.")
      ->capture_default_str();
  command.add_option("--app", arguments.app, "The app: ID:KEY:SECRET.")
      ->envname("HOLDFAST_APP")
      ->default_str("that of the development app");
}

}  // namespace

void add_channel_commands(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* key = app.add_subcommand("key", "Make an app for the Pusher protocol");
  key->require_subcommand(1);
  key->add_subcommand("new", "Print a new [[apps]] entry for the configuration file")
      ->callback([&exit_code] { exit_code = new_key(); });

  CLI::App* publishing = app.add_subcommand("publish", "Publish an event to a channel");
  publishing->add_option("CHANNEL", arguments->channel, "Its channel.")->required();
  publishing->add_option("EVENT", arguments->event, "Its name.")->required();
  publishing->add_option("DATA", arguments->data, "Its data, usually JSON.")->required();
  add_server(*publishing, *arguments);
  publishing->callback([arguments, &exit_code] { exit_code = publish(*arguments); });

  CLI::App* listening = app.add_subcommand("subscribe", "Print the events of channels");
  listening->add_option("CHANNEL", arguments->channels, "The channels.")->required();
  listening->add_option("--count", arguments->count, "End after so many events. Default: never.");
  add_server(*listening, *arguments);
  listening->callback([arguments, &exit_code] { exit_code = subscribe(*arguments); });

  CLI::App* reloading =
      app.add_subcommand("reload", "Let a server read its [[apps]] and certificates again");
  reloading->add_option("--pid", arguments->pid, "The server. Default: the only one here.");
  reloading->callback([arguments, &exit_code] { exit_code = reload(*arguments); });
}

}  // namespace holdfast::commands
