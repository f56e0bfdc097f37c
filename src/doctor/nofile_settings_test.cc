#include "doctor/nofile_settings.h"

#include <gtest/gtest.h>

#include "doctor/fake_machine.h"

namespace holdfast::doctor {
namespace {

TEST(LoginSetting, IsEmptyWhereNoLineSpeaksOfOpenFiles) {
  FakeMachine machine;
  machine.set("/etc/security/limits.conf", "# alice hard nofile 5\nalice hard nproc 100\n");
  const LoginSetting setting = read_login_setting(machine.files(), "alice");
  EXPECT_FALSE(setting.soft);
  EXPECT_FALSE(setting.hard);
}

TEST(LoginSetting, TakesALineForTheUserBeforeOneForAll) {
  FakeMachine machine;
  machine.set("/etc/security/limits.conf", "alice hard nofile 2000\n");
  machine.set("/etc/security/limits.d/50-all.conf", "* - nofile 9000\n");
  const LoginSetting setting = read_login_setting(machine.files(), "alice");
  EXPECT_EQ(setting.soft, 9000u);
  EXPECT_EQ(setting.hard, 2000u);
}

TEST(LoginSetting, TakesTheLaterOfTwoFiles) {
  FakeMachine machine;
  machine.set("/etc/security/limits.d/20-a.conf", "alice hard nofile 2000\n");
  machine.set("/etc/security/limits.d/90-b.conf", "alice hard nofile unlimited # as of today\n");
  EXPECT_EQ(read_login_setting(machine.files(), "alice").hard, kUnlimited);
}

TEST(LoginSetting, DoesNotLetAStarSpeakForRoot) {
  FakeMachine machine;
  machine.set("/etc/security/limits.conf", "* hard nofile 1048576\n");
  EXPECT_FALSE(read_login_setting(machine.files(), "root").hard);
}

TEST(UnitSetting, IsSystemdsOwnDefaultWithoutAnyFile) {
  FakeMachine machine;
  const UnitSetting setting = read_unit_setting(machine.files(), "holdfast.service");
  EXPECT_FALSE(setting.installed);
  EXPECT_EQ(setting.limit, (OpenFilesLimit{1024, 524288}));
}

TEST(UnitSetting, FollowsTheManagersDefaultUntilTheUnitSaysMore) {
  FakeMachine machine;
  machine.set("/etc/systemd/system.conf", "[Manager]\nDefaultLimitNOFILE=2048:4096\n");
  machine.set("/usr/lib/systemd/system/holdfast.service",
              "[Service]\nExecStart=/usr/bin/holdfast serve\n");
  EXPECT_EQ(read_unit_setting(machine.files(), "holdfast.service").limit,
            (OpenFilesLimit{2048, 4096}));

  machine.set("/usr/lib/systemd/system/holdfast.service",
              "[Service]\n#LimitNOFILE=1\nLimitNOFILE = 65536\n");
  const UnitSetting setting = read_unit_setting(machine.files(), "holdfast.service");
  EXPECT_TRUE(setting.installed);
  EXPECT_EQ(setting.limit, (OpenFilesLimit{65536, 65536}));
  EXPECT_EQ(setting.said_by, "/usr/lib/systemd/system/holdfast.service");
}

TEST(UnitSetting, LetsTheLastDropInDecide) {
  FakeMachine machine;
  machine.set("/etc/systemd/system/holdfast.service", "[Service]\nLimitNOFILE=65536\n");
  machine.set("/etc/systemd/system/holdfast.service.d/90-z.conf",
              "[Service]\nLimitNOFILE=infinity\n");
  machine.set("/run/systemd/system/holdfast.service.d/10-a.conf", "[Service]\nLimitNOFILE=10\n");
  EXPECT_EQ(read_unit_setting(machine.files(), "holdfast.service").limit,
            (OpenFilesLimit{kUnlimited, kUnlimited}));
}

}  // namespace
}  // namespace holdfast::doctor
