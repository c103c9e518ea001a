#include "broker/token/token_authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/token/one_time_code.h"

namespace werkplek {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// Bytes 0 to 63: the seed is the first 20 of them.
std::string Entropy(char first = 0) {
  std::string entropy(64, '\0');
  for (size_t i = 0; i < entropy.size(); ++i) entropy[i] = static_cast<char>(first + i);
  return entropy;
}

std::string SeedOf(const std::string& entropy) { return entropy.substr(0, 20); }

class TokenAuthorityTest : public testing::Test {
 protected:
  TokenAuthorityTest() : tokens_(Make("Gemeente Voorbeeld")) {}

  static std::unique_ptr<TokenAuthority> Make(const std::string& issuer) {
    auto made = TokenAuthority::Create(Secret(std::string(32, 'k')), issuer);
    if (!made.ok()) ADD_FAILURE() << made.status();
    return *std::move(made);
  }

  v1::TokenEnrolment Enrol(const std::string& user, const std::string& entropy) const {
    SealedSeed seed = tokens_->NewSeed(user, entropy);
    v1::TokenEnrolment enrolment;
    enrolment.set_user(user);
    enrolment.set_seed_id(seed.seed_id);
    enrolment.set_sealed_seed(seed.sealed);
    return enrolment;
  }

  static std::string CodeAt(const std::string& entropy, int64_t step) {
    return TotpCode(SeedOf(entropy), step, 6, CodeHash::kSha1);
  }

  static absl::Time InStep(int64_t step, int64_t second = 0) {
    return absl::FromUnixSeconds(step * kStepSeconds + second);
  }

  const int64_t step_ = 55'000'000;
  std::unique_ptr<TokenAuthority> tokens_;
};

TEST_F(TokenAuthorityTest, CurrentAndPreviousStepMatchAndNoOther) {
  const v1::TokenEnrolment jan = Enrol("jan", Entropy());
  // Steps around this one have different codes (else the expectations below would be wrong).
  std::set<std::string> codes;
  for (int64_t step = step_ - 3; step <= step_ + 3; ++step) codes.insert(CodeAt(Entropy(), step));
  ASSERT_EQ(codes.size(), 7u);
  for (const int64_t second : {0, 15, 29}) {
    const absl::Time now = InStep(step_, second);
    EXPECT_EQ(tokens_->MatchedStep(&jan, CodeAt(Entropy(), step_), now), step_);
    EXPECT_EQ(tokens_->MatchedStep(&jan, CodeAt(Entropy(), step_ - 1), now), step_ - 1);
    for (const int64_t other : {step_ - 3, step_ - 2, step_ + 1, step_ + 2}) {
      EXPECT_EQ(tokens_->MatchedStep(&jan, CodeAt(Entropy(), other), now), -1);
    }
  }
}

TEST_F(TokenAuthorityTest, AReplayIsToldTruthfully) {
  v1::TokenEnrolment jan = Enrol("jan", Entropy());
  const std::string code = CodeAt(Entropy(), step_);
  EXPECT_EQ(tokens_->MatchedStep(&jan, code, InStep(step_)), step_);
  jan.set_last_step(step_);
  EXPECT_EQ(tokens_->MatchedStep(&jan, code, InStep(step_)), step_);
  EXPECT_EQ(tokens_->MatchedStep(&jan, code, InStep(step_ + 1)), step_);
  EXPECT_EQ(tokens_->MatchedStep(&jan, code, InStep(step_ + 2)), -1);
}

TEST_F(TokenAuthorityTest, ACodeOfTwoStepsCountsForTheNewer) {
  // Look for a seed whose neighbouring steps share a code; about one in a million does.
  std::string entropy = Entropy();
  int64_t step = step_;
  std::string last = CodeAt(entropy, step);
  for (int tries = 0; tries < 20'000'000; ++tries) {
    std::string code = CodeAt(entropy, ++step);
    if (code == last) break;
    last = std::move(code);
  }
  ASSERT_EQ(CodeAt(entropy, step), CodeAt(entropy, step - 1));
  const v1::TokenEnrolment jan = Enrol("jan", entropy);
  EXPECT_EQ(tokens_->MatchedStep(&jan, CodeAt(entropy, step), InStep(step)), step);
}

TEST_F(TokenAuthorityTest, GarbageIsNoCode) {
  const v1::TokenEnrolment jan = Enrol("jan", Entropy());
  const std::string code = CodeAt(Entropy(), step_);
  const std::vector<std::string> garbage = {"",
                                            "1",
                                            code.substr(0, 5),
                                            code + "0",
                                            " " + code,
                                            code + "\n",
                                            "12345a",
                                            "-12345",
                                            "+12345",
                                            std::string(6, '\0'),
                                            "١٢٣٤٥٦",
                                            "......",
                                            std::string(65536, '1'),
                                            code + std::string(1, '\0'),
                                            "0x1234",
                                            "1e5   "};
  for (const std::string& text : garbage) {
    EXPECT_EQ(tokens_->MatchedStep(&jan, text, InStep(step_)), -1) << text.substr(0, 20);
  }
}

TEST_F(TokenAuthorityTest, NobodyMatchesNothing) {
  // Every code there is, against the seed of nobody (two of them would match).
  for (int number = 0; number < 1'000'000; ++number) {
    std::string code = std::to_string(number);
    code.insert(0, 6 - code.size(), '0');
    ASSERT_EQ(tokens_->MatchedStep(nullptr, code, InStep(step_)), -1) << code;
  }
}

TEST_F(TokenAuthorityTest, ABrokenSealIsNoKnownSeed) {
  v1::TokenEnrolment jan = Enrol("jan", Entropy());
  jan.mutable_sealed_seed()->back() ^= 1;
  const std::string zeros = TotpCode(std::string(20, '\0'), step_, 6, CodeHash::kSha1);
  EXPECT_EQ(tokens_->MatchedStep(&jan, zeros, InStep(step_)), TokenAuthority::kSealClosed);
  jan.clear_sealed_seed();
  EXPECT_EQ(tokens_->MatchedStep(&jan, zeros, InStep(step_)), -1);
  EXPECT_EQ(tokens_->MatchedStep(&jan, CodeAt(Entropy(), step_), InStep(step_)), -1);
}

TEST_F(TokenAuthorityTest, TimesBeforeAndAtTheEpoch) {
  const v1::TokenEnrolment jan = Enrol("jan", Entropy());
  EXPECT_EQ(tokens_->MatchedStep(&jan, CodeAt(Entropy(), 0), InStep(0)), 0);
  EXPECT_EQ(tokens_->MatchedStep(&jan, CodeAt(Entropy(), 0), InStep(1)), 0);
  EXPECT_EQ(tokens_->MatchedStep(&jan, "", absl::FromUnixSeconds(-1)), -1);
  EXPECT_EQ(tokens_->MatchedStep(&jan, CodeAt(Entropy(), 0), absl::FromUnixSeconds(-1)), -1);
  EXPECT_EQ(tokens_->MatchedStep(&jan, "", absl::InfinitePast()), -1);
}

TEST_F(TokenAuthorityTest, SwappedSeedsDoNotOpen) {
  v1::TokenEnrolment jan = Enrol("jan", Entropy());
  v1::TokenEnrolment piet = Enrol("piet", Entropy(100));
  jan.mutable_sealed_seed()->swap(*piet.mutable_sealed_seed());
  jan.mutable_seed_id()->swap(*piet.mutable_seed_id());
  for (const std::string& entropy : {Entropy(), Entropy(100)}) {
    for (const v1::TokenEnrolment* swapped : {&jan, &piet}) {
      EXPECT_EQ(tokens_->MatchedStep(swapped, CodeAt(entropy, step_), InStep(step_)),
                TokenAuthority::kSealClosed);
    }
  }
  EXPECT_EQ(tokens_->OtpauthUri(jan).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(TokenAuthorityTest, SwappedEnrolmentsOfOneUserDoNotOpen) {
  v1::TokenEnrolment old_one = Enrol("jan", Entropy());
  const v1::TokenEnrolment new_one = Enrol("jan", Entropy(100));
  EXPECT_NE(old_one.seed_id(), new_one.seed_id());
  old_one.set_seed_id(new_one.seed_id());
  EXPECT_EQ(tokens_->MatchedStep(&old_one, CodeAt(Entropy(), step_), InStep(step_)),
            TokenAuthority::kSealClosed);
}

TEST_F(TokenAuthorityTest, TheStoreLearnsNothing) {
  const SealedSeed seed = tokens_->NewSeed("jan", Entropy());
  EXPECT_THAT(seed.sealed, Not(HasSubstr(SeedOf(Entropy()))));
  EXPECT_THAT(seed.seed_id, Not(HasSubstr(HexEncode(SeedOf(Entropy())))));
  EXPECT_EQ(seed.seed_id.size(), 32u);
}

TEST_F(TokenAuthorityTest, OtpauthUriIsWhatAppsRead) {
  const v1::TokenEnrolment jan = Enrol("jan.devries@voorbeeld.nl", Entropy());
  const absl::StatusOr<Secret> uri = tokens_->OtpauthUri(jan);
  ASSERT_TRUE(uri.ok()) << uri.status();
  EXPECT_EQ(uri->Reveal(),
            "otpauth://totp/Gemeente%20Voorbeeld:jan.devries%40voorbeeld.nl"
            "?secret=AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQT&issuer=Gemeente%20Voorbeeld"
            "&algorithm=SHA1&digits=6&period=30");
}

TEST_F(TokenAuthorityTest, OtpauthUriEscapesEverythingUnusual) {
  tokens_ = Make("Súdwest & Fryslân? #1/2=%");
  const absl::StatusOr<Secret> uri = tokens_->OtpauthUri(Enrol("a b+c&d", Entropy()));
  ASSERT_TRUE(uri.ok()) << uri.status();
  EXPECT_THAT(uri->Reveal(),
              StartsWith("otpauth://totp/S%C3%BAdwest%20%26%20Frysl%C3%A2n%3F%20%231%2F2%3D%25:"
                         "a%20b%2Bc%26d?secret="));
}

TEST_F(TokenAuthorityTest, RefusesBadKeysAndIssuers) {
  for (const size_t length : {0, 16, 31, 33, 64}) {
    EXPECT_EQ(TokenAuthority::Create(Secret(std::string(length, 'k')), "x").status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  for (const std::string& issuer : {std::string(), std::string("a:b"), std::string(65, 'a')}) {
    EXPECT_EQ(TokenAuthority::Create(Secret(std::string(32, 'k')), issuer).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace werkplek
