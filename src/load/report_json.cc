#include "load/report_json.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "load/verdict.h"

namespace holdfast::load {
namespace {

using Json = nlohmann::ordered_json;

// Whether the encodings that only programs read are written.
enum class Detail : std::uint8_t { kWhole, kPage };

struct Named {
  std::string_view name;
  double percent;
};
constexpr std::array kPercentiles = {Named{"p50", 50},      Named{"p75", 75}, Named{"p90", 90},
                                     Named{"p95", 95},      Named{"p99", 99}, Named{"p99.9", 99.9},
                                     Named{"p99.99", 99.99}};

Json json_of(const Histogram& histogram, Detail detail) {
  Json json = {{"count", histogram.count()}};
  if (histogram.count() == 0) return json;
  json["min_ns"] = histogram.least().count();
  json["mean_ns"] = histogram.mean().count();
  for (const Named& named : kPercentiles)
    json[fmt::format("{}_ns", named.name)] = histogram.percentile(named.percent).count();
  json["max_ns"] = histogram.most().count();
  if (detail == Detail::kWhole) json["hdr"] = histogram.encode();
  return json;
}

Histogram histogram_from(const Json& json) {
  if (json.at("count") == 0) return {};
  auto histogram = Histogram::decode(json.at("hdr").get_ref<const std::string&>());
  if (!histogram) throw std::invalid_argument(histogram.error().message);
  if (histogram->count() != json.at("count").get<std::uint64_t>())
    throw std::invalid_argument("a histogram that does not hold its count");
  return std::move(*histogram);
}

Json json_of(const Second& second, Detail detail) {
  Json json = {{"open", second.open},        {"opened", second.opened}, {"refused", second.refused},
               {"lost", second.lost},        {"pings", second.pings},   {"sent", second.sent},
               {"received", second.received}};
  if (second.latency.empty()) return json;
  json["latency_p50_ns"] = percentile(second.latency, 50).count();
  json["latency_p99_ns"] = percentile(second.latency, 99).count();
  if (detail == Detail::kPage) return json;
  Json buckets = Json::array();
  for (const Bucket bucket : second.latency) {
    buckets.push_back(bucket.microseconds);
    buckets.push_back(bucket.times);
  }
  json["latency_us_times"] = std::move(buckets);
  return json;
}

Second second_from(const Json& json) {
  Second second;
  json.at("open").get_to(second.open);
  json.at("opened").get_to(second.opened);
  json.at("refused").get_to(second.refused);
  json.at("lost").get_to(second.lost);
  json.at("pings").get_to(second.pings);
  json.at("sent").get_to(second.sent);
  json.at("received").get_to(second.received);
  if (!json.contains("latency_us_times")) return second;
  const Json& buckets = json.at("latency_us_times");
  if (buckets.size() % 2 != 0) throw std::invalid_argument("latency_us_times of odd length");
  for (std::size_t i = 0; i < buckets.size(); i += 2) {
    const Bucket bucket{buckets[i].get<std::uint32_t>(), buckets[i + 1].get<std::uint32_t>()};
    if (!second.latency.empty() && bucket.microseconds <= second.latency.back().microseconds) {
      throw std::invalid_argument("latency_us_times that do not rise");
    }
    second.latency.push_back(bucket);
  }
  return second;
}

Json json_of(const MessageFacts& facts, Detail detail) {
  return {{"sent", facts.sent},
          {"refused", facts.refused},
          {"expected", facts.expected},
          {"received", facts.received},
          {"missing", facts.missing()},
          {"duplicates", facts.duplicates},
          {"reordered", facts.reordered},
          {"wrong", facts.wrong},
          {"foreign", facts.foreign},
          {"unsent", facts.unsent},
          {"received_bytes", facts.received_bytes},
          {"latency", json_of(facts.latency, detail)},
          {"lateness", json_of(facts.lateness, detail)},
          {"publishing", json_of(facts.publishing, detail)}};
}

MessageFacts messages_from(const Json& json) {
  MessageFacts facts;
  json.at("sent").get_to(facts.sent);
  json.at("refused").get_to(facts.refused);
  json.at("expected").get_to(facts.expected);
  json.at("received").get_to(facts.received);
  json.at("duplicates").get_to(facts.duplicates);
  json.at("reordered").get_to(facts.reordered);
  json.at("wrong").get_to(facts.wrong);
  json.at("foreign").get_to(facts.foreign);
  json.at("unsent").get_to(facts.unsent);
  json.at("received_bytes").get_to(facts.received_bytes);
  facts.latency = histogram_from(json.at("latency"));
  facts.lateness = histogram_from(json.at("lateness"));
  facts.publishing = histogram_from(json.at("publishing"));
  return facts;
}

Json json_of(const PingFacts& pings) {
  const double mean = pings.connections == 0 ? 0
                                             : static_cast<double>(pings.total) /
                                                   static_cast<double>(pings.connections);
  const double per_second = pings.whole_seconds == 0 ? 0
                                                     : static_cast<double>(pings.in_whole_seconds) /
                                                           static_cast<double>(pings.whole_seconds);
  return {{"connections", pings.connections},
          {"total", pings.total},
          {"min", pings.least},
          {"mean", mean},
          {"max", pings.most},
          {"first_whole_second", pings.first_whole_second},
          {"whole_seconds", pings.whole_seconds},
          {"in_whole_seconds", pings.in_whole_seconds},
          {"per_second_mean", per_second},
          {"per_second_max", pings.most_in_a_second}};
}

PingFacts pings_from(const Json& json) {
  PingFacts pings;
  json.at("connections").get_to(pings.connections);
  json.at("total").get_to(pings.total);
  json.at("min").get_to(pings.least);
  json.at("max").get_to(pings.most);
  json.at("first_whole_second").get_to(pings.first_whole_second);
  json.at("whole_seconds").get_to(pings.whole_seconds);
  json.at("in_whole_seconds").get_to(pings.in_whole_seconds);
  json.at("per_second_max").get_to(pings.most_in_a_second);
  return pings;
}

Duration duration_from(const Json& json) { return Duration(json.get<std::int64_t>()); }

Json json_of(const OwnUse& own) {
  return {{"user_ns", own.user.count()},
          {"system_ns", own.system.count()},
          {"wall_ns", own.wall.count()},
          {"cpus", own.cpus},
          {"share_of_cpus", own.share_of_cpus()},
          {"workers_busy_opening", own.busy_opening},
          {"workers_busy_holding", own.busy_holding},
          {"resident_bytes_max", own.resident_bytes_max}};
}

OwnUse own_from(const Json& json) {
  OwnUse own;
  own.user = duration_from(json.at("user_ns"));
  own.system = duration_from(json.at("system_ns"));
  own.wall = duration_from(json.at("wall_ns"));
  json.at("cpus").get_to(own.cpus);
  json.at("workers_busy_opening").get_to(own.busy_opening);
  json.at("workers_busy_holding").get_to(own.busy_holding);
  json.at("resident_bytes_max").get_to(own.resident_bytes_max);
  return own;
}

Json json_of(const OddPeerFacts& odd, Detail detail) {
  return {{"kind", odd.kind},
          {"asked", odd.asked},
          {"opened", odd.opened},
          {"dropped", odd.dropped},
          {"still_held", odd.still_held()},
          {"dropped_after", json_of(odd.dropped_after, detail)}};
}

OddPeerFacts odd_from(const Json& json) {
  OddPeerFacts odd;
  json.at("kind").get_to(odd.kind);
  json.at("asked").get_to(odd.asked);
  json.at("opened").get_to(odd.opened);
  json.at("dropped").get_to(odd.dropped);
  odd.dropped_after = histogram_from(json.at("dropped_after"));
  return odd;
}

Json json_of(const MachineFacts& machine) {
  return {{"host", machine.host},
          {"kernel", machine.kernel},
          {"cpu", machine.cpu},
          {"cpus", machine.cpus},
          {"memory_bytes", machine.memory_bytes}};
}

MachineFacts machine_from(const Json& json) {
  return {json.at("host"), json.at("kernel"), json.at("cpu"), json.at("cpus"),
          json.at("memory_bytes")};
}

Json json_of(const TlsFacts& tls) {
  return {{"full", tls.full},           {"resumed", tls.resumed},
          {"attached", tls.attached},   {"unexpected", tls.unexpected},
          {"failed", tls.failed()},     {"failed_unverified", tls.unverified},
          {"failed_alert", tls.alerts}, {"failed_timeout", tls.timeouts},
          {"failed_other", tls.others}};
}

TlsFacts tls_from(const Json& json) {
  return {json.at("full"),           json.at("resumed"),           json.at("attached"),
          json.at("unexpected"),     json.at("failed_unverified"), json.at("failed_alert"),
          json.at("failed_timeout"), json.at("failed_other")};
}

Json json_of(const StormRound& round) {
  return {{"dropped", round.dropped},
          {"returned", round.returned},
          {"refusals", round.refusals},
          {"time_to_full_ns", round.time_to_full.count()}};
}

StormRound round_from(const Json& json) {
  return {json.at("dropped"), json.at("returned"), json.at("refusals"),
          duration_from(json.at("time_to_full_ns"))};
}

template <class Value, class... More>
Json array_of(const std::vector<Value>& values, More... more) {
  Json array = Json::array();
  for (const Value& value : values) array.push_back(json_of(value, more...));
  return array;
}

Json json_of(const Report& report, Detail detail) {
  Json json;
  json["holdfast_report"] = kReportFormat;
  json["version"] = report.version;
  json["command_line"] = report.command_line;
  json["machines"] = array_of(report.machines);
  json["url"] = report.url;
  json["scenario"] = report.scenario;
  json["verdict"] = {{"result", name(report.verdict.kind)},
                     {"text", report.verdict.text},
                     {"notes", report.verdict.notes}};
  json["interrupted"] = report.interrupted;
  json["asked"] = {{"connections", report.connections},
                   {"rate", report.rate},
                   {"hold_ns", report.hold.count()},
                   {"message_rate", report.message_rate},
                   {"message_bytes", report.message_bytes},
                   {"workers", report.workers},
                   {"source_addresses", report.source_addresses},
                   {"io", report.io}};
  const double seconds = static_cast<double>(report.time_to_open.count()) / 1e9;
  json["opening"] = {
      {"opened", report.opened},
      {"refused", sum(report.refused)},
      {"refused_by_reason", report.refused},
      {"never_tried", report.never_tried},
      {"time_to_open_ns", report.time_to_open.count()},
      {"opens_per_second", seconds == 0 ? 0 : static_cast<double>(report.opened) / seconds},
      {"handshake", json_of(report.opening, detail)}};
  json["tls"] = json_of(report.tls);
  json["holding"] = {{"held", report.held},
                     {"missing", report.missing()},
                     {"lost", sum(report.lost)},
                     {"lost_by_reason", report.lost},
                     {"server_closed", report.server_closed},
                     {"held_for_ns", report.held_for.count()},
                     {"pings_in_all", report.pings_in_all},
                     {"pings", json_of(report.pings)}};
  json["messages"] = json_of(report.messages, detail);
  json["storm"] = array_of(report.rounds);
  json["odd_peers"] = json_of(report.odd, detail);
  json["generator"] = json_of(report.own);
  json["series"] = {{"first_second", report.series_start},
                    {"seconds", array_of(report.series, detail)}};
  return json;
}

// A null would pass for an empty list.
const Json& list_at(const Json& json, const char* name) {
  const Json& list = json.at(name);
  if (!list.is_array()) throw std::invalid_argument(fmt::format("'{}' is not a list", name));
  return list;
}

Report report_from(const Json& json) {
  Report report;
  json.at("version").get_to(report.version);
  json.at("command_line").get_to(report.command_line);
  for (const Json& machine : list_at(json, "machines"))
    report.machines.push_back(machine_from(machine));
  json.at("url").get_to(report.url);
  json.at("scenario").get_to(report.scenario);
  const Json& verdict = json.at("verdict");
  report.verdict.kind = verdict_kind(verdict.at("result").get<std::string>());
  verdict.at("text").get_to(report.verdict.text);
  verdict.at("notes").get_to(report.verdict.notes);
  json.at("interrupted").get_to(report.interrupted);
  const Json& asked = json.at("asked");
  asked.at("connections").get_to(report.connections);
  asked.at("rate").get_to(report.rate);
  report.hold = duration_from(asked.at("hold_ns"));
  asked.at("message_rate").get_to(report.message_rate);
  asked.at("message_bytes").get_to(report.message_bytes);
  asked.at("workers").get_to(report.workers);
  asked.at("source_addresses").get_to(report.source_addresses);
  asked.at("io").get_to(report.io);
  const Json& opening = json.at("opening");
  opening.at("opened").get_to(report.opened);
  opening.at("refused_by_reason").get_to(report.refused);
  opening.at("never_tried").get_to(report.never_tried);
  report.time_to_open = duration_from(opening.at("time_to_open_ns"));
  report.opening = histogram_from(opening.at("handshake"));
  report.tls = tls_from(json.at("tls"));
  const Json& holding = json.at("holding");
  holding.at("held").get_to(report.held);
  holding.at("lost_by_reason").get_to(report.lost);
  holding.at("server_closed").get_to(report.server_closed);
  report.held_for = duration_from(holding.at("held_for_ns"));
  holding.at("pings_in_all").get_to(report.pings_in_all);
  report.pings = pings_from(holding.at("pings"));
  report.messages = messages_from(json.at("messages"));
  for (const Json& round : list_at(json, "storm")) report.rounds.push_back(round_from(round));
  report.odd = odd_from(json.at("odd_peers"));
  report.own = own_from(json.at("generator"));
  json.at("series").at("first_second").get_to(report.series_start);
  for (const Json& second : list_at(json.at("series"), "seconds"))
    report.series.push_back(second_from(second));
  return report;
}

}  // namespace

std::string to_json(const Report& report) { return json_of(report, Detail::kWhole).dump(1) + "\n"; }

std::string to_page_json(const Report& report) { return json_of(report, Detail::kPage).dump(); }

// The JSON library throws; nothing of that leaves this function.
Result<Report> report_from_json(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    const auto format = json.find("holdfast_report");
    if (format == json.end()) return failure("not a report of `holdfast load --report`");
    if (*format != kReportFormat) {
      return failure(fmt::format("a report of format {}; this holdfast reads format {}",
                                 format->dump(), kReportFormat));
    }
    return report_from(json);
  } catch (const std::exception& error) {
    return failure(fmt::format("not a whole report of `holdfast load --report`: {}", error.what()));
  }
}

}  // namespace holdfast::load
