// Watch, Attach and Connect over real streams.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/crypto.h"
#include "gtest/gtest.h"
#include "tests/support/loopback_broker/loopback_broker.h"
#include "werkplek/v1/admin.grpc.pb.h"
#include "werkplek/v1/agent.grpc.pb.h"
#include "werkplek/v1/session.grpc.pb.h"

namespace werkplek {
namespace {

using grpc::StatusCode;

LoopbackOptions Options() {
  LoopbackOptions options;
  options.people = {{"jan"}, {"beheer", v1::ROLE_ADMINISTRATOR}};
  options.rpc.machine_sign_ins = {.per_second = 1000, .burst = 1000};
  return options;
}

class Streams : public testing::Test {
 protected:
  Streams() : broker_(Options()), admin_channel_(broker_.AtClientPort(v1::IDENTITY_ADMIN, "a1")) {
    admin_ = v1::AdminService::NewStub(admin_channel_);
    const auto token = broker_.SignIn(admin_channel_, "beheer");
    EXPECT_TRUE(token.ok()) << token.status();
    if (token.ok()) admin_token_ = *token;
  }

  grpc::Status Create(const v1::Resource& resource) {
    grpc::ClientContext context;
    Prepare(context, admin_token_);
    v1::CreateResourceRequest request;
    request.set_request_id(HexEncode(RandomBytes(16)));
    *request.mutable_resource() = resource;
    v1::Resource created;
    return admin_->CreateResource(&context, request, &created);
  }

  grpc::Status CreateSite(const std::string& name) {
    v1::Resource site;
    site.set_name(name);
    site.mutable_site()->set_description("a datacenter");
    return Create(site);
  }

  grpc::Status CreateHost(const std::string& name, const std::string& site) {
    v1::Resource host;
    host.set_name(name);
    host.mutable_host()->set_site(site);
    return Create(host);
  }

  LoopbackBroker broker_;
  std::shared_ptr<grpc::Channel> admin_channel_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
  std::string admin_token_;
};

// One Watch, read as the test asks.
struct Watching {
  Watching(v1::AdminService::Stub& stub, const std::string& token) {
    Prepare(context, token, absl::Seconds(60));
    reader = stub.Watch(&context, v1::WatchRequest());
  }
  // The next event; "" when the stream ended.
  std::string Next() {
    v1::WatchEvent event;
    if (!reader->Read(&event)) return "";
    if (event.caught_up()) return "caught up";
    if (!event.deleted().empty()) return "-" + event.deleted();
    if (event.has_resource()) return event.resource().name();
    return "other";
  }
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<v1::WatchEvent>> reader;
};

TEST_F(Streams, WatchTellsWhatIsThereThenEachCommit) {
  ASSERT_TRUE(CreateSite("a").ok());
  Watching watch(*admin_, admin_token_);
  EXPECT_EQ(watch.Next(), "a");
  EXPECT_EQ(watch.Next(), "caught up");
  ASSERT_TRUE(CreateSite("b").ok());
  EXPECT_EQ(watch.Next(), "b");
  {
    grpc::ClientContext context;
    Prepare(context, admin_token_);
    v1::DeleteResourceRequest request;
    request.set_request_id("delete-a");
    request.set_kind(v1::RESOURCE_KIND_SITE);
    request.set_name("a");
    v1::DeleteResourceResponse response;
    ASSERT_TRUE(admin_->DeleteResource(&context, request, &response).ok());
  }
  EXPECT_EQ(watch.Next(), "-site/a");
  watch.context.TryCancel();
  EXPECT_EQ(watch.Next(), "");
}

TEST_F(Streams, ARevokedSignInWatchesNoMore) {
  const auto other = broker_.SignIn(admin_channel_, "beheer");
  ASSERT_TRUE(other.ok());
  Watching watch(*admin_, *other);
  EXPECT_EQ(watch.Next(), "caught up");
  grpc::ClientContext context;
  Prepare(context, admin_token_);
  v1::RevokeSignInsRequest request;
  request.set_request_id("revoke");
  request.set_user("beheer");
  v1::RevokeSignInsResponse response;
  const grpc::Status revoked = admin_->RevokeSignIns(&context, request, &response);
  ASSERT_TRUE(revoked.ok()) << revoked.error_message();
  EXPECT_EQ(watch.Next(), "");
  EXPECT_EQ(watch.reader->Finish().error_code(), StatusCode::UNAUTHENTICATED);
}

// One Attach.
struct Agent {
  Agent(LoopbackBroker& broker, const std::string& host)
      : stub(v1::AgentService::NewStub(broker.AtAgentPort(v1::IDENTITY_HOST, host))) {
    Prepare(context, "", absl::Seconds(30));
    stream = stub->Attach(&context);
  }
  bool Report(const std::string& host, uint64_t sequence) {
    v1::AgentReport report;
    report.set_host(host);
    report.set_boot_id("boot");
    report.set_agent_run("run");
    report.set_sequence(sequence);
    report.set_adopted(true);
    return stream->Write(report);
  }
  // Reads until a command with the verb comes; false when the stream ends before.
  bool WaitFor(v1::CommandVerb verb) {
    v1::AgentCommand command;
    while (stream->Read(&command)) {
      if (command.verb() == verb) return true;
    }
    return false;
  }
  std::unique_ptr<v1::AgentService::Stub> stub;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReaderWriter<v1::AgentReport, v1::AgentCommand>> stream;
};

TEST_F(Streams, AnAgentIsHeard) {
  ASSERT_TRUE(CreateSite("a").ok());
  ASSERT_TRUE(CreateHost("hv-a1", "a").ok());
  Agent agent(broker_, "hv-a1");
  ASSERT_TRUE(agent.Report("hv-a1", 1));
  EXPECT_TRUE(agent.WaitFor(v1::COMMAND_HEARD));
  agent.stream->WritesDone();
  v1::AgentCommand command;
  while (agent.stream->Read(&command)) {
  }
  EXPECT_TRUE(agent.stream->Finish().ok());
}

TEST_F(Streams, AReportAboutAnotherHostEndsTheStream) {
  Agent agent(broker_, "hv-a1");
  ASSERT_TRUE(agent.Report("hv-a2", 1));
  EXPECT_FALSE(agent.WaitFor(v1::COMMAND_HEARD));
  const grpc::Status status = agent.stream->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(absl::StrContains(status.error_message(), "hv-a1")) << status.error_message();
}

TEST_F(Streams, ASecondStreamOfAHostEndsTheFirst) {
  ASSERT_TRUE(CreateSite("a").ok());
  ASSERT_TRUE(CreateHost("hv-a1", "a").ok());
  Agent first(broker_, "hv-a1");
  ASSERT_TRUE(first.Report("hv-a1", 1));
  ASSERT_TRUE(first.WaitFor(v1::COMMAND_HEARD));
  Agent second(broker_, "hv-a1");
  ASSERT_TRUE(second.Report("hv-a1", 2));
  v1::AgentCommand command;
  while (first.stream->Read(&command)) {
  }
  EXPECT_EQ(first.stream->Finish().error_code(), StatusCode::ABORTED);
  EXPECT_TRUE(second.WaitFor(v1::COMMAND_HEARD));
}

TEST_F(Streams, AReportBeyondTheLimitIsRefused) {
  Agent agent(broker_, "hv-a1");
  v1::AgentReport report;
  report.set_host("hv-a1");
  report.set_agent_version(std::string((1 << 20) + 1, 'a'));
  agent.stream->Write(report);
  EXPECT_FALSE(agent.WaitFor(v1::COMMAND_HEARD));
  EXPECT_EQ(agent.stream->Finish().error_code(), StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(Streams, ConnectEndsWithAnAnswer) {
  const auto channel = broker_.AtClientPort(v1::IDENTITY_CLIENT, "tc-1");
  const auto token = broker_.SignIn(channel, "jan");
  ASSERT_TRUE(token.ok()) << token.status();
  grpc::ClientContext context;
  Prepare(context, *token);
  v1::ConnectRequest request;
  request.set_request_id("connect-1");
  request.set_pool("no-such-pool");
  const auto reader = v1::SessionService::NewStub(channel)->Connect(&context, request);
  v1::ConnectUpdate update;
  bool refused = false;
  while (reader->Read(&update)) refused = update.has_refused();
  const grpc::Status status = reader->Finish();
  EXPECT_TRUE(refused || status.error_code() == StatusCode::NOT_FOUND ||
              status.error_code() == StatusCode::PERMISSION_DENIED)
      << status.error_code() << " " << status.error_message();
}

// A person who waits in the queue and goes away gives the place back.
TEST_F(Streams, ACancelledConnectLeavesTheQueue) {
  ASSERT_TRUE(CreateSite("a").ok());
  v1::Resource image;
  image.set_name("kantoor-1");
  image.mutable_image()->set_source("/images/kantoor.qcow2");
  image.mutable_image()->set_sha256(std::string(64, 'a'));
  image.mutable_image()->set_format("qcow2");
  ASSERT_TRUE(Create(image).ok());
  v1::Resource pool;
  pool.set_name("kantoor");
  pool.mutable_pool()->set_kind(v1::POOL_KIND_FLOATING);
  pool.mutable_pool()->set_image("kantoor-1");
  pool.mutable_pool()->set_max_desktops(1);
  pool.mutable_pool()->set_vcpus(1);
  pool.mutable_pool()->set_memory_mib(512);
  const grpc::Status made = Create(pool);
  ASSERT_TRUE(made.ok()) << made.error_message();
  v1::Resource entitlement;
  entitlement.set_name("everybody");
  entitlement.mutable_entitlement()->set_pool("kantoor");
  entitlement.mutable_entitlement()->set_group("employees");
  ASSERT_TRUE(Create(entitlement).ok());

  const auto waiting = [this] {
    const Picture picture = broker_.node().picture();
    const PoolSoft* soft = picture->pool_soft.Find("kantoor");
    return soft == nullptr ? 0u : soft->waiting;
  };
  const auto channel = broker_.AtClientPort(v1::IDENTITY_CLIENT, "tc-1");
  const auto token = broker_.SignIn(channel, "jan");
  ASSERT_TRUE(token.ok()) << token.status();
  grpc::ClientContext context;
  Prepare(context, *token, absl::Seconds(60));
  v1::ConnectRequest request;
  request.set_request_id("connect-1");
  request.set_pool("kantoor");
  const auto reader = v1::SessionService::NewStub(channel)->Connect(&context, request);
  v1::ConnectUpdate update;
  ASSERT_TRUE(reader->Read(&update)) << reader->Finish().error_message();
  EXPECT_TRUE(update.has_queued()) << update.ShortDebugString();
  EXPECT_EQ(waiting(), 1u);
  context.TryCancel();
  (void)reader->Finish();
  // Each admin call passes the same loop after the cancellation has arrived; a few are enough.
  for (int i = 0; i < 500 && waiting() != 0; ++i) (void)CreateSite(absl::StrCat("n", i));
  EXPECT_EQ(waiting(), 0u);
}

}  // namespace
}  // namespace werkplek
