#include "broker/token/seal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace werkplek {
namespace {

class SealTest : public testing::Test {
 protected:
  std::string SealFor(absl::string_view user, absl::string_view seed_id) const {
    return Seal(key_, std::string(kSealNonceBytes, 'n'), user, seed_id, seed_);
  }

  const Secret key_{std::string(kSealKeyBytes, 'k')};
  const std::string seed_ = "20 bytes of a seed..";
};

TEST_F(SealTest, OpensForWhomItWasSealed) {
  const std::string sealed = SealFor("jan", "s1");
  EXPECT_EQ(sealed.find(seed_), std::string::npos);
  const absl::StatusOr<Secret> opened = OpenSeal(key_, sealed, "jan", "s1");
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->Reveal(), seed_);
}

TEST_F(SealTest, DoesNotOpenForAnotherUserOrSeedId) {
  const std::string sealed = SealFor("jan", "s1");
  EXPECT_EQ(OpenSeal(key_, sealed, "piet", "s1").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(OpenSeal(key_, sealed, "jan", "s2").status().code(), absl::StatusCode::kDataLoss);
  // Moving the border between user and seed id makes another text.
  EXPECT_FALSE(OpenSeal(key_, SealFor("ab", "c"), "a", "bc").ok());
  EXPECT_FALSE(OpenSeal(key_, SealFor("a", "1:b"), "a1:", "b").ok());
}

TEST_F(SealTest, DoesNotOpenWithAnotherKey) {
  const Secret other{std::string(kSealKeyBytes, 'x')};
  EXPECT_EQ(OpenSeal(other, SealFor("jan", "s1"), "jan", "s1").status().code(),
            absl::StatusCode::kDataLoss);
}

TEST_F(SealTest, EveryBitAndEveryByteCounts) {
  const std::string sealed = SealFor("jan", "s1");
  for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    std::string changed = sealed;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(OpenSeal(key_, changed, "jan", "s1").ok()) << "bit " << bit;
  }
  for (size_t length = 0; length < sealed.size(); ++length) {
    EXPECT_FALSE(OpenSeal(key_, sealed.substr(0, length), "jan", "s1").ok()) << length;
  }
  EXPECT_FALSE(OpenSeal(key_, sealed + "x", "jan", "s1").ok());
}

TEST_F(SealTest, TheErrorHoldsNoSecret) {
  const absl::Status status = OpenSeal(key_, SealFor("jan", "s1"), "piet", "s1").status();
  EXPECT_EQ(std::string(status.message()).find(seed_), std::string::npos);
  EXPECT_EQ(std::string(status.message()).find(key_.Reveal()), std::string::npos);
}

}  // namespace
}  // namespace werkplek
