#include "broker/directory/bind_verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

BindReply Reply(int code, std::string diagnostic = "") {
  BindReply reply;
  reply.code = code;
  reply.diagnostic = std::move(diagnostic);
  return reply;
}

TEST(BindVerdictTest, OnlySuccessLetsIn) {
  const std::set<int> denied = {19, 32, 48, 49, 53};
  for (int code = -20; code <= 130; ++code) {
    const DirectoryOutcome outcome = JudgeBind(Reply(code)).outcome;
    if (code == 0) {
      EXPECT_EQ(outcome, DirectoryOutcome::kOk);
    } else if (denied.contains(code)) {
      EXPECT_EQ(outcome, DirectoryOutcome::kDenied) << code;
    } else {
      EXPECT_EQ(outcome, DirectoryOutcome::kUnavailable) << code;
    }
  }
}

TEST(BindVerdictTest, ReasonsGoToTheLogOnly) {
  BindReply locked = Reply(49);
  locked.policy_error = 1;
  BindReply expired = Reply(49);
  expired.policy_error = 0;
  expired.grace_sign_ins = 0;
  EXPECT_EQ(JudgeBind(Reply(49)).detail, "wrong password");
  EXPECT_EQ(JudgeBind(locked).detail, "account locked");
  EXPECT_EQ(JudgeBind(expired).detail, "password expired");
  for (const BindReply& reply : {Reply(49), locked, expired}) {
    EXPECT_EQ(JudgeBind(reply).outcome, DirectoryOutcome::kDenied);
    EXPECT_THAT(JudgeBind(reply).notices, IsEmpty());
  }
}

TEST(BindVerdictTest, ActiveDirectoryReasons) {
  const auto detail = [](const std::string& data) {
    return JudgeBind(Reply(49,
                           "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext "
                           "error, " +
                               data + ", v4563"))
        .detail;
  };
  EXPECT_EQ(detail("data 52e"), "wrong password");
  EXPECT_EQ(detail("data 525"), "unknown user");
  EXPECT_EQ(detail("data 532"), "password expired");
  EXPECT_EQ(detail("data 533"), "account disabled");
  EXPECT_EQ(detail("data 773"), "password must be changed");
  EXPECT_EQ(detail("data 775"), "account locked");
  EXPECT_EQ(detail("data 999"), "wrong password");
}

TEST(BindVerdictTest, NoticesForThePersonWhoProvedThePassword) {
  const auto notices = [](int expiry, int grace, int error) {
    BindReply reply = Reply(0);
    reply.seconds_until_expiry = expiry;
    reply.grace_sign_ins = grace;
    reply.policy_error = error;
    return JudgeBind(reply).notices;
  };
  EXPECT_THAT(notices(-1, -1, -1), IsEmpty());
  EXPECT_THAT(notices(3 * 86'400 + 5, -1, -1), ElementsAre("Your password expires in 3 days."));
  EXPECT_THAT(notices(7'300, -1, -1), ElementsAre("Your password expires in 2 hours."));
  EXPECT_THAT(notices(59, -1, -1), ElementsAre("Your password expires in 1 minutes."));
  EXPECT_THAT(notices(-1, 2, -1),
              ElementsAre("Your password has expired: change it now. Sign-ins left: 2."));
  EXPECT_THAT(notices(-1, -1, 2),
              ElementsAre("Your password was set by someone else: change it now."));
}

}  // namespace
}  // namespace werkplek
