#include "commands/doctor_certificates.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/check.h"
#include "protocol/tls_context.h"

namespace holdfast::commands {
namespace {

using doctor::Check;
using doctor::Verdict;

constexpr std::int64_t kSecondsPerDay = 24 * 60 * 60;

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::error_code error;
  if (!file || std::filesystem::is_directory(path, error))
    return failure(fmt::format("'{}' cannot be read", path));
  return std::string{std::istreambuf_iterator<char>(file), {}};
}

// Loads them as the server would.
Result<protocol::TlsCertificateTerm> load(const std::string& cert, const std::string& key) {
  auto chain = read_file(cert);
  if (!chain) return tl::unexpected(chain.error());
  auto secret = read_file(key);
  if (!secret) return tl::unexpected(secret.error());
  protocol::TlsPolicy policy;
  policy.identities.emplace_back(std::move(*chain), std::move(*secret), cert);
  const auto context = protocol::TlsContext::make(policy);
  if (!context) return tl::unexpected(context.error());
  CHECK(!(*context)->certificates().empty());
  return (*context)->certificates().front();
}

// Whether others than its owner and group may read it.
bool is_open_to_all(const std::string& path) {
  struct stat facts{};
  return ::stat(path.c_str(), &facts) == 0 && (facts.st_mode & S_IROTH) != 0;
}

std::string date_text(std::int64_t unix_seconds) {
  const std::time_t time = unix_seconds;
  std::tm parts{};
  CHECK(gmtime_r(&time, &parts) != nullptr);
  return fmt::format("{:%Y-%m-%d}", parts);
}

Check check_one(const std::string& cert, const std::string& key, std::int64_t unix_seconds) {
  Check check{.name = fmt::format("certificate {}", cert),
              .value = "?",
              .need = fmt::format("{} days or more", kDaysLeftWanted)};
  const auto term = load(cert, key);
  if (!term) {
    check.verdict = Verdict::kWrong;
    check.why = fmt::format("no server could begin with it: {}", term.error().message);
    return check;
  }
  const std::int64_t seconds = term->not_after - unix_seconds;
  const std::int64_t days = seconds / kSecondsPerDay;
  check.value = fmt::format("until {}", date_text(term->not_after));
  check.why = fmt::format("{}; its key belongs to it", term->subject);
  if (seconds < 0) {
    check.verdict = Verdict::kWrong;
    check.why = fmt::format("{}: it has ended, and clients refuse it", term->subject);
    check.mend = "renew it; a running server takes the new one as soon as the file changes";
  } else if (days < kDaysLeftWanted) {
    check.verdict = Verdict::kAdvice;
    check.why = fmt::format("{}: it ends in {} day{}", term->subject, days, days == 1 ? "" : "s");
    check.mend = "renew it; a running server takes the new one as soon as the file changes";
  } else if (is_open_to_all(key)) {
    check.verdict = Verdict::kAdvice;
    check.why = "every user of this machine may read its key, and pass for the server with it";
    check.mend = fmt::format("chmod o-r {}", key);
  }
  return check;
}

}  // namespace

std::vector<Check> check_certificates(const std::vector<std::string>& certs,
                                      const std::vector<std::string>& keys,
                                      std::int64_t unix_seconds) {
  CHECK(certs.size() == keys.size());
  std::vector<Check> checks;
  for (std::size_t i = 0; i < certs.size(); ++i)
    checks.push_back(check_one(certs[i], keys[i], unix_seconds));
  return checks;
}

}  // namespace holdfast::commands
