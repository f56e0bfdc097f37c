#include "protocol/extension_list.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace holdfast::protocol {
namespace {

using Part = ExtensionList::Part;

// "a; x=1, b" as "a ;x=1 b"; "!" where it is malformed.
std::string walk(std::string_view field) {
  std::string told;
  ExtensionList list(field);
  while (true) {
    const Part part = list.next();
    if (part == Part::kEnd) return told;
    if (part == Part::kMalformed) {
      EXPECT_EQ(list.next(), Part::kMalformed) << "nothing comes after it";
      return told + "!";
    }
    if (!told.empty()) told += ' ';
    if (part == Part::kParameter) told += ';';
    told += list.name();
    if (list.has_value()) told += "=" + std::string(list.value());
  }
}

TEST(ExtensionList, ReadsTheExamplesOfTheRfc) {
  EXPECT_EQ(walk("foo"), "foo");
  EXPECT_EQ(walk("bar; baz=2"), "bar ;baz=2");
  EXPECT_EQ(walk("foo, bar; baz=2"), "foo bar ;baz=2");
  EXPECT_EQ(walk("deflate-stream"), "deflate-stream");
  EXPECT_EQ(walk("mux; max-channels=4; flow-control, deflate-stream"),
            "mux ;max-channels=4 ;flow-control deflate-stream");
  EXPECT_EQ(walk("private-extension"), "private-extension");
}

TEST(ExtensionList, TakesWhiteSpaceAroundEveryPart) {
  EXPECT_EQ(walk(" \t a\t;\tx = 1 ; y ,\tb "), "a ;x=1 ;y b");
  EXPECT_EQ(walk("a;x=1,b"), "a ;x=1 b");
}

TEST(ExtensionList, ReadsOverEmptyElements) {
  EXPECT_EQ(walk(", ,a,, b,"), "a b");
  EXPECT_EQ(walk(""), "");
  EXPECT_EQ(walk(" , "), "");
}

TEST(ExtensionList, UnquotesAValue) {
  EXPECT_EQ(walk("a; x=\"10\"; y"), "a ;x=10 ;y");
  EXPECT_EQ(walk("a; x=\"1\\0\"; y=\"\\a\\b\", b"), "a ;x=10 ;y=ab b");
}

TEST(ExtensionList, RefusesAQuotedValueThatIsNoToken) {
  for (const char* field : {"a; x=\"\"", "a; x=\"1 0\"", "a; x=\"1,0\"", "a; x=\"1;0\"",
                            "a; x=\"10", "a; x=\"10\\", "a; x=\"1\\\"", "a; x=\"1\"0"}) {
    EXPECT_EQ(walk(field), "a!") << field;
  }
}

TEST(ExtensionList, RefusesWhatIsNotTheGrammar) {
  EXPECT_EQ(walk("a b"), "!");
  EXPECT_EQ(walk(";x"), "!");
  EXPECT_EQ(walk("=1"), "!");
  EXPECT_EQ(walk("a=1"), "!");
  EXPECT_EQ(walk("a;"), "a!");
  EXPECT_EQ(walk("a;;x"), "a!");
  EXPECT_EQ(walk("a; x="), "a!");
  EXPECT_EQ(walk("a; x y"), "a!");
  EXPECT_EQ(walk("a; =1"), "a!");
  EXPECT_EQ(walk("a, b/c"), "a!");
  EXPECT_EQ(walk("gr\xC3\xBC"
                 "n"),
            "!");
}

TEST(ExtensionList, NeverReadsPastTheFieldsEnd) {
  const std::string field = "a; x=\"1\\0\"; y = 2, b;z";
  for (std::size_t size = 0; size <= field.size(); ++size) {
    const std::vector<char> exact(field.begin(), field.begin() + static_cast<std::ptrdiff_t>(size));
    walk({exact.data(), exact.size()});
  }
}

ExtensionsVerdict judge(std::vector<HttpHeader> headers) { return judge_extensions(headers); }

TEST(ExtensionList, JudgesAllFieldsAsOneList) {
  EXPECT_EQ(judge({{"Host", "x"}}), ExtensionsVerdict::kNone);
  EXPECT_EQ(judge({{"sec-websocket-EXTENSIONS", "a"}}), ExtensionsVerdict::kWellFormed);
  EXPECT_EQ(judge({{"Sec-WebSocket-Extensions", ""}, {"Sec-WebSocket-Extensions", "a"}}),
            ExtensionsVerdict::kWellFormed);
  EXPECT_EQ(judge({{"Sec-WebSocket-Extensions", "a"}, {"Sec-WebSocket-Extensions", "b;"}}),
            ExtensionsVerdict::kMalformed);
  EXPECT_EQ(judge({{"Sec-WebSocket-Extensions", ""}}), ExtensionsVerdict::kMalformed);
}

}  // namespace
}  // namespace holdfast::protocol
