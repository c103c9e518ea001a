#include "broker/rpc/connection_limits.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace werkplek {
namespace {

absl::Duration At(double seconds) { return absl::Seconds(1000) + absl::Seconds(seconds); }

TEST(ConnectionLimits, CountsPerSource) {
  ConnectionLimits limits({.max_unproved = 100, .max_unproved_per_source = 2});
  EXPECT_EQ(limits.Open("10.0.0.1:1", At(0)), Admission::kAdmitted);
  EXPECT_EQ(limits.Open("10.0.0.1:2", At(0)), Admission::kAdmitted);
  EXPECT_EQ(limits.Open("10.0.0.1:3", At(0)), Admission::kTooManyOfSource);
  EXPECT_EQ(limits.Open("10.0.0.2:1", At(0)), Admission::kAdmitted);
  EXPECT_EQ(limits.Open("[::1]:1", At(0)), Admission::kAdmitted);
  EXPECT_EQ(limits.Open("[::1]:2", At(0)), Admission::kAdmitted);
  EXPECT_EQ(limits.Open("[::1]:3", At(0)), Admission::kTooManyOfSource);
}

TEST(ConnectionLimits, CountsAllSourcesTogether) {
  ConnectionLimits limits({.max_unproved = 3, .max_unproved_per_source = 2});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(limits.Open(absl::StrCat("10.0.0.", i, ":1"), At(0)), Admission::kAdmitted);
  }
  EXPECT_EQ(limits.Open("10.0.0.9:1", At(0)), Admission::kTooMany);
  EXPECT_EQ(limits.unproved(At(0)), 3u);
}

TEST(ConnectionLimits, AFirstCallFreesThePlace) {
  ConnectionLimits limits({.max_unproved = 1, .max_unproved_per_source = 1});
  EXPECT_EQ(limits.Open("10.0.0.1:1", At(0)), Admission::kAdmitted);
  limits.Proved("10.0.0.1:1");
  limits.Proved("10.0.0.1:1");
  EXPECT_EQ(limits.Open("10.0.0.1:2", At(0)), Admission::kAdmitted);
  EXPECT_EQ(limits.Open("10.0.0.1:3", At(0)), Admission::kTooMany);
  limits.Proved("10.0.0.7:7");  // never seen: no effect
  EXPECT_EQ(limits.Open("10.0.0.1:3", At(0)), Admission::kTooMany);
}

TEST(ConnectionLimits, SilentConnectionsCountAsLongAsGrpcKeepsThem) {
  ConnectionLimits limits(
      {.max_unproved = 1, .max_unproved_per_source = 1, .counts_for = absl::Seconds(6)});
  EXPECT_EQ(limits.Open("10.0.0.1:1", At(0)), Admission::kAdmitted);
  EXPECT_EQ(limits.Open("10.0.0.1:2", At(5.9)), Admission::kTooMany);
  EXPECT_EQ(limits.Open("10.0.0.1:2", At(6)), Admission::kAdmitted);
}

TEST(ConnectionLimits, AReusedPortIsOneConnection) {
  ConnectionLimits limits(
      {.max_unproved = 2, .max_unproved_per_source = 2, .counts_for = absl::Seconds(6)});
  EXPECT_EQ(limits.Open("10.0.0.1:1", At(0)), Admission::kAdmitted);
  EXPECT_EQ(limits.Open("10.0.0.1:1", At(3)), Admission::kAdmitted);
  EXPECT_EQ(limits.unproved(At(3)), 1u);
  // The older entry of the same port runs out without taking the younger one along.
  EXPECT_EQ(limits.unproved(At(6)), 1u);
  EXPECT_EQ(limits.unproved(At(9)), 0u);
}

TEST(ConnectionLimits, HandshakesWaitForOneAnother) {
  ConnectionLimits limits({.max_handshakes = 2, .handshake_takes = absl::Seconds(1)});
  EXPECT_FALSE(limits.Crowded(At(0)));
  limits.Open("10.0.0.1:1", At(0));
  EXPECT_FALSE(limits.Crowded(At(0)));
  limits.Open("10.0.0.1:2", At(0.5));
  EXPECT_TRUE(limits.Crowded(At(0.9)));
  EXPECT_FALSE(limits.Crowded(At(1))) << "the first was silent for too long";
  limits.Open("10.0.0.1:3", At(1));
  EXPECT_TRUE(limits.Crowded(At(1)));
  limits.Proved("10.0.0.1:3");
  EXPECT_FALSE(limits.Crowded(At(1)));
}

TEST(ConnectionLimits, ANetworkOfIpv6IsOneSource) {
  ConnectionLimits limits({.max_unproved_per_source = 2});
  EXPECT_EQ(limits.Open("[2001:db8::1]:1", At(0)), Admission::kAdmitted);
  EXPECT_EQ(limits.Open("[2001:db8::2]:1", At(0)), Admission::kAdmitted);
  EXPECT_EQ(limits.Open("[2001:db8::3]:1", At(0)), Admission::kTooManyOfSource);
  EXPECT_EQ(limits.Open("[2001:db8:0:1::3]:1", At(0)), Admission::kAdmitted);
  limits.Proved("[2001:db8::1]:1");
  EXPECT_EQ(limits.Open("[2001:db8::3]:1", At(0)), Admission::kAdmitted);
}

}  // namespace
}  // namespace werkplek
