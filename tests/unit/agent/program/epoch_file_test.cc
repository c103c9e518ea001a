#include "agent/program/epoch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace werkplek {
namespace {

class EpochFileTest : public testing::Test {
 protected:
  EpochFileTest() {
    std::string name = testing::TempDir() + "/epoch-XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~EpochFileTest() override { std::filesystem::remove_all(folder_); }

  std::string path() const { return folder_ + "/epoch"; }

  std::string folder_;
};

TEST_F(EpochFileTest, NoFileMeansNoEpochWasSeen) {
  const auto epoch = ReadEpochFile(path());
  ASSERT_TRUE(epoch.ok()) << epoch.status();
  EXPECT_EQ(*epoch, 0u);
}

TEST_F(EpochFileTest, WhatWasWrittenIsRead) {
  ASSERT_TRUE(WriteEpochFile(path(), 7).ok());
  ASSERT_TRUE(WriteEpochFile(path(), 18446744073709551615u).ok());
  const auto epoch = ReadEpochFile(path());
  ASSERT_TRUE(epoch.ok()) << epoch.status();
  EXPECT_EQ(*epoch, 18446744073709551615u);
  EXPECT_FALSE(std::filesystem::exists(path() + ".new"));
}

TEST_F(EpochFileTest, OnlyTheOwnerReadsIt) {
  ASSERT_TRUE(WriteEpochFile(path(), 1).ok());
  struct stat info;
  ASSERT_EQ(stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(EpochFileTest, AFileWithoutANumberIsRefusedByName) {
  for (const std::string text : {"", "x", "-1", "7 8", "99999999999999999999"}) {
    std::ofstream(path()) << text;
    const auto epoch = ReadEpochFile(path());
    EXPECT_EQ(epoch.status().code(), absl::StatusCode::kDataLoss) << text;
    EXPECT_THAT(std::string(epoch.status().message()), testing::HasSubstr(path()));
  }
}

TEST_F(EpochFileTest, AFolderThatIsNotThereIsSaid) {
  EXPECT_FALSE(WriteEpochFile(folder_ + "/none/epoch", 1).ok());
}

}  // namespace
}  // namespace werkplek
