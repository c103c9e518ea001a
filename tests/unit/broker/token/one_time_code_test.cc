#include "broker/token/one_time_code.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

// RFC 6238 appendix B: the seed is the ASCII digits, repeated to the hash's length.
std::string RfcSeed(size_t length) {
  std::string seed;
  while (seed.size() < length) seed += "1234567890";
  return seed.substr(0, length);
}

constexpr std::array<int64_t, 6> kRfcTimes = {59,         1111111109, 1111111111,
                                              1234567890, 2000000000, 20000000000};

TEST(OneTimeCodeTest, Rfc6238Sha1) {
  const std::vector<std::string> expected = {"94287082", "07081804", "14050471",
                                             "89005924", "69279037", "65353130"};
  for (size_t i = 0; i < kRfcTimes.size(); ++i) {
    EXPECT_EQ(TotpCode(RfcSeed(20), kRfcTimes[i] / kStepSeconds, 8, CodeHash::kSha1), expected[i]);
  }
}

TEST(OneTimeCodeTest, Rfc6238Sha256) {
  const std::vector<std::string> expected = {"46119246", "68084774", "67062674",
                                             "91819424", "90698825", "77737706"};
  for (size_t i = 0; i < kRfcTimes.size(); ++i) {
    EXPECT_EQ(TotpCode(RfcSeed(32), kRfcTimes[i] / kStepSeconds, 8, CodeHash::kSha256),
              expected[i]);
  }
}

TEST(OneTimeCodeTest, Rfc6238Sha512) {
  const std::vector<std::string> expected = {"90693936", "25091201", "99943326",
                                             "93441116", "38618901", "47863826"};
  for (size_t i = 0; i < kRfcTimes.size(); ++i) {
    EXPECT_EQ(TotpCode(RfcSeed(64), kRfcTimes[i] / kStepSeconds, 8, CodeHash::kSha512),
              expected[i]);
  }
}

TEST(OneTimeCodeTest, Rfc4226Counters) {
  const std::vector<std::string> expected = {"755224", "287082", "359152", "969429", "338314",
                                             "254676", "287922", "162583", "399871", "520489"};
  for (size_t counter = 0; counter < expected.size(); ++counter) {
    EXPECT_EQ(HotpCode(RfcSeed(20), counter, 6), expected[counter]);
    // Both ways of the library agree: TOTP is HOTP with the step as its counter.
    EXPECT_EQ(TotpCode(RfcSeed(20), static_cast<int64_t>(counter), 6, CodeHash::kSha1),
              expected[counter]);
  }
}

TEST(OneTimeCodeTest, TenThousandCodesAgreeWithOathtool) {
  std::mt19937_64 random(20240229);
  int compared = 0;
  for (int batch = 0; batch < 20; ++batch) {
    std::string seed(20, '\0');
    for (char& byte : seed) byte = static_cast<char>(random());
    const int64_t first = static_cast<int64_t>(random() % 100'000'000);
    // -w 499: the code of the time and of the 499 steps after it, one per line.
    const absl::StatusOr<std::string> output =
        RunProgram({"oathtool", "--totp", "-w", "499",
                    absl::StrCat("--now=@", first * kStepSeconds), absl::BytesToHexString(seed)});
    ASSERT_TRUE(output.ok()) << output.status();
    const std::vector<std::string> codes = absl::StrSplit(*output, '\n', absl::SkipEmpty());
    ASSERT_EQ(codes.size(), 500u);
    for (size_t i = 0; i < codes.size(); ++i, ++compared) {
      ASSERT_EQ(TotpCode(seed, first + static_cast<int64_t>(i), 6, CodeHash::kSha1), codes[i])
          << "step " << first + static_cast<int64_t>(i);
    }
  }
  EXPECT_EQ(compared, 10'000);
}

TEST(OneTimeCodeTest, BadArgumentsGiveNoCode) {
  EXPECT_EQ(TotpCode(RfcSeed(20), -1, 6, CodeHash::kSha1), "");
  EXPECT_EQ(TotpCode(RfcSeed(20), 1, 5, CodeHash::kSha1), "");
  EXPECT_EQ(TotpCode(RfcSeed(20), 1, 9, CodeHash::kSha1), "");
  EXPECT_EQ(HotpCode(RfcSeed(20), 1, 0), "");
}

TEST(OneTimeCodeTest, Base32IsRfc4648WithoutPadding) {
  EXPECT_EQ(Base32Encode(""), "");
  EXPECT_EQ(Base32Encode("f"), "MY");
  EXPECT_EQ(Base32Encode("fo"), "MZXQ");
  EXPECT_EQ(Base32Encode("foo"), "MZXW6");
  EXPECT_EQ(Base32Encode("foob"), "MZXW6YQ");
  EXPECT_EQ(Base32Encode("fooba"), "MZXW6YTB");
  EXPECT_EQ(Base32Encode("foobar"), "MZXW6YTBOI");
  EXPECT_EQ(Base32Encode(RfcSeed(20)), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
}

}  // namespace
}  // namespace werkplek
