// Several brokers: whichever is asked, one decides.
#include "tests/integration/rpc/several_brokers.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/integration/rpc/generic_call.h"
#include "werkplek/v1/agent.grpc.pb.h"

namespace werkplek {
namespace {

using grpc::StatusCode;

TEST_F(SeveralBrokers, ASignInIsJudgedWhereItIsMadeAndCountsEverywhere) {
  const int before = brokers_.AskedDirectory(0);
  const auto token = BrokerGroup::SignIn(client_[1], "jan");
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(brokers_.AskedDirectory(1), 1);
  EXPECT_EQ(brokers_.AskedDirectory(0), before);
  for (const size_t broker : {0, 1}) {
    EXPECT_TRUE(Call(client_[broker], {.path = kListPools, .token = *token}).status.ok());
  }
  // Bound to the machine that signed in, wherever it is shown.
  const Machine other(brokers_, v1::IDENTITY_CLIENT, "tc-2");
  for (const size_t broker : {0, 1}) {
    EXPECT_EQ(Call(other[broker], {.path = kListPools, .token = *token}).status.error_code(),
              StatusCode::UNAUTHENTICATED);
  }
}

TEST_F(SeveralBrokers, AWrongPasswordIsOneAnswerEverywhere) {
  const absl::Status leader = BrokerGroup::SignIn(client_[0], "jan", "", NewId(), "wrong").status();
  EXPECT_EQ(leader, absl::UnauthenticatedError("sign-in failed"));
  EXPECT_EQ(BrokerGroup::SignIn(client_[1], "jan", "", NewId(), "wrong").status(), leader);
  EXPECT_EQ(BrokerGroup::SignIn(client_[1], "nobody").status(), leader);
  EXPECT_EQ(BrokerGroup::SignIn(client_[1], "jan)(uid=*").status(), leader);
  brokers_.SetOutage(1, DirectoryOutcome::kUnavailable);
  EXPECT_EQ(BrokerGroup::SignIn(client_[1], "jan").status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(SeveralBrokers, TheSameRequestHasOneEffectWhereverItIsSent) {
  const std::string token = AdminToken();
  const std::string id = NewId();
  std::vector<v1::Resource> made(8);
  std::vector<grpc::Status> statuses(made.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < made.size(); ++i) {
    threads.emplace_back(
        [&, i] { statuses[i] = CreateSite(admin_[i % 2], token, "a", id, &made[i]); });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < made.size(); ++i) {
    EXPECT_TRUE(statuses[i].ok()) << statuses[i].error_message();
    EXPECT_EQ(made[i].SerializeAsString(), made[0].SerializeAsString());
  }
  EXPECT_EQ(CreateSite(admin_[1], token, "b", id, &made[0]).error_code(),
            StatusCode::INVALID_ARGUMENT)
      << "the id stands for another request";
  EXPECT_EQ(CreateSite(admin_[1], token, "a", NewId(), &made[0]).error_code(),
            StatusCode::ALREADY_EXISTS);
}

TEST_F(SeveralBrokers, ARepeatedSignInIsTheSameSignInWhereverItIsRepeated) {
  const std::string id = NewId();
  const auto first = BrokerGroup::SignIn(client_[0], "jan", "", id);
  const auto again = BrokerGroup::SignIn(client_[1], "jan", "", id);
  ASSERT_TRUE(first.ok() && again.ok());
  EXPECT_EQ(brokers_.node(0).picture()->sign_ins.size(), 1u);
  EXPECT_TRUE(Call(client_[1], {.path = kListPools, .token = *again}).status.ok());
}

TEST_F(SeveralBrokers, JoinCodesAreTheLeaders) {
  const std::string token = AdminToken();
  grpc::ClientContext context;
  Prepare(context, token);
  v1::AddJoinCodeRequest request;
  request.set_request_id(NewId());
  request.set_identity(v1::IDENTITY_CLIENT);
  request.set_name("tc-9");
  v1::AddJoinCodeResponse response;
  const grpc::Status status =
      v1::AdminService::NewStub(admin_[1])->AddJoinCode(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.url(), "https://b1/v1/join") << "the newcomer is sent to the one that knows";
}

TEST_F(SeveralBrokers, RevocationsHoldAtEveryBroker) {
  const auto token = BrokerGroup::SignIn(client_[1], "jan");
  ASSERT_TRUE(token.ok());
  grpc::ClientContext context;
  Prepare(context, AdminToken());
  v1::RevokeCertificatesRequest request;
  request.set_request_id(NewId());
  request.set_peer("client/tc-1");
  request.set_reason("a test");
  v1::RevokeCertificatesResponse response;
  ASSERT_TRUE(
      v1::AdminService::NewStub(admin_[1])->RevokeCertificates(&context, request, &response).ok());
  for (const size_t broker : {0, 1}) {
    EXPECT_EQ(Call(client_[broker], {.path = kListPools, .token = *token}).status.error_code(),
              StatusCode::PERMISSION_DENIED);
    const int asked = brokers_.AskedDirectory(broker);
    EXPECT_EQ(BrokerGroup::SignIn(client_[broker], "jan").status().code(),
              absl::StatusCode::kPermissionDenied);
    if (broker == 1) EXPECT_EQ(brokers_.AskedDirectory(broker), asked) << "no password is tried";
    EXPECT_EQ(Call(client_[broker], {.path = "/werkplek.v1.AgentService/RenewCertificate"})
                  .status.error_code(),
              StatusCode::PERMISSION_DENIED);
  }
}

TEST_F(SeveralBrokers, WatchesGoThroughAndEndWithTheirSignIn) {
  const std::string token = AdminToken();
  grpc::ClientContext context;
  Prepare(context, token, absl::Seconds(60));
  const auto watch = v1::AdminService::NewStub(admin_[1])->Watch(&context, {});
  v1::WatchEvent event;
  ASSERT_TRUE(watch->Read(&event));
  EXPECT_TRUE(event.caught_up());
  constexpr int kSites = 50;
  for (int i = 0; i < kSites; ++i) {
    v1::Resource made;
    ASSERT_TRUE(CreateSite(admin_[i % 2], token, absl::StrCat("s", i), NewId(), &made).ok());
  }
  for (int i = 0; i < kSites; ++i) {
    ASSERT_TRUE(watch->Read(&event));
    EXPECT_EQ(event.resource().name(), absl::StrCat("s", i));
  }
  grpc::ClientContext revoking;
  Prepare(revoking, token);
  v1::RevokeSignInsRequest request;
  request.set_request_id(NewId());
  request.set_all(true);
  v1::RevokeSignInsResponse response;
  ASSERT_TRUE(
      v1::AdminService::NewStub(admin_[1])->RevokeSignIns(&revoking, request, &response).ok());
  while (watch->Read(&event)) {
  }
  EXPECT_EQ(watch->Finish().error_code(), StatusCode::UNAUTHENTICATED);
}

TEST_F(SeveralBrokers, AConnectThatItsCallerGivesUpWaitsNoMore) {
  CreatePool(AdminToken());
  const auto token = BrokerGroup::SignIn(client_[1], "jan");
  ASSERT_TRUE(token.ok());
  Connecting connect(client_[1], *token);
  ASSERT_TRUE(connect.Queued());
  EXPECT_TRUE(WaitingBecomes(1));
  connect.context.TryCancel();
  EXPECT_EQ(connect.End().error_code(), StatusCode::CANCELLED);
  EXPECT_TRUE(WaitingBecomes(0));
}

// More than one connection carries (100 streams).
TEST_F(SeveralBrokers, ManyWhoWaitDoNotKeepOthersFromBeingServed) {
  CreatePool(AdminToken());
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  std::vector<std::unique_ptr<Connecting>> waiting;
  for (int i = 0; i < kCrowd; ++i) {
    if (i % 70 == 0) channels.push_back(brokers_.AtClientPort(1, client_.files));
    const auto token = BrokerGroup::SignIn(channels.back(), absl::StrCat("p", i));
    ASSERT_TRUE(token.ok()) << token.status();
    waiting.push_back(std::make_unique<Connecting>(channels.back(), *token));
    ASSERT_TRUE(waiting.back()->Queued()) << i;
  }
  EXPECT_EQ(Waiting(), static_cast<uint32_t>(kCrowd));
  const auto token = BrokerGroup::SignIn(client_[1], "jan");
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_TRUE(Call(client_[1], {.path = kListPools, .token = *token}).status.ok());
  for (const auto& connect : waiting) connect->context.TryCancel();
  for (const auto& connect : waiting) (void)connect->End();
  EXPECT_TRUE(WaitingBecomes(0));
}

TEST_F(SeveralBrokers, WhoWaitsIsToldToComeBackWhenTheLeadMoves) {
  CreatePool(AdminToken());
  const auto token = BrokerGroup::SignIn(client_[1], "jan");
  ASSERT_TRUE(token.ok());
  const std::string id = NewId();
  Connecting at_follower(client_[1], *token, id);
  ASSERT_TRUE(at_follower.Queued());
  brokers_.Elect(1);
  const grpc::Status ended = at_follower.End();
  EXPECT_EQ(ended.error_code(), StatusCode::UNAVAILABLE) << ended.error_message();
  EXPECT_TRUE(absl::StrContains(ended.error_message(), "temporarily unavailable"))
      << ended.error_message();
  // The new leader knows the sign-in, and the old one forwards now.
  for (const size_t broker : {1, 0}) {
    Connecting again(client_[broker], *token, id);
    EXPECT_TRUE(again.Queued());
    again.context.TryCancel();
    (void)again.End();
  }
}

// One Attach, and where it was sent.
struct Attaching {
  Attaching(BrokerGroup& group, size_t broker, const TlsFiles& files)
      : channel(group.AtAgentPort(broker, files)) {
    Prepare(context, "", absl::Seconds(30));
    stream = v1::AgentService::NewStub(channel)->Attach(&context);
  }
  grpc::Status End() {
    v1::AgentCommand command;
    while (stream->Read(&command)) {
    }
    return stream->Finish();
  }
  std::string Leader() const {
    const auto& trailing = context.GetServerTrailingMetadata();
    const auto found = trailing.find("leader-agent-address");
    return found == trailing.end() ? "" : std::string(found->second.data(), found->second.size());
  }
  std::shared_ptr<grpc::Channel> channel;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReaderWriter<v1::AgentReport, v1::AgentCommand>> stream;
};

TEST_F(SeveralBrokers, AgentsAreSentToTheLeaderAndFollowIt) {
  const TlsFiles files = brokers_.pki().Issue(v1::IDENTITY_HOST, "hv-a1");
  Attaching at_follower(brokers_, 1, files);
  const grpc::Status sent = at_follower.End();
  EXPECT_EQ(sent.error_code(), StatusCode::UNAVAILABLE) << sent.error_message();
  EXPECT_EQ(at_follower.Leader(), brokers_.info(0).agent_address);

  Attaching at_leader(brokers_, 0, files);
  v1::AgentReport report;
  report.set_host("hv-a1");
  report.set_adopted(true);
  ASSERT_TRUE(at_leader.stream->Write(report));
  brokers_.Elect(1);
  const grpc::Status moved = at_leader.End();
  EXPECT_EQ(moved.error_code(), StatusCode::UNAVAILABLE) << moved.error_message();
  // It may have been told before the new leader was known.
  if (!at_leader.Leader().empty()) {
    EXPECT_EQ(at_leader.Leader(), brokers_.info(1).agent_address);
  }
  Attaching anew(brokers_, 0, files);
  (void)anew.End();
  EXPECT_EQ(anew.Leader(), brokers_.info(1).agent_address);
}

GroupOptions WithCodes() {
  GroupOptions options = Options(3);
  options.token_waived = false;
  options.enrolled = {"jan", "piet"};
  // One person signs in many times at once.
  options.passwords = LimitsFor(100, absl::Minutes(30));
  return options;
}

class SeveralBrokersWithCodes : public testing::Test {
 protected:
  SeveralBrokersWithCodes()
      : brokers_(WithCodes()), client_(brokers_, v1::IDENTITY_CLIENT, "tc-1", 3) {}

  std::string CodeNow() { return brokers_.CodeNow("jan"); }
  uint32_t Failures(size_t leader, const std::string& user = "jan") {
    return brokers_.node(leader).picture()->tokens.Find(user)->failures();
  }

  BrokerGroup brokers_;
  Machine client_;
};

TEST_F(SeveralBrokersWithCodes, ACodeWorksOnceOverAllBrokers) {
  const std::string code = CodeNow();
  constexpr size_t kAttempts = 9;
  std::vector<absl::StatusOr<std::string>> answers(kAttempts, absl::UnknownError("none"));
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kAttempts; ++i) {
    threads.emplace_back([&, i] { answers[i] = BrokerGroup::SignIn(client_[i % 3], "jan", code); });
  }
  for (std::thread& thread : threads) thread.join();
  int good = 0;
  for (const auto& answer : answers) {
    if (answer.ok()) {
      ++good;
    } else {
      EXPECT_EQ(answer.status(), absl::UnauthenticatedError("sign-in failed"));
    }
  }
  EXPECT_EQ(good, 1);
  // Five were refused for the code, which pauses the token; the others for that.
  EXPECT_EQ(Failures(0), 5u);
}

TEST_F(SeveralBrokersWithCodes, AUsedCodeIsRefusedAfterTheLeadHasMoved) {
  const std::string code = brokers_.CodeNow("piet");
  EXPECT_TRUE(BrokerGroup::SignIn(client_[1], "piet", code).ok());
  brokers_.Elect(2);
  for (const size_t broker : {0, 1, 2}) {
    EXPECT_FALSE(BrokerGroup::SignIn(client_[broker], "piet", code).ok());
  }
  EXPECT_EQ(Failures(2, "piet"), 3u);
}

TEST_F(SeveralBrokersWithCodes, WrongPasswordsAreCountedTogether) {
  const uint32_t strangers = LimitsFor(100, absl::Minutes(30)).strangers;
  for (uint32_t i = 0; i < strangers; ++i) {
    const auto answer = BrokerGroup::SignIn(client_[i % 3], "piet", "000000", "", "guess");
    EXPECT_EQ(answer.status(), absl::UnauthenticatedError("sign-in failed"));
  }
  int asked = 0;
  for (const size_t broker : {0, 1, 2}) asked += brokers_.AskedDirectory(broker);
  for (const size_t broker : {0, 1, 2}) {
    const auto answer = BrokerGroup::SignIn(client_[broker], "piet", brokers_.CodeNow("piet"));
    EXPECT_TRUE(absl::IsUnauthenticated(answer.status()));
    EXPECT_THAT(std::string(answer.status().message()), testing::HasSubstr("too many wrong"));
    asked -= brokers_.AskedDirectory(broker);
  }
  EXPECT_EQ(asked, 0) << "the right password is not tried either";
  EXPECT_TRUE(BrokerGroup::SignIn(client_[1], "jan", CodeNow()).ok());
}

TEST_F(SeveralBrokersWithCodes, WrongCodesAreCountedTogetherAndOutagesAreNot) {
  EXPECT_FALSE(BrokerGroup::SignIn(client_[1], "jan", "000000").ok());
  EXPECT_FALSE(BrokerGroup::SignIn(client_[2], "jan", "000000").ok());
  EXPECT_EQ(Failures(0), 2u);
  brokers_.ElectNobody();
  EXPECT_EQ(BrokerGroup::SignIn(client_[1], "jan", "000000").status().code(),
            absl::StatusCode::kUnavailable);
  brokers_.Elect(1);
  EXPECT_EQ(Failures(1), 2u);
  EXPECT_TRUE(BrokerGroup::SignIn(client_[0], "jan", CodeNow()).ok());
  EXPECT_EQ(Failures(1), 0u);
}

}  // namespace
}  // namespace werkplek
