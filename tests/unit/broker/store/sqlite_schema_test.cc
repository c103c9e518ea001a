#include "broker/store/sqlite_schema.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

constexpr SqliteMigration kFirst{1, "CREATE TABLE a (x INTEGER);\n INSERT INTO a VALUES (1);"};
constexpr SqliteMigration kSecond{2, "ALTER TABLE a ADD COLUMN y INTEGER; UPDATE a SET y = x + 1;"};
constexpr SqliteMigration kBroken{3, "UPDATE a SET x = 100; UPDATE nothing SET z = 1;"};

class SqliteSchemaTest : public ::testing::Test {
 protected:
  std::string Path() const { return folder_.path() + "/file.db"; }
  TemporaryFolder folder_;
};

TEST_F(SqliteSchemaTest, NumbersGrowByOneFromOne) {
  uint32_t expected = 1;
  for (const SqliteMigration& migration : SqliteMigrations()) {
    EXPECT_EQ(migration.number, expected++);
  }
  EXPECT_GT(expected, 1u);
}

TEST_F(SqliteSchemaTest, AnOlderFileGetsTheStepsItLacks) {
  ASSERT_TRUE(CreateSqliteFile(Path(), {kFirst}).ok());
  auto database = SqliteDatabase::Open(Path());
  ASSERT_TRUE(database.ok());
  ASSERT_TRUE(CheckSqliteContent(*database, Path(), 2).ok());
  ASSERT_TRUE(MigrateSqlite(*database, {kFirst, kSecond}).ok());
  EXPECT_EQ(*database->Query("SELECT y FROM a"), "2");
  EXPECT_EQ(*database->Query("PRAGMA user_version"), "2");
  ASSERT_TRUE(MigrateSqlite(*database, {kFirst, kSecond}).ok()) << "a second time changes nothing";
  EXPECT_EQ(*database->Query("SELECT count(*) FROM a"), "1");
}

TEST_F(SqliteSchemaTest, AStepThatFailsLeavesTheVersionBefore) {
  ASSERT_TRUE(CreateSqliteFile(Path(), {kFirst, kSecond}).ok());
  auto database = SqliteDatabase::Open(Path());
  ASSERT_TRUE(database.ok());
  EXPECT_FALSE(MigrateSqlite(*database, {kFirst, kSecond, kBroken}).ok());
  EXPECT_EQ(*database->Query("PRAGMA user_version"), "2");
  EXPECT_EQ(*database->Query("SELECT x FROM a"), "1");
  EXPECT_FALSE(database->InTransaction());
}

TEST_F(SqliteSchemaTest, ANewFileIsWholeAndOurs) {
  ASSERT_TRUE(CreateSqliteFile(Path(), SqliteMigrations()).ok());
  EXPECT_TRUE(CheckSqliteHeader(Path(), SqliteMigrations().back().number).ok());
  EXPECT_EQ(CheckSqliteHeader(Path(), 0).code(), absl::StatusCode::kFailedPrecondition);
  auto database = SqliteDatabase::Open(Path());
  ASSERT_TRUE(database.ok());
  EXPECT_EQ(*database->Query("PRAGMA journal_mode"), "wal");
}

TEST_F(SqliteSchemaTest, AFileThatIsLockedIsNotCalledDamaged) {
  ASSERT_TRUE(CreateSqliteFile(Path(), {kFirst}).ok());
  auto other = SqliteDatabase::Open(Path());
  ASSERT_TRUE(other.ok());
  ASSERT_TRUE(other->Run("PRAGMA locking_mode = EXCLUSIVE").ok());
  ASSERT_TRUE(other->Run("UPDATE a SET x = 2").ok());
  auto database = SqliteDatabase::Open(Path());
  ASSERT_TRUE(database.ok());
  ASSERT_TRUE(database->Run("PRAGMA busy_timeout = 0").ok());
  const absl::Status locked = CheckSqliteContent(*database, Path(), 1);
  EXPECT_EQ(locked.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(locked.ToString(), testing::AllOf(testing::HasSubstr(Path()),
                                                testing::Not(testing::HasSubstr("damaged"))));
}

TEST_F(SqliteSchemaTest, WhatACrashLeftOfAnEarlierCreationIsReplaced) {
  ASSERT_TRUE(CreateSqliteFile(Path() + ".new", {kFirst}).ok());
  ASSERT_TRUE(CreateSqliteFile(Path(), {kFirst, kSecond}).ok());
  auto database = SqliteDatabase::Open(Path());
  ASSERT_TRUE(database.ok());
  EXPECT_EQ(*database->Query("PRAGMA user_version"), "2");
}

}  // namespace
}  // namespace werkplek
