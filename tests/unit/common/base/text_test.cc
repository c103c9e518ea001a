#include "common/base/text.h"

#include <gtest/gtest.h>

namespace werkplek {
namespace {

TEST(PrintableUnitTest, CharactersAreWhole) {
  EXPECT_EQ(PrintableUnit("a"), 1u);
  EXPECT_EQ(PrintableUnit("\u00e9x"), 2u);
  EXPECT_EQ(PrintableUnit("\u20acx"), 3u);
  EXPECT_EQ(PrintableUnit("\U0001f5a5x"), 4u);
}

TEST(PrintableUnitTest, WhatIsNoPrintableCharacterHasNoLength) {
  for (const char* text :
       {"\n", "\x7f", "\xff", "\x80", "\xc0\x80", "\xc2\x9b", "\xe2\x82", "\xe0\x80\xaf",
        "\xed\xa0\x80", "\xef\xbf\xbe", "\xf0\x80\x80\xaf", "\xf0\x9f\x96", "\xf4\x90\x80\x80"}) {
    EXPECT_EQ(PrintableUnit(text), 0u) << text;
  }
  EXPECT_EQ(PrintableUnit(absl::string_view("\0", 1)), 0u);
}

TEST(PrintableTextTest, WhatIsNotPrintableIsReplaced) {
  EXPECT_EQ(PrintableText("caf\u00e9: \u20ac 3", 100), "caf\u00e9: \u20ac 3");
  EXPECT_EQ(PrintableText("one\ntwo\x1b[2J", 100), "one two [2J");
  EXPECT_EQ(PrintableText("a\xff\xfe\x62", 100), "a??b");
  EXPECT_EQ(PrintableText("a\xc2\x9bz", 100), "a??z");
  EXPECT_EQ(PrintableText("cut \xe2\x82", 100), "cut ??");
  EXPECT_EQ(PrintableText("", 100), "");
}

TEST(PrintableTextTest, ItIsCutBetweenCharacters) {
  EXPECT_EQ(PrintableText("ab\u20ac", 5), "ab\u20ac");
  EXPECT_EQ(PrintableText("ab\u20ac", 4), "ab");
  EXPECT_EQ(PrintableText("ab\u20ac", 2), "ab");
  EXPECT_EQ(PrintableText("ab", 0), "");
}

}  // namespace
}  // namespace werkplek
