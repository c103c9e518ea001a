#include "agent/image/qemu_img.h"

#include <gtest/gtest.h>

namespace werkplek {
namespace {

TEST(QemuImgTest, AnswersThatAreNoneAreErrors) {
  for (const char* text : {"", "{", "[]", "[1]", "{}", "{\"filename\": 1, \"format\": \"raw\"}"}) {
    EXPECT_FALSE(ParseDiskInfo(text).ok()) << text;
  }
  const auto chain = ParseDiskInfo(
      R"([{"filename": "/o", "format": "qcow2", "full-backing-filename": "/b",
           "format-specific": {"type": "qcow2", "data": {"data-file": "/d"}}},
          {"filename": "/b", "format": "raw"}])");
  ASSERT_TRUE(chain.ok());
  EXPECT_EQ((*chain)[0].backing, "/b");
  EXPECT_EQ((*chain)[0].data_file, "/d");
  EXPECT_EQ((*chain)[1].path, "/b");
}

}  // namespace
}  // namespace werkplek
