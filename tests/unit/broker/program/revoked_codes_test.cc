#include "broker/program/revoked_codes.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace werkplek {
namespace {

const PeerName kHost{v1::IDENTITY_HOST, "hv-a1"};
const PeerName kOther{v1::IDENTITY_HOST, "hv-a2"};

class RevokedCodesTest : public testing::Test {
 protected:
  RevokedCodesTest() { Reload(7); }

  void Revoke(const PeerName& peer, int64_t revoked_ms) {
    auto revocation = std::make_shared<v1::Revocation>();
    revocation->set_peer(PeerLabel(peer));
    revocation->set_revoked_unix_ms(revoked_ms);
    revocation->set_issued_before_unix_ms(60'000);
    fleet_.revocations.Put(PeerLabel(peer), std::move(revocation));
  }
  void Commit(uint64_t epoch, ChangeSet changes) {
    revoked_.After({std::make_shared<Fleet>(fleet_),
                    std::make_shared<const ChangeSet>(std::move(changes)), false},
                   epoch);
  }
  void Reload(uint64_t epoch) {
    revoked_.After({std::make_shared<Fleet>(fleet_), std::make_shared<const ChangeSet>(), true},
                   epoch);
  }
  std::string CodeFor(const PeerName& peer) { return *codes_.Add(peer, absl::StrCat(++requests_)); }
  bool Lives(const std::string& code) { return codes_.Redeem(code, "key", "192.0.2.1").ok(); }

  JoinCodes codes_{JoinCodeLimits(), [] { return absl::Hours(1); }};
  Fleet fleet_;
  RevokedCodes revoked_{&codes_};
  int requests_ = 0;
};

TEST_F(RevokedCodesTest, ARevocationKillsItsMachinesCodes) {
  const std::string code = CodeFor(kHost);
  const std::string other = CodeFor(kOther);
  Revoke(kHost, 1);
  v1::Change change;
  change.set_table(std::string(kRevocationTable));
  change.set_key(PeerLabel(kHost));
  Commit(7, {change});
  EXPECT_FALSE(Lives(code));
  EXPECT_TRUE(Lives(other));
}

TEST_F(RevokedCodesTest, AReloadOfTheSameLeadKillsWhatWasRevokedSinceOnly) {
  Revoke(kHost, 1);
  Revoke(kOther, 1);
  Commit(7, {});
  const std::string code = CodeFor(kHost);
  const std::string other = CodeFor(kOther);
  Reload(7);
  EXPECT_TRUE(Lives(code));
  // Revoked once more, in the same second.
  Revoke(kHost, 2);
  Reload(7);
  EXPECT_FALSE(Lives(code));
  EXPECT_TRUE(Lives(other));
  // And for the first time.
  const PeerName fresh{v1::IDENTITY_CLIENT, "tc-017"};
  const std::string third = CodeFor(fresh);
  Revoke(fresh, 3);
  Reload(7);
  EXPECT_FALSE(Lives(third));
  EXPECT_TRUE(Lives(other));
}

TEST_F(RevokedCodesTest, ANewLeadKillsAll) {
  std::string code = CodeFor(kHost);
  Reload(8);
  EXPECT_FALSE(Lives(code));
  // A lead that was lost while it loaded.
  code = CodeFor(kHost);
  Reload(0);
  EXPECT_FALSE(Lives(code));
  code = CodeFor(kHost);
  Reload(0);
  EXPECT_FALSE(Lives(code));
}

}  // namespace
}  // namespace werkplek
