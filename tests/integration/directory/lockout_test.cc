// A stranger who knows names, against a real slapd that locks accounts: the broker stops first.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/election/standalone_election.h"
#include "broker/node/broker_node.h"
#include "broker/store/memory_store.h"
#include "broker/token/token_authority.h"
#include "common/base/retry_after.h"
#include "tests/integration/directory/directory_harness.h"
#include "tests/support/fake_agent_links.h"

namespace werkplek {
namespace {

constexpr int kLocksAfter = 5;
constexpr char kInside[] = "10.1.2.3:40000";

class LockoutTest : public testing::Test {
 protected:
  static SlapdOptions Options(DirectoryAuthority& authority) {
    SlapdOptions options;
    options.certificate = authority.Issue({}, {"127.0.0.1"});
    options.password_policy = true;
    options.policy_attributes =
        absl::StrCat("pwdMaxFailure: ", kLocksAfter, "\npwdLockout: TRUE\n");
    options.ldif = PersonLdif("jan", "right");
    return options;
  }

  LockoutTest()
      : slapd_(Options(authority_)),
        store_(&executor_),
        election_(&executor_, [this](auto done) { store_.ClaimEpoch(std::move(done)); }),
        tokens_(*TokenAuthority::Create(Secret(std::string(32, 'k')), "Werkplek")) {
    directory_ =
        *LdapDirectory::Create(SettingsFor({slapd_.url()}, authority_.ca_file()), &executor_);
    NodeParts parts;
    parts.executor = &executor_;
    parts.store = &store_;
    parts.election = &election_;
    parts.directory = directory_.get();
    parts.agents = &links_;
    parts.tokens = tokens_.get();
    NodeSettings settings;
    settings.passwords = LimitsFor(kLocksAfter, absl::Minutes(30));
    settings.token_waived_networks = {"10.1.0.0/16"};
    node_ = std::make_unique<BrokerNode>(settings, parts);
    node_->Start();
  }
  ~LockoutTest() override {
    node_.reset();
    executor_.Stop();
  }

  // All of them at once; their answers.
  std::vector<absl::Status> SignIn(int count, v1::Identity identity, const std::string& address,
                                   const std::string& password) {
    Caller caller;
    caller.identity = identity;
    caller.peer = identity == v1::IDENTITY_GATEWAY ? "gateway/gw-a" : "client/tc-1";
    caller.certificate_sha256 = std::string(32, 'c');
    caller.address = address;
    std::vector<std::promise<absl::Status>> answers(count);
    for (std::promise<absl::Status>& answer : answers) {
      v1::SignInRequest request;
      request.set_request_id(absl::StrCat("r-", next_request_++));
      request.set_user("jan");
      request.set_password(password);
      request.set_token_code("000000");
      node_->SignIn(caller, request, [&answer](const absl::StatusOr<MessagePointer>& given) {
        answer.set_value(given.status());
      });
    }
    std::vector<absl::Status> given;
    given.reserve(answers.size());
    for (std::promise<absl::Status>& answer : answers) {
      given.push_back(answer.get_future().get());
    }
    return given;
  }

  void WaitUntilLeading() {
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while (node_->picture() == nullptr) {
      ASSERT_LT(absl::Now(), deadline);
      std::this_thread::yield();
    }
  }

  DirectoryAuthority authority_;
  Slapd slapd_;
  LoopExecutor executor_{"node"};
  MemoryStore store_;
  StandaloneElection election_;
  std::unique_ptr<TokenAuthority> tokens_;
  std::unique_ptr<LdapDirectory> directory_;
  FakeAgentLinks links_;
  std::unique_ptr<BrokerNode> node_;
  int next_request_ = 1;
};

TEST_F(LockoutTest, AThousandGuessesLockNobodyOut) {
  WaitUntilLeading();
  constexpr int kAtOnce = 50;
  int paused = 0;
  for (int wave = 0; wave < 20; ++wave) {
    for (const absl::Status& status :
         SignIn(kAtOnce, v1::IDENTITY_GATEWAY, "203.0.113.66:4000", "guess")) {
      EXPECT_TRUE(absl::IsUnauthenticated(status) || absl::IsResourceExhausted(status)) << status;
      if (absl::IsUnauthenticated(status) && RetryDelayOf(status) > absl::ZeroDuration()) ++paused;
    }
  }
  EXPECT_GE(paused, 19 * kAtOnce);
  EXPECT_EQ(slapd_.Read(PersonDn("jan"), "pwdAccountLockedTime"), "");
  EXPECT_NE(slapd_.Read(PersonDn("jan"), "pwdFailureTime"), "") << "the directory was asked";
  const absl::Time began = absl::Now();
  EXPECT_TRUE(SignIn(1, v1::IDENTITY_CLIENT, kInside, "right")[0].ok());
  EXPECT_LT(absl::Now() - began, absl::Seconds(10));
}

TEST_F(LockoutTest, NorDoTheyWithAnotherKnownMachineBesides) {
  WaitUntilLeading();
  for (int i = 0; i < 100; ++i) {
    SignIn(1, v1::IDENTITY_GATEWAY, "203.0.113.66:4000", "guess");
    SignIn(1, v1::IDENTITY_CLIENT, kInside, "guess");
  }
  EXPECT_EQ(slapd_.Read(PersonDn("jan"), "pwdAccountLockedTime"), "");
}

}  // namespace
}  // namespace werkplek
