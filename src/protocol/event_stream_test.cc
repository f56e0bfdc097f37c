#include "protocol/event_stream.h"

#include <gtest/gtest.h>

#include <string>

namespace holdfast::protocol {
namespace {

std::string event(std::string_view id, std::string_view text) {
  std::string written(event_bytes(id, text), '?');
  write_event(reinterpret_cast<std::byte*>(written.data()), id, text);
  return written;
}

TEST(EventStream, HasAnEventsTextAsItsData) {
  EXPECT_EQ(event("", R"({"a":1})"), "data: {\"a\":1}\n\n");
  EXPECT_EQ(event("ab:7", "x"), "id: ab:7\ndata: x\n\n");
  EXPECT_EQ(event("", ""), "data: \n\n");
}

TEST(EventStream, HasALineOfDataForEachLineHoweverItEnds) {
  EXPECT_EQ(event("", "a\nb\r\nc\rd"), "data: a\ndata: b\ndata: c\ndata: d\n\n");
  EXPECT_EQ(event("", "a\n"), "data: a\ndata: \n\n");
  EXPECT_EQ(event("", "\n\nretry: 1"), "data: \ndata: \ndata: retry: 1\n\n");
}

TEST(EventStream, LeavesOutAnIdThatWouldEndItsLine) {
  EXPECT_EQ(event("a\nevent: x", "y"), "data: y\n\n");
  EXPECT_EQ(event("a\r", "y"), "data: y\n\n");
}

}  // namespace
}  // namespace holdfast::protocol
