#include "common/config/yaml_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

// "LINE: message" of the first complaint; empty: none.
std::string First(const std::string& text) {
  const YamlDocument document = ParseYaml(text);
  if (document.complaints.empty()) return "";
  return absl::StrCat(document.complaints[0].line, ": ", document.complaints[0].message);
}

TEST(YamlTreeTest, ATreeKnowsItsLines) {
  const YamlDocument document = ParseYaml("# note\na: 1\nb:\n  - x\n  - \"2\"\nc: {d: ~}\r\n");
  ASSERT_TRUE(document.complaints.empty()) << document.complaints[0].message;
  EXPECT_EQ(document.root.Find("a")->line, 2);
  const YamlNode& list = *document.root.Find("b");
  ASSERT_EQ(list.children.size(), 2u);
  EXPECT_EQ(list.children[1].line, 5);
  EXPECT_TRUE(list.children[1].quoted);
  EXPECT_FALSE(list.children[0].quoted);
  EXPECT_EQ(document.root.Find("c")->Find("d")->kind, YamlNode::Kind::kNull);
  EXPECT_EQ(document.root.Find("z"), nullptr);
}

TEST(YamlTreeTest, BadFormsAreRefusedAtTheirLine) {
  const std::pair<std::string, const char*> bad[] = {
      {"\xef\xbb\xbf"
       "a: 1\n",
       "1: begins with a byte order mark"},
      {"a:\n\tb: 1\n", "2: indented with a tab"},
      {"a: 1\nb: 2\na: 3\n", "3: \"a\" is set twice, first on line 1"},
      {"a: &x 1\n", "1: anchor &x: anchors are not accepted"},
      {"a: &x [*x]\n", "1: anchor &x"},
      {"a: !!binary aGk=\n", "1: tag tag:yaml.org,2002:binary"},
      {"a:\n  <<: {b: 1}\n", "2: merge keys"},
      {"[a, b]: 1\n", "1: a key must be a text, not a list"},
      {"- a\n", "1: must be a map"},
      {"just words\n", "1: must be a map"},
      {"", "1: must be a map (\"key: value\" lines), not nothing"},
      {"a: 1\n---\nb: 2\n", "second document"},
      {"a: [1, 2\nb: 3\n", "not YAML"},
      {"a: 1\n b: 2\n", "not YAML"},
      {std::string("a: x\0y\n", 7), "1: holds the control byte 0x00"},
      {"a: 1\nb: \xff\n", "2: not UTF-8"},
      {std::string(kMaxYamlBytes + 1, '#'), "1: larger than 1024 KiB"},
  };
  for (const auto& [text, message] : bad) {
    EXPECT_THAT(First(text), HasSubstr(message)) << text.substr(0, 40);
  }
}

TEST(YamlTreeTest, DepthAndCountAreBounded) {
  EXPECT_THAT(First("a: " + std::string(5000, '[')), HasSubstr("nested deeper"));
  EXPECT_THAT(First("a: " + std::string(100, '[') + std::string(100, ']')),
              HasSubstr("nested deeper than 16 levels"));
  std::string many = "a:\n";
  for (int i = 0; i < 20'001; ++i) many += " - x\n";
  EXPECT_THAT(First(many), HasSubstr("more than 20000 values"));
}

// An alias that doubles itself 40 times must not be followed.
TEST(YamlTreeTest, ABillionLaughsIsRefusedAtOnce) {
  std::string text = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 40; ++i) {
    absl::StrAppend(&text, "a", i, ": &a", i, " [*a", i - 1, ", *a", i - 1, "]\n");
  }
  EXPECT_THAT(First(text), HasSubstr("anchors are not accepted"));
}

}  // namespace
}  // namespace werkplek
