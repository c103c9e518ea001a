#include "broker/core/person_checks.h"

#include <string>
#include <utility>
#include <vector>

#include "tests/unit/broker/core/municipality.h"

namespace werkplek {
namespace {

class PersonChecksTest : public Municipality {
 protected:
  // The directory says this of jan now.
  void Check(std::vector<std::string> groups, std::vector<v1::Role> roles) {
    PersonChecked event;
    event.user = "jan";
    event.person = driver_.GoodSignIn("jan").person;
    event.person.groups = std::move(groups);
    event.roles = std::move(roles);
    driver_.Apply(event);
  }
  void Gone() {
    PersonChecked event;
    event.user = "jan";
    event.gone = true;
    event.why = "account disabled";
    driver_.Apply(event);
  }
  const v1::SignIn* Find(const std::string& token) {
    const std::string* id = driver_.fleet().sign_in_by_token.Find(token);
    return id == nullptr ? nullptr : driver_.fleet().sign_ins.Find(*id);
  }
  size_t Audited(const std::string& action) {
    size_t count = 0;
    for (const v1::AuditRecord& record : driver_.audit()) count += record.action() == action;
    return count;
  }

  const std::vector<v1::Role> employee_ = {v1::ROLE_EMPLOYEE};
};

TEST_F(PersonChecksTest, WhoLeftTheGroupGetsNoDesktop) {
  Open(2, 2, 2);
  const std::string token = driver_.SignIn("jan");
  Check({"cn=visitors,ou=groups,dc=example"}, employee_);
  EXPECT_TRUE(driver_.Last(driver_.Connect(token, "kantoor")).has_refused());
  EXPECT_EQ(driver_.SessionOf("jan"), nullptr);
  Check({"cn=staff,ou=groups,dc=example"}, employee_);
  driver_.Connect(token, "kantoor");
  EXPECT_NE(driver_.SessionOf("jan"), nullptr);
  EXPECT_EQ(Audited("person-changed"), 2u);
}

TEST_F(PersonChecksTest, WhoWaitsAndLeavesTheGroupIsRefusedAtTheirTurn) {
  Open(1, 1, 1);
  const std::string other = driver_.SignIn("piet");
  driver_.Connect(other, "kantoor");
  const std::string token = driver_.SignIn("jan");
  const CallId call = driver_.Connect(token, "kantoor");
  ASSERT_TRUE(driver_.Last(call).has_queued());
  Check({}, employee_);
  v1::EndSessionRequest end;
  end.set_session(driver_.SessionOf("piet")->id());
  ASSERT_TRUE(driver_.Call(other, end).ok());
  driver_.Advance(absl::Seconds(30));
  EXPECT_TRUE(driver_.Last(call).has_refused());
  EXPECT_EQ(driver_.SessionOf("jan"), nullptr);
}

TEST_F(PersonChecksTest, RolesChangeInEverySignIn) {
  Open(1, 1, 0);
  const std::string first = driver_.SignIn("jan", {v1::ROLE_EMPLOYEE, v1::ROLE_ADMINISTRATOR});
  driver_.Advance(absl::Minutes(1));
  const std::string second = driver_.SignIn("jan", {v1::ROLE_EMPLOYEE, v1::ROLE_ADMINISTRATOR});
  Check({"cn=staff,ou=groups,dc=example"}, employee_);
  for (const std::string& token : {first, second}) {
    EXPECT_EQ(Find(token)->roles_size(), 1) << token;
    EXPECT_EQ(Find(token)->roles(0), v1::ROLE_EMPLOYEE);
  }
  EXPECT_EQ(Audited("person-changed"), 1u);
  EXPECT_TRUE(driver_.Logged("person-changed", "roles_before", "ROLE_EMPLOYEE,ROLE_ADMINISTRATOR"));
}

TEST_F(PersonChecksTest, TheSameAgainWritesNothing) {
  Open(1, 1, 0);
  const std::string token = driver_.SignIn("jan");
  const v1::SignIn before = *Find(token);
  Check({before.groups().begin(), before.groups().end()}, employee_);
  EXPECT_EQ(Audited("person-changed"), 0u);
  EXPECT_EQ(Find(token)->SerializeAsString(), before.SerializeAsString());
}

TEST_F(PersonChecksTest, WhoIsGoneIsSignedOutAndTheScreenClosesButTheWorkStays) {
  Open(2, 2, 2);
  const std::string token = driver_.SignIn("jan");
  driver_.Connect(token, "kantoor");
  driver_.Advance(absl::Seconds(2));
  Look("jan");
  ASSERT_EQ(State("jan"), v1::SESSION_STATE_ACTIVE);
  driver_.Forget();
  Gone();
  EXPECT_EQ(Find(token), nullptr);
  EXPECT_EQ(driver_.Commands(v1::COMMAND_CLOSE_DISPLAY).size(), 1u);
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_DISCONNECTED);
  EXPECT_EQ(Audited("person-gone"), 1u);
  // Found so in each round from now on.
  driver_.Advance(absl::Seconds(5));
  Gone();
  EXPECT_EQ(Audited("person-gone"), 1u);
}

// A screen stays open when its sign-in ends by itself.
TEST_F(PersonChecksTest, AScreenWithoutASignInClosesToo) {
  Open(2, 2, 2);
  const std::string token = driver_.SignIn("jan");
  driver_.Connect(token, "kantoor");
  driver_.Advance(absl::Seconds(2));
  Look("jan");
  ASSERT_TRUE(driver_.Call(token, v1::SignOutRequest()).ok());
  ASSERT_EQ(State("jan"), v1::SESSION_STATE_ACTIVE);
  Gone();
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_DISCONNECTED);
}

}  // namespace
}  // namespace werkplek
