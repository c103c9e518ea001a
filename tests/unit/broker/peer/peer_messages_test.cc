#include "broker/peer/peer_messages.h"

#include <functional>
#include <string>

#include "gtest/gtest.h"

namespace werkplek {
namespace {

Caller GoodCaller() {
  Caller caller;
  caller.identity = v1::IDENTITY_CLIENT;
  caller.peer = "client/tc-017";
  caller.certificate_sha256 = std::string(32, 'c');
  caller.certificate_issued_unix_ms = 1'700'000'000'000;
  caller.address = "192.0.2.7:51234";
  caller.token_sha256 = std::string(32, 't');
  return caller;
}

void ExpectSame(const Caller& a, const Caller& b) {
  EXPECT_EQ(a.identity, b.identity);
  EXPECT_EQ(a.peer, b.peer);
  EXPECT_EQ(a.certificate_sha256, b.certificate_sha256);
  EXPECT_EQ(a.certificate_issued_unix_ms, b.certificate_issued_unix_ms);
  EXPECT_EQ(a.address, b.address);
  EXPECT_EQ(a.token_sha256, b.token_sha256);
}

TEST(PeerMessages, ACallerComesThroughWhole) {
  for (const auto& [identity, peer] :
       {std::pair(v1::IDENTITY_CLIENT, "client/tc-017"), std::pair(v1::IDENTITY_ADMIN, "admin/a1"),
        std::pair(v1::IDENTITY_GATEWAY, "gateway/gw-a")}) {
    Caller caller = GoodCaller();
    caller.identity = identity;
    caller.peer = peer;
    const auto back = FromForwarded(ToForwarded(caller));
    ASSERT_TRUE(back.ok()) << back.status();
    ExpectSame(*back, caller);
  }
  Caller nobody = GoodCaller();
  nobody.token_sha256.clear();
  EXPECT_TRUE(FromForwarded(ToForwarded(nobody)).ok());
}

TEST(PeerMessages, ACallerOfAnotherFormIsRefused) {
  const std::function<void(Caller&)> faults[] = {
      [](Caller& c) { c.identity = v1::IDENTITY_UNSPECIFIED; },
      [](Caller& c) { c.identity = static_cast<v1::Identity>(77); },
      // Another kind of machine than its name says.
      [](Caller& c) { c.identity = v1::IDENTITY_ADMIN; },
      [](Caller& c) {
        c.identity = v1::IDENTITY_HOST;
        c.peer = "host/hv-a1";
      },
      [](Caller& c) {
        c.identity = v1::IDENTITY_BROKER;
        c.peer = "broker/b2";
      },
      [](Caller& c) { c.peer = ""; },
      [](Caller& c) { c.peer = "client/"; },
      [](Caller& c) { c.peer = "client/../admin"; },
      [](Caller& c) { c.certificate_sha256 = "short"; },
      [](Caller& c) { c.certificate_sha256.clear(); },
      [](Caller& c) { c.token_sha256 = "short"; },
      [](Caller& c) { c.address.clear(); },
      [](Caller& c) { c.address = std::string(129, '1'); },
  };
  for (size_t i = 0; i < std::size(faults); ++i) {
    Caller caller = GoodCaller();
    faults[i](caller);
    EXPECT_TRUE(absl::IsInvalidArgument(FromForwarded(ToForwarded(caller)).status())) << i;
  }
}

TEST(PeerMessages, ASignInComesThroughWhole) {
  SignInChecked checked;
  checked.call = 7;
  checked.caller = GoodCaller();
  checked.typed_user = "Jan";
  checked.request_id = "r-1";
  checked.client.set_program("werkplek 0.1.0");
  checked.directory = DirectoryOutcome::kOk;
  checked.directory_detail = "detail";
  checked.notices = {"your password expires in 3 days", "and so on"};
  checked.person = {"jan", "uid=jan,dc=nl", "Jan Jansen", {"cn=a,dc=nl", "cn=b,dc=nl"}};
  checked.roles = {v1::ROLE_EMPLOYEE, v1::ROLE_HELPDESK};
  checked.token_waived = true;
  checked.seed_id = "seed-1";
  checked.matched_step = 56'789'012;
  checked.token_sha256 = std::string(32, 'n');
  checked.sign_in_id = "si-1";
  const auto back = FromSubmission(ToSubmission(checked));
  ASSERT_TRUE(back.ok()) << back.status();
  ExpectSame(back->caller, checked.caller);
  EXPECT_EQ(back->call, 0u) << "each broker numbers its own calls";
  EXPECT_EQ(back->typed_user, checked.typed_user);
  EXPECT_EQ(back->request_id, checked.request_id);
  EXPECT_EQ(back->client.program(), "werkplek 0.1.0");
  EXPECT_EQ(back->directory, checked.directory);
  EXPECT_EQ(back->directory_detail, checked.directory_detail);
  EXPECT_EQ(back->notices, checked.notices);
  EXPECT_EQ(back->person.user, checked.person.user);
  EXPECT_EQ(back->person.dn, checked.person.dn);
  EXPECT_EQ(back->person.display_name, checked.person.display_name);
  EXPECT_EQ(back->person.groups, checked.person.groups);
  EXPECT_EQ(back->roles, checked.roles);
  EXPECT_TRUE(back->token_waived);
  EXPECT_EQ(back->seed_id, checked.seed_id);
  EXPECT_EQ(back->matched_step, checked.matched_step);
  EXPECT_EQ(back->token_sha256, checked.token_sha256);
  EXPECT_EQ(back->sign_in_id, checked.sign_in_id);
}

TEST(PeerMessages, EveryVerdictOfTheDirectoryHasItsName) {
  for (const DirectoryOutcome outcome :
       {DirectoryOutcome::kOk, DirectoryOutcome::kDenied, DirectoryOutcome::kUnavailable,
        DirectoryOutcome::kOverloaded}) {
    SignInChecked checked;
    checked.caller = GoodCaller();
    checked.directory = outcome;
    EXPECT_EQ(FromSubmission(ToSubmission(checked))->directory, outcome);
  }
}

TEST(PeerMessages, ASubmissionOfAnotherFormIsRefused) {
  SignInChecked checked;
  checked.caller = GoodCaller();
  v1::SubmitSignInRequest good = ToSubmission(checked);
  ASSERT_TRUE(FromSubmission(good).ok());
  v1::SubmitSignInRequest bad = good;
  bad.clear_caller();
  EXPECT_TRUE(absl::IsInvalidArgument(FromSubmission(bad).status()));
  bad = good;
  bad.clear_directory();
  EXPECT_TRUE(absl::IsInvalidArgument(FromSubmission(bad).status()));
  bad = good;
  bad.add_roles(v1::ROLE_UNSPECIFIED);
  EXPECT_TRUE(absl::IsInvalidArgument(FromSubmission(bad).status()));
  bad = good;
  bad.add_roles(static_cast<v1::Role>(99));
  EXPECT_TRUE(absl::IsInvalidArgument(FromSubmission(bad).status()));
}

}  // namespace
}  // namespace werkplek
