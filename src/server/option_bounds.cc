#include "server/option_bounds.h"

#include <fmt/format.h>

#include <array>

namespace holdfast::server {
namespace {

constexpr std::uint64_t kSecond = 1000;
constexpr std::uint64_t kMinute = 60 * kSecond;
constexpr std::uint64_t kHour = 60 * kMinute;
constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;
constexpr std::uint64_t kGiB = 1024 * kMiB;

constexpr std::array kTable = {
    OptionBounds{"backlog", &Options::backlog, 1, 65535, false},
    OptionBounds{"workers", &Options::workers, 1, 1024, true},
    OptionBounds{"connections_max", &Options::connections_max, 1, 100'000'000, true},
    OptionBounds{"connections_per_ip_max", &Options::connections_per_ip_max, 1, 100'000'000, true},
    OptionBounds{"handshakes_per_second_max", &Options::handshakes_per_second_max, 1, 10'000'000,
                 true},
    OptionBounds{"ping_interval", &Options::ping_interval, 100, kHour, true},
    OptionBounds{"pong_timeout", &Options::pong_timeout, 100, kHour, false},
    OptionBounds{"idle_batch", &Options::idle_batch, 1, 100, true},
    OptionBounds{"handshake_timeout", &Options::handshake_timeout, 100, 5 * kMinute, false},
    OptionBounds{"close_timeout", &Options::close_timeout, 10, kMinute, false},
    OptionBounds{"unsent_timeout", &Options::unsent_timeout, kSecond, kHour, true},
    OptionBounds{"head_bytes_max", &Options::head_bytes_max, 256, kMiB, false},
    OptionBounds{"headers_max", &Options::headers_max, 1, 10'000, false},
    OptionBounds{"message_bytes_max", &Options::message_bytes_max, 0, 16 * kMiB, false},
    OptionBounds{"fragments_max", &Options::fragments_max, 1, 65536, false},
    OptionBounds{"queue_bytes_max", &Options::queue_bytes_max, kKiB, kGiB, false},
    OptionBounds{"message_rate_max", &Options::message_rate_max, 0, 1'000'000, true},
    OptionBounds{"byte_rate_max", &Options::byte_rate_max, 0, 1024 * kGiB, true},
    OptionBounds{"topic_window", &Options::topic_window, 0, kSecond, true},
    OptionBounds{"tls_attached_max", &Options::tls_attached_max, 0, 1'000'000, false},
    OptionBounds{"tls_ticket_lifetime", &Options::tls_ticket_lifetime, kSecond, 7 * 24 * kHour,
                 false},
    OptionBounds{"deflate_window_bits", &Options::deflate_window_bits, 9, 15, false},
    OptionBounds{"high_water_percent", &Options::high_water_percent, 1, 100, false},
    OptionBounds{"retry_after", &Options::retry_after, kSecond, kHour, false},
    OptionBounds{"drain_time", &Options::drain_time, 0, kHour, false},
};

// Negative durations are further out than any bound.
std::uint64_t number_of(std::uint64_t number) { return number; }
std::uint64_t number_of(Options::Milliseconds time) {
  return static_cast<std::uint64_t>(time.count());
}

}  // namespace

std::span<const OptionBounds> option_bounds() { return kTable; }

std::optional<std::string> option_out_of_bounds(const Options& options) {
  for (const OptionBounds& bounds : kTable) {
    const bool is_time = std::holds_alternative<Options::Milliseconds Options::*>(bounds.field);
    const std::uint64_t value =
        std::visit([&](auto field) { return number_of(options.*field); }, bounds.field);
    if ((value >= bounds.least && value <= bounds.most) || (bounds.or_zero && value == 0)) continue;
    return fmt::format(
        "{}: {} is out of bounds; {} to {}{}{}", bounds.name,
        is_time ? fmt::to_string(static_cast<std::int64_t>(value)) : fmt::to_string(value),
        bounds.least, bounds.most, is_time ? " ms" : "",
        bounds.or_zero && bounds.least > 0 ? ", or 0" : "");
  }
  return std::nullopt;
}

}  // namespace holdfast::server
