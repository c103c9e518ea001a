#include "client/login/messages.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace werkplek {
namespace {

std::multiset<std::string> Placeholders(absl::string_view text) {
  std::multiset<std::string> names;
  for (size_t open = text.find('{'); open != absl::string_view::npos;
       open = text.find('{', open + 1)) {
    const size_t close = text.find('}', open);
    if (close == absl::string_view::npos) return {"unclosed"};
    names.insert(std::string(text.substr(open + 1, close - open - 1)));
  }
  return names;
}

TEST(Messages, EveryMessageIsThereInBothLanguagesAndInOrder) {
  ASSERT_EQ(AllMessages().size(), static_cast<size_t>(Message::kLast));
  for (size_t i = 0; i < AllMessages().size(); ++i) {
    const MessageRow& row = AllMessages()[i];
    EXPECT_EQ(static_cast<size_t>(row.message), i);
    EXPECT_FALSE(row.english.empty()) << i;
    EXPECT_FALSE(row.dutch.empty()) << i;
  }
}

TEST(Messages, PlaceholdersAgree) {
  for (const MessageRow& row : AllMessages()) {
    EXPECT_EQ(Placeholders(row.english), Placeholders(row.dutch)) << row.english;
  }
}

TEST(Messages, LongTextsAreTranslated) {
  for (const MessageRow& row : AllMessages()) {
    const bool has_words = row.english.size() > 20 && row.english.front() != '{';
    if (has_words) {
      EXPECT_NE(row.english, row.dutch);
    }
  }
}

TEST(Messages, FillsPlaceholdersOnce) {
  EXPECT_EQ(Say(Language::kEnglish, Message::kStarting, {{"desktop", "k-1"}}), "Starting k-1");
  EXPECT_EQ(Say(Language::kDutch, Message::kStarting, {{"desktop", "k-1"}}), "k-1 wordt gestart");
  // A value is no message.
  EXPECT_EQ(Say(Language::kEnglish, Message::kStarting, {{"desktop", "{desktop} {x"}}),
            "Starting {desktop} {x");
}

TEST(Messages, KnowsDutchInAllSpellings) {
  for (const char* dutch : {"nl", "nl_NL", "nl_NL.UTF-8", "nl_BE@euro", "nl-NL", "NL"}) {
    EXPECT_EQ(ParseLanguage(dutch), Language::kDutch) << dutch;
  }
  for (const char* other : {"en", "C", "POSIX", "", "nlx", "fr_FR"}) {
    EXPECT_EQ(ParseLanguage(other), Language::kEnglish) << other;
  }
}

}  // namespace
}  // namespace werkplek
