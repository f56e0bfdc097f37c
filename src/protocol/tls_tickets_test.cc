#include "protocol/tls_tickets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <string>
#include <thread>
#include <vector>

namespace holdfast::protocol {
namespace {

using std::chrono::hours;
using testing::HasSubstr;
using Names = std::vector<unsigned char>;

std::string line_of(unsigned char value) {
  const std::vector<unsigned char> bytes(TlsTicketKey::kBytes, value);
  std::string line(109, '\0');
  line.resize(
      static_cast<std::size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(line.data()),
                                               bytes.data(), static_cast<int>(bytes.size()))));
  return line;
}

TEST(TlsTicketKeys, AreReadFromLines) {
  const auto keys = parse_ticket_keys("# of March\n" + line_of(1) + "\r\n\n  " + line_of(2) +
                                      " # old\n" + line_of(3));
  ASSERT_TRUE(keys) << keys.error().message;
  ASSERT_EQ(keys->size(), 3u);
  for (unsigned char i = 0; i < 3; ++i) {
    EXPECT_EQ((*keys)[i].name[0], i + 1);
    EXPECT_EQ((*keys)[i].cipher[31], i + 1);
    EXPECT_EQ((*keys)[i].mac[31], i + 1);
  }
}

TEST(TlsTicketKeys, SayWhichLineIsNoneWithoutShowingIt) {
  const std::string short_key = line_of(5).substr(4);
  for (const std::string& wrong :
       {short_key, line_of(5) + "AAAA", std::string(108, '!'), std::string(108, 'A'), line_of(1)}) {
    const auto keys = parse_ticket_keys(line_of(1) + "\n" + wrong);
    ASSERT_FALSE(keys) << wrong;
    EXPECT_THAT(keys.error().message, HasSubstr("line 2"));
    EXPECT_EQ(keys.error().message.find(wrong.substr(0, 20)), std::string::npos);
  }
  EXPECT_FALSE(parse_ticket_keys("\n# nothing\n"));
  std::string many;
  for (unsigned char i = 0; i < 17; ++i) many += line_of(i) + "\n";
  EXPECT_FALSE(parse_ticket_keys(many));
}

TEST(TlsTickets, SealWithANewKeyOnceInALifetimeAndOpenWithTheOneBefore) {
  TlsTickets tickets{hours(2)};
  Instant now{hours(100)};
  const auto name = [&](std::size_t i) { return tickets.keys()->at(i).name; };
  const auto first = name(0);
  tickets.rotate(now);
  tickets.rotate(now + hours(1));
  EXPECT_EQ(tickets.keys()->size(), 1u);
  EXPECT_EQ(name(0), first);
  tickets.rotate(now += hours(2));
  ASSERT_EQ(tickets.keys()->size(), 2u);
  EXPECT_NE(name(0), first);
  EXPECT_EQ(name(1), first);
  const auto second = name(0);
  tickets.rotate(now += hours(3));
  ASSERT_EQ(tickets.keys()->size(), 2u);
  EXPECT_EQ(name(1), second);
  // Nobody came for two lifetimes.
  tickets.rotate(now += hours(4));
  EXPECT_EQ(tickets.keys()->size(), 1u);
}

TEST(TlsTickets, ThatAreSharedStayUntilOthersAreGiven) {
  TlsTickets tickets{hours(2)};
  tickets.share(*parse_ticket_keys(line_of(7)));
  tickets.rotate(Instant{hours(1)});
  tickets.rotate(Instant{hours(1000)});
  ASSERT_EQ(tickets.keys()->size(), 1u);
  EXPECT_EQ(tickets.keys()->at(0).name[0], 7);
}

TEST(TlsTickets, RotateOnceHoweverManyThreadsSeeThatItIsTime) {
  TlsTickets tickets{hours(1)};
  tickets.rotate(Instant{});
  const auto first = tickets.keys()->at(0).name;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      for (int hour = 1; hour < 50; ++hour) tickets.rotate(Instant{hours(1)});
    });
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(tickets.keys()->size(), 2u);
  EXPECT_EQ(tickets.keys()->at(1).name, first);
}

}  // namespace
}  // namespace holdfast::protocol
