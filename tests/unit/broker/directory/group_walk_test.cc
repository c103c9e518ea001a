#include "broker/directory/group_walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "absl/strings/str_cat.h"

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// Walks through `graph` (DN -> direct groups) and counts the questions.
int Walk(GroupWalk& walk, const std::map<std::string, std::vector<std::string>>& graph) {
  int questions = 0;
  while (!walk.done() && !walk.too_many()) {
    for (const std::string& dn : walk.TakeQuestions()) {
      ++questions;
      const auto found = graph.find(dn);
      walk.Answer(found == graph.end() ? std::vector<std::string>() : found->second);
    }
  }
  return questions;
}

TEST(GroupWalkTest, NoGroups) {
  GroupWalk walk("jan", 10);
  EXPECT_FALSE(walk.done());
  EXPECT_EQ(Walk(walk, {}), 1);
  EXPECT_THAT(walk.Groups(), IsEmpty());
}

TEST(GroupWalkTest, NestedInByteOrder) {
  GroupWalk walk("jan", 10);
  Walk(walk, {{"jan", {"b", "Z"}}, {"b", {"a"}}, {"a", {"c"}}});
  EXPECT_THAT(walk.Groups(), ElementsAre("Z", "a", "b", "c"));
}

TEST(GroupWalkTest, CirclesEndAndNothingIsAskedTwice) {
  GroupWalk walk("jan", 10);
  EXPECT_EQ(Walk(walk, {{"jan", {"a", "b"}}, {"a", {"b", "jan"}}, {"b", {"A", "a", "b"}}}), 3);
  EXPECT_THAT(walk.Groups(), ElementsAre("a", "b"));
}

TEST(GroupWalkTest, TheCapIsAnError) {
  std::vector<std::string> groups;
  for (int i = 0; i < 2000; ++i) groups.push_back(absl::StrCat("g", i));
  GroupWalk full("jan", 2000);
  Walk(full, {{"jan", groups}});
  EXPECT_FALSE(full.too_many());
  EXPECT_THAT(full.Groups(), SizeIs(2000));
  GroupWalk over("jan", 2000);
  Walk(over, {{"jan", groups}, {"g1999", {"one-more"}}});
  EXPECT_TRUE(over.too_many());
}

TEST(GroupWalkTest, NotDoneWhileAnAnswerIsOut) {
  GroupWalk walk("jan", 10);
  walk.TakeQuestions();
  walk.Answer({"a", "b"});
  EXPECT_THAT(walk.TakeQuestions(), ElementsAre("a", "b"));
  walk.Answer({});
  EXPECT_FALSE(walk.done());
  walk.Answer({});
  EXPECT_TRUE(walk.done());
}

}  // namespace
}  // namespace werkplek
