#include "common/base/folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>

#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

mode_t ModeOf(const std::string& path) {
  struct stat about {};
  return stat(path.c_str(), &about) == 0 ? about.st_mode & 07777 : 0;
}

// As in a program of ours, which makes files for itself alone.
class MakeFolderTest : public testing::Test {
 protected:
  MakeFolderTest() : umask_before_(umask(077)) {}
  ~MakeFolderTest() override { umask(umask_before_); }

  TemporaryFolder folder_;

 private:
  const mode_t umask_before_;
};

TEST_F(MakeFolderTest, MissingParentsLetOthersThroughAndTheFolderHasItsMode) {
  ASSERT_TRUE(MakeFolder(folder_.File("a/b/c"), 0700).ok());
  EXPECT_EQ(ModeOf(folder_.File("a")), 0755u);
  EXPECT_EQ(ModeOf(folder_.File("a/b")), 0755u);
  EXPECT_EQ(ModeOf(folder_.File("a/b/c")), 0700u);
}

TEST_F(MakeFolderTest, WhatIsThereStaysAsItIs) {
  ASSERT_TRUE(MakeFolder(folder_.File("a"), 0710).ok());
  ASSERT_TRUE(MakeFolder(folder_.File("a/b/"), 0700).ok());
  ASSERT_TRUE(MakeFolder(folder_.File("a"), 0755).ok());
  EXPECT_EQ(ModeOf(folder_.File("a")), 0710u);
  EXPECT_EQ(ModeOf(folder_.File("a/b")), 0700u);
}

TEST_F(MakeFolderTest, AFileInTheWayIsTold) {
  std::ofstream(folder_.File("file")) << "x";
  EXPECT_THAT(std::string(MakeFolder(folder_.File("file/b"), 0700).message()),
              HasSubstr("/file: cannot make this folder: Not a directory"));
  EXPECT_FALSE(MakeFolder(folder_.File("file"), 0700).ok());
}

TEST_F(MakeFolderTest, AFolderThatCannotBeMadeDurableIsNamed) {
  EXPECT_TRUE(SyncFolderOf(folder_.File("file")).ok());
  EXPECT_THAT(std::string(SyncFolderOf(folder_.File("no/file")).message()),
              HasSubstr("cannot open " + folder_.File("no")));
}

}  // namespace
}  // namespace werkplek
