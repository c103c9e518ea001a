#include "broker/core/revocations.h"

#include <gtest/gtest.h>

#include <string>

#include "broker/core/access.h"
#include "broker/core/views.h"
#include "tests/unit/broker/core/driver.h"

namespace werkplek {
namespace {

class RevocationsTest : public testing::Test {
 protected:
  absl::Status Revoke(const std::string& peer, const std::string& reason = "stolen") {
    v1::RevokeCertificatesRequest request;
    request.set_peer(peer);
    request.set_reason(reason);
    return driver_.Call(driver_.Admin(), request).status();
  }
  absl::Time RevokedBefore(const std::string& peer) {
    return absl::FromUnixMillis(driver_.fleet().revocations.Find(peer)->issued_before_unix_ms());
  }
  Caller Machine(const std::string& peer, absl::Time issued) {
    Caller caller;
    caller.identity = v1::IDENTITY_HOST;
    caller.peer = peer;
    caller.certificate_issued_unix_ms = absl::ToUnixMillis(issued);
    return caller;
  }
  absl::Status Attach(const Caller& caller) {
    return Authorize(driver_.fleet(), *AccessFor(v1::AgentReport::descriptor()), caller, {},
                     driver_.now);
  }

  Driver driver_;
};

TEST_F(RevocationsTest, OldCertificatesAreRefusedAndNewOnesAreNot) {
  const absl::Time before = driver_.now - absl::Hours(1);
  EXPECT_TRUE(Attach(Machine("host/hv-a1", before)).ok());
  ASSERT_TRUE(Revoke("host/hv-a1").ok());
  EXPECT_TRUE(absl::IsPermissionDenied(Attach(Machine("host/hv-a1", before))));
  // Also what is issued while the revocation is being committed.
  EXPECT_TRUE(absl::IsPermissionDenied(Attach(Machine("host/hv-a1", driver_.now))));
  // Of which nothing is known counts as old.
  EXPECT_TRUE(absl::IsPermissionDenied(Attach(Machine("host/hv-a1", absl::UnixEpoch()))));
  EXPECT_EQ(RevokedBefore("host/hv-a1"), driver_.now + kRevocationReach + absl::Seconds(1));
  EXPECT_TRUE(Attach(Machine("host/hv-a1", RevokedBefore("host/hv-a1"))).ok());
  EXPECT_TRUE(Attach(Machine("host/hv-a2", before)).ok());
  EXPECT_TRUE(Attach(Machine("host/hv-a10", before)).ok());
}

// Certificates tell their times in whole seconds, and one that is issued exactly then must count.
TEST_F(RevocationsTest, ReachesToAWholeSecond) {
  driver_.now += absl::Milliseconds(300);
  ASSERT_TRUE(Revoke("host/hv-a1").ok());
  EXPECT_EQ(RevokedBefore("host/hv-a1"), driver_.now + kRevocationReach + absl::Milliseconds(700));
}

TEST_F(RevocationsTest, EndsTheSignInsOfThatMachineOnly) {
  driver_.Enrol("jan");
  SignInChecked there = driver_.GoodSignIn("jan");
  there.caller.peer = "client/stolen";
  driver_.Apply(there);
  const std::string here = driver_.SignIn("piet");
  ASSERT_NE(driver_.fleet().sign_in_by_token.Find(there.token_sha256), nullptr);
  ASSERT_TRUE(Revoke("client/stolen").ok());
  EXPECT_EQ(driver_.fleet().sign_in_by_token.Find(there.token_sha256), nullptr);
  EXPECT_NE(driver_.fleet().sign_in_by_token.Find(here), nullptr);
  // Nobody signs in there with the old certificate.
  SignInChecked again = driver_.GoodSignIn("jan");
  again.caller.peer = "client/stolen";
  driver_.Apply(again);
  EXPECT_EQ(driver_.fleet().sign_in_by_token.Find(again.token_sha256), nullptr);
}

TEST_F(RevocationsTest, IsAuditedAndOutlivesTheBroker) {
  ASSERT_TRUE(Revoke("client/tc-1", "left in the train").ok());
  const v1::AuditRecord record = driver_.audit().back();
  EXPECT_EQ(record.action(), "revoke-certificates");
  EXPECT_EQ(record.object(), "client/tc-1");
  EXPECT_EQ(record.actor(), "admin:beheer");
  driver_.Restart();
  const v1::Revocation* kept = driver_.fleet().revocations.Find("client/tc-1");
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(kept->reason(), "left in the train");
  EXPECT_EQ(kept->by(), "admin:beheer");
  EXPECT_EQ(kept->revoked_unix_ms(), absl::ToUnixMillis(driver_.now));
}

TEST_F(RevocationsTest, ASecondOneReachesFurtherAndNeverLessFar) {
  ASSERT_TRUE(Revoke("client/tc-1").ok());
  const absl::Time first = RevokedBefore("client/tc-1");
  driver_.Advance(absl::Minutes(5));
  ASSERT_TRUE(Revoke("client/tc-1").ok());
  EXPECT_EQ(RevokedBefore("client/tc-1"), first + absl::Minutes(5));
  driver_.now -= absl::Hours(1);
  ASSERT_TRUE(Revoke("client/tc-1").ok());
  EXPECT_EQ(RevokedBefore("client/tc-1"), first + absl::Minutes(5));
}

TEST_F(RevocationsTest, WhatIsMalformedIsRefused) {
  for (const char* peer : {"", "hv-a1", "host/", "host/HV", "host/a/b", "printer/p1", "host/hv-a1 ",
                           "werkplek://host/hv-a1"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Revoke(peer))) << peer;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(Revoke("host/hv-a1", "")));
  EXPECT_TRUE(absl::IsInvalidArgument(Revoke("host/hv-a1", "two\nlines")));
  EXPECT_TRUE(absl::IsInvalidArgument(Revoke("host/hv-a1", std::string(257, 'x'))));
  EXPECT_TRUE(driver_.fleet().revocations.empty());
}

TEST_F(RevocationsTest, AreListedByPages) {
  constexpr int kMachines = 400;
  for (int i = 0; i < kMachines; ++i) {
    ASSERT_TRUE(Revoke("client/tc-" + std::to_string(1000 + i), std::string(200, 'r')).ok());
  }
  v1::ListRevocationsRequest request;
  int listed = 0;
  int pages = 0;
  for (bool more = true; more; ++pages) {
    const auto page = View({.fleet = driver_.fleet(), .settings = {}, .now = driver_.now}, request);
    ASSERT_TRUE(page.ok());
    EXPECT_LE(page->ByteSizeLong(), 64u << 10);
    for (const v1::RevocationView& view : page->revocations()) {
      EXPECT_EQ(view.peer(), "client/tc-" + std::to_string(1000 + listed++));
      EXPECT_EQ(view.by(), "admin:beheer");
    }
    request.set_after(page->revocations().rbegin()->peer());
    more = page->more();
  }
  EXPECT_EQ(listed, kMachines);
  EXPECT_GT(pages, 1);
}

// Browsers go from gateway to gateway, so each may know the token of every sign-in through any.
TEST_F(RevocationsTest, OfAGatewayEndsAllSignInsThroughGateways) {
  driver_.Enrol("jan");
  const auto sign_in = [this](const std::string& gateway) {
    SignInChecked event = driver_.GoodSignIn("jan");
    event.caller = driver_.AtGateway(gateway);
    driver_.Apply(event);
    return event.token_sha256;
  };
  const auto lives = [this](const std::string& token) {
    return driver_.fleet().sign_in_by_token.Find(token) != nullptr;
  };
  const std::string here = sign_in("gw-a");
  const std::string there = sign_in("gw-b");
  const std::string machine = driver_.SignIn("piet");
  ASSERT_TRUE(Revoke("client/tc-1").ok());
  EXPECT_TRUE(lives(here) && lives(there) && lives(machine));
  ASSERT_TRUE(Revoke("gateway/gw-a").ok());
  EXPECT_FALSE(lives(here));
  EXPECT_FALSE(lives(there));
  EXPECT_TRUE(lives(machine));
  EXPECT_TRUE(driver_.Logged("revoke-certificates", "sign_ins_ended", "2"));
  // From then on only through others.
  EXPECT_FALSE(lives(sign_in("gw-a")));
  EXPECT_TRUE(lives(sign_in("gw-b")));
}

}  // namespace
}  // namespace werkplek
