#include "doctor/fixes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <map>

#include "doctor/fake_machine.h"

namespace holdfast::doctor {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

// Every file below a machine's root, with its text, and every folder.
std::map<std::string, std::string> everything(const FakeMachine& machine) {
  std::map<std::string, std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(machine.path("/"))) {
    const std::string name = std::filesystem::relative(entry.path(), machine.path("/"));
    found[name] = entry.is_directory() ? "(folder)" : machine.text("/" + name);
  }
  return found;
}

// A server that wants mending in every way there is.
void detune(FakeMachine& machine) {
  machine.set_open_files("1024", "4096");
  machine.set_sysctl("net.core.somaxconn", "128");
  machine.set_sysctl("net.ipv4.tcp_mem", "10000\t20000\t30000");
  machine.set_sysctl("fs.file-max", "100000");
  machine.set("/etc/systemd/system/holdfast.service", "[Service]\nLimitNOFILE=4096\n");
  machine.set_sysctl("net.netfilter.nf_conntrack_max", "65536");
  machine.set_sysctl("net.netfilter.nf_conntrack_count", "120");
  machine.set_sysctl("net.netfilter.nf_conntrack_buckets", "16384");
  machine.set(kHashSizeFile, "16384\n");
}

Examination examine(const FakeMachine& machine, std::uint64_t connections) {
  return doctor::examine(read_facts(machine.files()), {connections, Role::kServer, 0});
}

Report fix(const FakeMachine& machine, std::uint64_t connections) {
  const Facts facts = read_facts(machine.files());
  return apply(
      plan_fix(doctor::examine(facts, {connections, Role::kServer, 0}), facts, machine.files()),
      machine.files());
}

TEST(Fix, MakesTheNumberFitNowAndAfterAReboot) {
  FakeMachine machine;
  detune(machine);
  EXPECT_FALSE(examine(machine, 600'000).fits());
  const Report report = fix(machine, 600'000);
  EXPECT_THAT(report.failed, IsEmpty());
  EXPECT_TRUE(examine(machine, 600'000).fits());
  EXPECT_EQ(machine.text("/proc/sys/net/core/somaxconn"), "4096\n");
  EXPECT_THAT(machine.text(kSysctlDropIn), HasSubstr("\nnet.core.somaxconn = 4096\n"));
  EXPECT_THAT(machine.text(kSysctlDropIn), HasSubstr("\n-net.netfilter.nf_conntrack_max = "));
  EXPECT_THAT(machine.text(kLimitsDropIn),
              HasSubstr("\nalice hard nofile 1048576\nroot hard nofile 1048576\n"));
  EXPECT_THAT(machine.text(kServiceDropIn), HasSubstr("[Service]\nLimitNOFILE=1048576\n"));
  EXPECT_THAT(machine.text(kModuleDropIn), HasSubstr("options nf_conntrack hashsize="));
  EXPECT_NE(machine.text(kHashSizeFile), "16384\n");
}

TEST(Fix, FindsNothingToDoTheSecondTime) {
  FakeMachine machine;
  detune(machine);
  fix(machine, 600'000);
  machine.set_open_files("1024", "1048576");  // as after a new login
  machine.set_sysctl("net.netfilter.nf_conntrack_buckets", machine.text(kHashSizeFile));
  const auto before = everything(machine);
  const Report again = fix(machine, 600'000);
  EXPECT_THAT(again.done, IsEmpty());
  EXPECT_THAT(again.failed, IsEmpty());
  EXPECT_EQ(everything(machine), before);
}

TEST(Fix, NeverLowersAValueOfAnEarlierOne) {
  FakeMachine machine;
  detune(machine);
  fix(machine, 600'000);
  const std::string large = machine.text(kSysctlDropIn);
  fix(machine, 1000);
  EXPECT_EQ(machine.text(kSysctlDropIn), large);
  // Even when the value itself was lowered meanwhile: the drop-in keeps the larger one.
  machine.set_sysctl("fs.file-max", "100");
  fix(machine, 1000);
  EXPECT_EQ(machine.text(kSysctlDropIn), large);
}

TEST(Undo, LeavesNothingBehind) {
  FakeMachine machine;
  detune(machine);
  machine.set(kModuleDropIn, "# mine\n");  // a file that was there before comes back
  const auto before = everything(machine);
  fix(machine, 100'000);
  fix(machine, 600'000);
  EXPECT_NE(everything(machine), before);
  const Report report = undo(machine.files());
  EXPECT_THAT(report.failed, IsEmpty());
  auto after = everything(machine);
  // /proc/sys gives tabs, whatever was written.
  for (auto& [name, text] : after) std::replace(text.begin(), text.end(), ' ', '\t');
  auto expected = before;
  for (auto& [name, text] : expected) std::replace(text.begin(), text.end(), ' ', '\t');
  EXPECT_EQ(after, expected);
}

TEST(Undo, LeavesAValueThatSomebodyChangedSince) {
  FakeMachine machine;
  detune(machine);
  fix(machine, 600'000);
  machine.set_sysctl("net.core.somaxconn", "9999");
  const Report report = undo(machine.files());
  EXPECT_EQ(machine.text("/proc/sys/net/core/somaxconn"), "9999\n");
  EXPECT_THAT(report.done, Contains(HasSubstr("left at 9999")));
  EXPECT_EQ(machine.text("/proc/sys/fs/file-max"), "100000\n");
}

TEST(Undo, HasNothingToDoOnAMachineThatWasNeverMended) {
  FakeMachine machine;
  const auto before = everything(machine);
  const Report report = undo(machine.files());
  EXPECT_THAT(report.done, IsEmpty());
  EXPECT_THAT(report.failed, IsEmpty());
  EXPECT_EQ(everything(machine), before);
}

TEST(Undo, RefusesADamagedStateFileAndTouchesNothing) {
  FakeMachine machine;
  machine.set(kStateFile, "{\"values\": 3}");
  const auto before = everything(machine);
  EXPECT_THAT(undo(machine.files()).failed, Contains(HasSubstr("damaged")));
  detune(machine);
  EXPECT_THAT(fix(machine, 600'000).failed, Contains(HasSubstr("damaged")));
  EXPECT_EQ(machine.text("/proc/sys/net/core/somaxconn"), "128\n");
}

TEST(Fix, TellsWhatItCannotDoAndGoesOnWithTheRest) {
  FakeMachine machine;
  detune(machine);
  // A folder in a file's place fails for every user, root too.
  machine.make_folder(kSysctlDropIn);
  const Report report = fix(machine, 600'000);
  EXPECT_THAT(report.failed, Contains(HasSubstr("90-holdfast.conf")));
  EXPECT_EQ(machine.text("/proc/sys/net/core/somaxconn"), "4096\n");
  EXPECT_THAT(undo(machine.files()).failed, IsEmpty());
  EXPECT_EQ(machine.text("/proc/sys/net/core/somaxconn"), "128\n");
}

TEST(Fix, ChangesNothingThatItCouldNotTakeBack) {
  FakeMachine machine;
  detune(machine);
  machine.set("/var/lib/holdfast", "a file where the state's folder should be");
  const Report report = fix(machine, 600'000);
  EXPECT_THAT(report.done, IsEmpty());
  EXPECT_THAT(report.failed, testing::ElementsAre(HasSubstr("could not be undone")));
  EXPECT_EQ(machine.text("/proc/sys/net/core/somaxconn"), "128\n");
}

TEST(Fix, LeavesToTheOperatorWhatIsADecision) {
  FakeMachine machine;
  machine.set_open_files("20000", "20000");
  machine.set("/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n");
  const Facts facts = read_facts(machine.files());
  const Fix planned =
      plan_fix(doctor::examine(facts, {600'000, Role::kServer, 0}), facts, machine.files());
  EXPECT_THAT(planned.left_to_you, Contains(HasSubstr("transparent huge pages")));
  EXPECT_THAT(planned.left_to_you, Contains(HasSubstr("open files, this session")));
}

}  // namespace
}  // namespace holdfast::doctor
