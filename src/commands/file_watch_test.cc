#include "commands/file_watch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace holdfast::commands {
namespace {

class Watched : public testing::Test {
 protected:
  Watched() { std::filesystem::create_directories(folder_); }
  ~Watched() override { std::filesystem::remove_all(folder_); }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name)) << text;
  }
  const std::string folder_ =
      (std::filesystem::temp_directory_path() / ("holdfast-watch-" + std::to_string(getpid())))
          .string();
};

TEST_F(Watched, AChangeIsToldOnceAndWhenItIsOver) {
  write("cert", "one");
  write("key", "one");
  FileWatch watch({path("cert"), path("key")});
  EXPECT_FALSE(watch.look());
  write("cert", "another");
  EXPECT_FALSE(watch.look()) << "perhaps the key is still being written";
  write("key", "another");
  EXPECT_FALSE(watch.look());
  EXPECT_TRUE(watch.look());
  EXPECT_FALSE(watch.look());
}

TEST_F(Watched, ALinkThatPointsElsewhereIsAChange) {
  write("old", "same size");
  write("new", "same size");
  std::filesystem::create_symlink(path("old"), path("cert"));
  FileWatch watch({path("cert")});
  std::filesystem::remove(path("cert"));
  EXPECT_FALSE(watch.look());
  std::filesystem::create_symlink(path("new"), path("cert"));
  EXPECT_FALSE(watch.look());
  EXPECT_TRUE(watch.look());
}

TEST_F(Watched, WhatWasReadForAnotherReasonIsNoChange) {
  write("cert", "one");
  FileWatch watch({path("cert")});
  write("cert", "another");
  EXPECT_FALSE(watch.look());
  watch.accept();
  EXPECT_FALSE(watch.look());
  EXPECT_FALSE(watch.look());
}

}  // namespace
}  // namespace holdfast::commands
