#include "commands/version.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <future>

#include "base/units.h"
#include "net/descriptor_table.h"
#include "net/loop.h"

namespace holdfast::commands {
namespace {

std::string compiler_text() {
#if defined(__clang__)
  return fmt::format("clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  return fmt::format("g++ {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
}

std::string kernel_text() {
  utsname name{};
  if (uname(&name) != 0) return "unknown";
  return fmt::format("{} {} {}", name.sysname, name.release, name.machine);
}

template <class T>
std::string allowed(const Result<T>& result) {
  return result ? "yes" : "no: " + result.error().message;
}

// On a thread of its own, as a worker does it, so that this one keeps the process's table.
std::string private_tables_text() {
  return std::async(std::launch::async,
                    [] { return allowed(net::take_private_descriptor_table()); })
      .get();
}

std::string io_uring_text() {
  net::LoopOptions options;
  options.io = net::Io::kUring;
  return allowed(net::make_loop(options, nullptr));
}

}  // namespace

std::string version_text() {
  const net::DescriptorLimit limit = net::descriptor_limit();
  return fmt::format(
      "holdfast {}\n"
      "  built with                  {}\n"
      "  kernel                      {}\n"
      "  io_uring                    {}\n"
      "  private descriptor tables   {}\n"
      "  descriptors for each table  {} (hard limit {})\n",
      kGitDescription, compiler_text(), kernel_text(), io_uring_text(), private_tables_text(),
      format_count(limit.soft), format_count(limit.hard));
}

}  // namespace holdfast::commands
