#include "commands/doctor_command.h"

#include <gtest/gtest.h>

#include "doctor/worker_count.h"
#include "server/sizing.h"

namespace holdfast::commands {
namespace {

TEST(DoctorCommand, ReckonsWorkersAsTheServerWill) {
  for (const std::uint64_t limit : {1024u, 4096u, 20'000u, 65'536u, 1'048'576u}) {
    for (const std::uint64_t connections : {1000u, 50'000u, 600'000u, 2'000'000u}) {
      for (const std::uint32_t cpus : {1u, 2u, 16u}) {
        Options options;
        options.connections_max = connections;
        const auto sizing = server::size_up(options, {cpus, limit, std::uint64_t{1} << 40});
        const std::uint64_t workers = doctor::workers_for(connections, limit, cpus);
        EXPECT_EQ(sizing.has_value(), workers <= doctor::kWorkersMax)
            << connections << " under " << limit;
        if (!sizing) continue;
        EXPECT_EQ(sizing->workers, workers) << connections << " under " << limit;
      }
    }
  }
}

}  // namespace
}  // namespace holdfast::commands
