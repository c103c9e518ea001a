#include "broker/model/table.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace werkplek {
namespace {

using Model = std::map<std::string, int>;

void ExpectSame(const Table<int>& table, const Model& model) {
  ASSERT_EQ(table.size(), model.size());
  ASSERT_EQ(table.empty(), model.empty());
  auto at = table.begin();
  for (const auto& [key, value] : model) {
    ASSERT_FALSE(at == table.end());
    ASSERT_EQ(at->key, key);
    ASSERT_EQ(*at->record, value);
    ++at;
  }
  ASSERT_TRUE(at == table.end());
}

class TableTest : public testing::TestWithParam<int> {};

TEST_P(TableTest, DoesAsAMapDoes) {
  std::mt19937_64 random(static_cast<uint64_t>(GetParam()));
  Table<int> table;
  Model model;
  // Copies taken on the way, with what they held.
  std::vector<std::pair<Table<int>, Model>> copies;
  const uint64_t keys = GetParam() % 2 == 0 ? 40 : 5000;
  for (int i = 0; i < 20'000; ++i) {
    const std::string key = std::to_string(random() % keys);
    switch (random() % 8) {
      case 0:
      case 1:
      case 2:
      case 3:
        table.Put(key, std::make_shared<const int>(i));
        model[key] = i;
        break;
      case 4:
      case 5: {
        ASSERT_EQ(table.Erase(key), model.erase(key) == 1);
        break;
      }
      case 6: {
        const auto found = model.find(key);
        const int* record = table.Find(key);
        ASSERT_EQ(record != nullptr, found != model.end());
        if (record != nullptr) {
          ASSERT_EQ(*record, found->second);
        }
        ASSERT_EQ(table.FindShared(key).get(), record);
        break;
      }
      default: {
        const auto after = table.After(key);
        const auto expected = model.upper_bound(key);
        ASSERT_EQ(after == table.end(), expected == model.end());
        if (expected != model.end()) {
          ASSERT_EQ(after->key, expected->first);
        }
        break;
      }
    }
    ASSERT_EQ(table.size(), model.size());
    if (i % 4000 == 0) copies.emplace_back(table, model);
  }
  ExpectSame(table, model);
  for (const auto& [copy, kept] : copies) ExpectSame(copy, kept);
}

TEST_P(TableTest, EmptiesAgain) {
  std::mt19937_64 random(static_cast<uint64_t>(GetParam()));
  Table<int> table;
  Model model;
  for (int i = 0; i < 3000; ++i) {
    const std::string key = std::to_string(random());
    table.Put(key, std::make_shared<const int>(i));
    model[key] = i;
  }
  const Table<int> full = table;
  while (!model.empty()) {
    auto at = model.lower_bound(std::to_string(random()));
    if (at == model.end()) at = model.begin();
    ASSERT_TRUE(table.Erase(at->first));
    model.erase(at);
    if (model.size() % 500 == 0) ExpectSame(table, model);
  }
  EXPECT_TRUE(table.begin() == table.end());
  EXPECT_EQ(full.size(), 3000u);
  table.Put("again", std::make_shared<const int>(1));
  EXPECT_EQ(*table.Find("again"), 1);
}

INSTANTIATE_TEST_SUITE_P(Seeds, TableTest, testing::Range(1, 9));

TEST(TablePagingTest, PagesMeetWithoutGapsOrRepeats) {
  Table<int> table;
  for (int i = 0; i < 1000; ++i) {
    table.Put(std::to_string(10'000 + 3 * i), std::make_shared<const int>(i));
  }
  int seen = 0;
  std::string after;
  while (true) {
    int in_page = 0;
    for (auto at = table.After(after); at != table.end() && in_page < 37; ++at, ++in_page) {
      EXPECT_EQ(*at->record, seen++);
      after = at->key;
    }
    if (in_page == 0) break;
  }
  EXPECT_EQ(seen, 1000);
}

TEST(TablePagingTest, AfterAKeyThatIsNotThereGoesOnBehindIt) {
  Table<int> table;
  table.Put("b", std::make_shared<const int>(1));
  table.Put("d", std::make_shared<const int>(2));
  EXPECT_EQ(table.After("")->key, "b");
  EXPECT_EQ(table.After("c")->key, "d");
  EXPECT_TRUE(table.After("d") == table.end());
  EXPECT_TRUE(Table<int>().After("") == Table<int>().end() || Table<int>().empty());
}

TEST(TablePagingTest, ARecordOutlivesItsTable) {
  std::shared_ptr<const int> kept;
  {
    Table<int> table;
    table.Put("a", std::make_shared<const int>(7));
    kept = table.FindShared("a");
    table.Put("a", std::make_shared<const int>(8));
  }
  EXPECT_EQ(*kept, 7);
}

}  // namespace
}  // namespace werkplek
