// How calls end that nobody answers: by the limit, by a stop, by a reader that does not read.
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/crypto.h"
#include "gtest/gtest.h"
#include "tests/integration/rpc/generic_call.h"
#include "tests/support/loopback_broker/loopback_broker.h"
#include "werkplek/v1/admin.grpc.pb.h"
#include "werkplek/v1/session.grpc.pb.h"

namespace werkplek {
namespace {

using grpc::StatusCode;

constexpr char kListPools[] = "/werkplek.v1.SessionService/ListPools";

LoopbackOptions Options() {
  LoopbackOptions options;
  options.people = {{"jan"}, {"beheer", v1::ROLE_ADMINISTRATOR}};
  options.rpc.machine_sign_ins = {.per_second = 1000, .burst = 1000};
  return options;
}

TEST(Endings, ACallThatGetsNoAnswerEndsAtTheLimit) {
  LoopbackOptions options = Options();
  options.directory_delay = absl::Hours(1);
  options.rpc.unary_limit = absl::Milliseconds(300);
  LoopbackBroker broker(std::move(options));
  const auto channel = broker.AtClientPort(v1::IDENTITY_CLIENT, "tc-1");
  const absl::Status status = broker.SignIn(channel, "jan").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  // The broker's own words: the caller would have waited longer.
  EXPECT_TRUE(absl::StrContains(status.message(), "could not answer in time")) << status;
  EXPECT_EQ(broker.server().calls_waiting(), 0u);
}

TEST(Endings, AStopAnswersWhoWaits) {
  LoopbackOptions options = Options();
  options.directory_delay = absl::Hours(1);
  LoopbackBroker broker(std::move(options));
  const auto channel = broker.AtClientPort(v1::IDENTITY_CLIENT, "tc-1");
  absl::Status status;
  std::thread caller([&] { status = broker.SignIn(channel, "jan").status(); });
  while (broker.server().calls_waiting() == 0) std::this_thread::yield();
  broker.server().Stop();
  caller.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "stopping")) << status;
}

TEST(Endings, ACallerThatGoesAwayIsForgotten) {
  LoopbackOptions options = Options();
  options.directory_delay = absl::Hours(1);
  LoopbackBroker broker(std::move(options));
  const auto channel = broker.AtClientPort(v1::IDENTITY_CLIENT, "tc-1");
  grpc::ClientContext context;
  Prepare(context, "");
  std::thread caller([&] {
    v1::SignInRequest request;
    request.set_request_id("r");
    request.set_user("jan");
    request.set_password("pw-jan");
    v1::SignInResponse response;
    (void)v1::SessionService::NewStub(channel)->SignIn(&context, request, &response);
  });
  while (broker.server().calls_waiting() == 0) std::this_thread::yield();
  context.TryCancel();
  caller.join();
  const absl::Time until = absl::Now() + absl::Seconds(5);
  while (broker.server().calls_waiting() != 0 && absl::Now() < until) std::this_thread::yield();
  EXPECT_EQ(broker.server().calls_waiting(), 0u);
}

TEST(Endings, WithoutALeaderCallersAreToldWhenToTryAgain) {
  LoopbackBroker broker(Options());
  const auto channel = broker.AtClientPort(v1::IDENTITY_CLIENT, "tc-1");
  const auto token = broker.SignIn(channel, "jan");
  ASSERT_TRUE(token.ok()) << token.status();
  broker.node().Stop();
  ASSERT_EQ(broker.node().picture(), nullptr);
  const GenericAnswer answer = Call(channel, {.path = kListPools, .token = *token});
  EXPECT_EQ(answer.status.error_code(), StatusCode::UNAVAILABLE) << answer.status.error_message();
  EXPECT_EQ(answer.retry_after_ms, "200");
  // Who may not call at all is told so all the same.
  const auto host = broker.AtClientPort(v1::IDENTITY_HOST, "hv-a1");
  EXPECT_EQ(Call(host, {.path = kListPools}).status.error_code(), StatusCode::PERMISSION_DENIED);
}

// Asks until the whole server's state is this; false when it never was.
bool HealthBecomes(const std::shared_ptr<grpc::Channel>& channel, const std::string& state) {
  const absl::Time until = absl::Now() + absl::Seconds(10);
  while (absl::Now() < until) {
    if (Call(channel, {.path = "/grpc.health.v1.Health/Check"}).response == state) return true;
  }
  return false;
}

TEST(Endings, TheHealthServiceSaysWhetherWorkIsTaken) {
  LoopbackBroker broker(Options());
  const auto client = broker.AtClientPort(v1::IDENTITY_CLIENT, "tc-1");
  const auto agent = broker.AtAgentPort(v1::IDENTITY_HOST, "hv-a1");
  // HealthCheckResponse.status: SERVING is 1, NOT_SERVING is 2.
  EXPECT_TRUE(HealthBecomes(client, "\x08\x01"));
  EXPECT_TRUE(HealthBecomes(agent, "\x08\x01"));
  broker.node().Stop();
  EXPECT_TRUE(HealthBecomes(client, "\x08\x02"));
  EXPECT_TRUE(HealthBecomes(agent, "\x08\x02"));
}

TEST(Endings, AWatcherThatDoesNotReadIsToldToWatchAgain) {
  LoopbackOptions options = Options();
  options.rpc.max_waiting_commits = 8;
  LoopbackBroker broker(std::move(options));
  const auto channel = broker.AtClientPort(v1::IDENTITY_ADMIN, "a1");
  const auto admin = v1::AdminService::NewStub(channel);
  const auto token = broker.SignIn(channel, "beheer");
  ASSERT_TRUE(token.ok()) << token.status();
  grpc::ClientContext watching;
  Prepare(watching, *token, absl::Seconds(30));
  const auto reader = admin->Watch(&watching, v1::WatchRequest());
  v1::WatchEvent event;
  ASSERT_TRUE(reader->Read(&event));
  ASSERT_TRUE(event.caught_up());
  // More than flow control lets through unread.
  v1::Resource site;
  site.mutable_site()->set_description(std::string(1000, 'a'));
  const int changes = 500;
  for (int i = 0; i < changes; ++i) {
    grpc::ClientContext context;
    Prepare(context, *token);
    v1::CreateResourceRequest request;
    request.set_request_id(HexEncode(RandomBytes(16)));
    site.set_name(absl::StrCat("s", i));
    *request.mutable_resource() = site;
    v1::Resource created;
    const grpc::Status status = admin->CreateResource(&context, request, &created);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  int read = 0;
  while (reader->Read(&event)) ++read;
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
  EXPECT_TRUE(absl::StrContains(status.error_message(), "watch again")) << status.error_message();
  EXPECT_LT(read, changes);
}

}  // namespace
}  // namespace werkplek
