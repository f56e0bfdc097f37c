#include "load/source_plan.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace holdfast::load {
namespace {

const net::Address kLoopbackServer = *net::Address::parse("127.0.0.7:8080");
const net::Address kFarServer = *net::Address::parse("192.0.2.1:80");
constexpr PortRange kPorts{32768, 60999};

Result<SourcePlan> plan_for(std::string_view sources, const net::Address& target,
                            std::uint64_t connections, const std::vector<net::Address>& own = {}) {
  return SourcePlan::make(sources, target, kPorts, connections, own);
}

std::map<std::string, int> use(const SourcePlan& plan, std::uint64_t connections) {
  std::map<std::string, int> used;
  for (std::uint64_t i = 0; i < connections; ++i) ++used[plan.address_of(i).host()];
  return used;
}

TEST(SourcePlan, TakesANewLoopbackAddressForEachFewThousand) {
  const auto plan = plan_for("auto", kLoopbackServer, 10'000);
  ASSERT_TRUE(plan);
  EXPECT_EQ(use(*plan, 10'000),
            (std::map<std::string, int>{
                {"127.16.0.1", 4000}, {"127.16.0.2", 4000}, {"127.16.0.3", 2000}}));
  EXPECT_TRUE(plan->check_room(10'000));
}

TEST(SourcePlan, HasRoomForTwoMillionOnLoopback) {
  const auto plan = plan_for("auto", kLoopbackServer, 2'000'000);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->address_count(), 500u);
  EXPECT_TRUE(plan->check_room(2'000'000));
  EXPECT_EQ(plan->address_of(1'999'999).host(), "127.16.1.244");
}

TEST(SourcePlan, GivesAConnectionTheSameAddressEachTime) {
  const auto plan = plan_for("10.0.0.0/24", kFarServer, 100'000);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->address_of(77).to_string(), plan->address_of(77).to_string());
  EXPECT_EQ(plan->address_of(77).port(), 0);
}

TEST(SourcePlan, SpreadsEvenlyOverTheAddressesOfACidrWithoutItsEnds) {
  const auto plan = plan_for("10.0.0.16/29", kFarServer, 60);
  ASSERT_TRUE(plan);
  const auto used = use(*plan, 60);
  EXPECT_EQ(used.size(), 6u);
  EXPECT_EQ(used.begin()->first, "10.0.0.17");
  EXPECT_EQ(used.rbegin()->first, "10.0.0.22");
  for (const auto& [address, times] : used) EXPECT_EQ(times, 10) << address;
}

TEST(SourcePlan, TakesSingleAddressesAndSeveralBlocks) {
  const auto plan = plan_for("10.0.0.5,10.0.1.0/31", kFarServer, 3);
  ASSERT_TRUE(plan);
  EXPECT_EQ(use(*plan, 3),
            (std::map<std::string, int>{{"10.0.0.5", 1}, {"10.0.1.0", 1}, {"10.0.1.1", 1}}));
}

TEST(SourcePlan, UsesTheInterfacesOwnAddressesElsewhere) {
  const auto own =
      std::vector{*net::Address::parse("192.0.2.9:0"), *net::Address::parse("192.0.2.10:0")};
  const auto plan = plan_for("auto", kFarServer, 1000, own);
  ASSERT_TRUE(plan);
  EXPECT_EQ(use(*plan, 1000),
            (std::map<std::string, int>{{"192.0.2.9", 500}, {"192.0.2.10", 500}}));
}

TEST(SourcePlan, SaysWhatToDoWhenThePortsDoNotReach) {
  const auto plan = plan_for("10.0.0.5", kFarServer, 100'000);
  ASSERT_TRUE(plan);
  const auto room = plan->check_room(100'000);
  ASSERT_FALSE(room);
  EXPECT_NE(room.error().message.find("reach 25,408"), std::string::npos) << room.error().message;
  EXPECT_NE(room.error().message.find("sysctl -w net.ipv4.ip_local_port_range='1024 65535'"),
            std::string::npos);
  EXPECT_NE(room.error().message.find("--sources"), std::string::npos);
  EXPECT_TRUE(plan->check_room(25'408));
}

TEST(SourcePlan, RefusesWhatIsNoAddress) {
  for (const char* text : {"10.0.0.0/7", "10.0.0.0/33", "10.0.0.0/", "eth0", "localhost",
                           "10.0.0.1,,10.0.0.2", "10.0.0.999", "::1/64"}) {
    EXPECT_FALSE(plan_for(text, kFarServer, 10)) << text;
  }
  EXPECT_FALSE(plan_for("10.0.0.1", *net::Address::parse("[::1]:80"), 10));
  EXPECT_FALSE(plan_for("auto", kFarServer, 10));
  EXPECT_FALSE(SourcePlan::make("auto", kLoopbackServer, PortRange{5, 4}, 10, {}));
}

}  // namespace
}  // namespace holdfast::load
