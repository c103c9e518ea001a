#include "common/config/rate_section.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace werkplek {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(RateSectionTest, WhatIsSaidIsReadAndTheRestStays) {
  RateLimitSettings rate = {.per_second = 10, .burst = 600};
  const auto file = ConfigFile::Parse("f.yaml", "rate: {per_second: 3}\n");
  ReadRate(file->Root().Section("rate"), rate);
  EXPECT_TRUE(file->Finish().ok());
  EXPECT_EQ(rate.per_second, 3);
  EXPECT_EQ(rate.burst, 600);
}

TEST(RateSectionTest, WhatIsOutOfBoundsIsNamedAndTheRestStays) {
  RateLimitSettings rate = {.per_second = 10, .burst = 600};
  const auto file =
      ConfigFile::Parse("f.yaml", "rate:\n  per_second: 0\n  burst: 100001\n  often: 1\n");
  ReadRate(file->Root().Section("rate"), rate);
  EXPECT_THAT(std::string(file->Finish().message()),
              AllOf(HasSubstr("f.yaml:2: rate.per_second: 0: must be 1 to 10000"),
                    HasSubstr("f.yaml:3: rate.burst: 100001: must be 1 to 100000"),
                    HasSubstr("f.yaml:4: rate.often")));
  EXPECT_EQ(rate.per_second, 10);
  EXPECT_EQ(rate.burst, 600);
}

}  // namespace
}  // namespace werkplek
