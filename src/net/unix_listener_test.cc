#include "net/unix_listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "net/clock.h"
#include "net/loop.h"

namespace holdfast::net {
namespace {

using testing::HasSubstr;

class UnixListenerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/holdfast-unix-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/socket";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  int connect() const {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, path_.data(), path_.size());
    const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0)
      return descriptor;
    ::close(descriptor);
    return -1;
  }
  std::string error(const std::string& path) const {
    const auto opened = UnixListener::open(path, 0600, 16);
    return opened ? "" : opened.error().message;
  }

  std::string folder_;
  std::string path_;
};

TEST_F(UnixListenerTest, HasItsPermissionsAndLosesItsNameAtTheEnd) {
  {
    const auto listener = UnixListener::open(path_, 0620, 16);
    ASSERT_TRUE(listener) << listener.error().message;
    struct stat file{};
    ASSERT_EQ(stat(path_.c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 0777, 0620u);
    const int peer = connect();
    EXPECT_GE(peer, 0);
    ::close(peer);
    (*listener)->close();
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(UnixListenerTest, TakesTheNameOfAServerThatDied) {
  const auto dead = UnixListener::open(path_, 0600, 16).value();
  dead->close();  // and its name stays
  ASSERT_TRUE(std::filesystem::exists(path_));
  const auto listener = UnixListener::open(path_, 0600, 16);
  ASSERT_TRUE(listener) << listener.error().message;
  EXPECT_GE(connect(), 0);
}

TEST_F(UnixListenerTest, LeavesTheNameOfALivingServer) {
  const auto living = UnixListener::open(path_, 0600, 16);
  EXPECT_THAT(error(path_), HasSubstr("another server listens on it"));
  EXPECT_GE(connect(), 0);
}

TEST_F(UnixListenerTest, LeavesAFileThatIsNoSocket) {
  std::ofstream(path_) << "precious";
  EXPECT_THAT(error(path_), HasSubstr("no socket"));
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(UnixListenerTest, LeavesTheNameOfItsSuccessor) {
  auto first = UnixListener::open(path_, 0600, 16).value();
  ASSERT_EQ(::unlink(path_.c_str()), 0);
  const auto second = UnixListener::open(path_, 0600, 16);
  ASSERT_TRUE(second);
  first.reset();
  EXPECT_TRUE(std::filesystem::exists(path_));
  EXPECT_GE(connect(), 0);
}

TEST_F(UnixListenerTest, SaysWhatIsWrongWithAName) {
  EXPECT_THAT(error(folder_ + "/" + std::string(120, 'x')), HasSubstr("more than 107 bytes"));
  EXPECT_THAT(error(folder_ + "/nowhere/socket"), HasSubstr("No such file"));
}

// Two loops that share a listener. In one thread: each is asked in turn, as two sleepers would be
// woken.
TEST_F(UnixListenerTest, IsSharedOutAmongLoops) {
  const auto listener = UnixListener::open(path_, 0600, 1024).value();
  std::vector<std::unique_ptr<Loop>> loops;
  std::vector<Descriptor> shared;
  for (int i = 0; i < 2; ++i) {
    loops.push_back(make_loop({}, nullptr).value());
    ASSERT_TRUE(loops.back()->listen_shared(
        shared.emplace_back(i == 0 ? listener->take_own() : ::dup(shared[0]))));
  }
  const auto accepted = [](Loop& loop) {
    int count = 0;
    loop.wait(Instant(), monotonic_now());
    while (const auto completion = loop.next()) {
      if (completion->kind != Completion::Kind::kAccepted) continue;
      ++count;
      loop.close(completion->descriptor);
    }
    loop.flush();
    return count;
  };
  for (int i = 0; i < 40; ++i) ::close(connect());
  EXPECT_EQ(accepted(*loops[0]), 16) << "no loop takes a burst whole";
  EXPECT_EQ(accepted(*loops[1]), 16);
  EXPECT_EQ(accepted(*loops[0]), 8);

  for (int i = 0; i < 4; ++i) ::close(connect());
  loops[0]->rest_listener(shared[0], std::chrono::milliseconds(50));
  EXPECT_EQ(accepted(*loops[0]), 0) << "it rests";
  EXPECT_EQ(accepted(*loops[1]), 4);
  ::close(connect());
  const Instant end = monotonic_now() + std::chrono::seconds(5);
  int late = 0;
  while (late == 0 && monotonic_now() < end) late = accepted(*loops[0]);
  EXPECT_EQ(late, 1) << "its rest is over";
}

}  // namespace
}  // namespace holdfast::net
