// Certificates over their life: revoked, issued anew, rotated under load, expired.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "broker/core/revocations.h"
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
  options.people = {{"jan"}, {"piet"}, {"beheer", v1::ROLE_ADMINISTRATOR}};
  options.rpc.machine_sign_ins = {.per_second = 1000, .burst = 1000};
  return options;
}

class Certificates : public testing::Test {
 protected:
  Certificates() : broker_(Options()), admin_(broker_.AtClientPort(v1::IDENTITY_ADMIN, "a1")) {
    const auto token = broker_.SignIn(admin_, "beheer");
    EXPECT_TRUE(token.ok()) << token.status();
    if (token.ok()) admin_token_ = *token;
  }

  void Revoke(const std::string& peer) {
    grpc::ClientContext context;
    Prepare(context, admin_token_);
    v1::RevokeCertificatesRequest request;
    request.set_request_id(HexEncode(RandomBytes(16)));
    request.set_peer(peer);
    request.set_reason("a test");
    v1::RevokeCertificatesResponse response;
    const grpc::Status status =
        v1::AdminService::NewStub(admin_)->RevokeCertificates(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  static StatusCode ListPools(const std::shared_ptr<grpc::Channel>& channel,
                              const std::string& token) {
    grpc::ClientContext context;
    Prepare(context, token);
    v1::ListPoolsResponse response;
    return v1::SessionService::NewStub(channel)->ListPools(&context, {}, &response).error_code();
  }

  static grpc::Status Renew(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    Prepare(context, "");
    v1::RenewCertificateResponse response;
    return v1::AgentService::NewStub(channel)->RenewCertificate(&context, {}, &response);
  }

  LoopbackBroker broker_;
  std::shared_ptr<grpc::Channel> admin_;
  std::string admin_token_;
};

TEST_F(Certificates, ARevokedMachineIsRefusedFromTheNextCallOnAndOthersAreNot) {
  const auto stolen = broker_.AtClientPort(v1::IDENTITY_CLIENT, "tc-1");
  const auto other = broker_.AtClientPort(v1::IDENTITY_CLIENT, "tc-10");
  const auto jan = broker_.SignIn(stolen, "jan");
  const auto piet = broker_.SignIn(other, "piet");
  ASSERT_TRUE(jan.ok() && piet.ok());
  ASSERT_EQ(ListPools(stolen, *jan), StatusCode::OK);
  Revoke("client/tc-1");
  EXPECT_EQ(ListPools(stolen, *jan), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(broker_.SignIn(stolen, "jan").status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Renew(stolen).error_code(), StatusCode::PERMISSION_DENIED);
  // Nor over a connection that is made now.
  const TlsFiles same{broker_.pki().folder() + "/client-tc-1.pem",
                      broker_.pki().folder() + "/client-tc-1.key",
                      broker_.pki().authority_files().certificate};
  EXPECT_EQ(Renew(broker_.AtClientPort(same)).error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(ListPools(other, *piet), StatusCode::OK);
  EXPECT_TRUE(Renew(other).ok());

  // What the office gives to a machine that joins anew.
  const auto anew =
      broker_.AtClientPort(broker_.pki().Issue(v1::IDENTITY_CLIENT, "tc-1", absl::Hours(1),
                                               absl::Now() + kRevocationReach + absl::Seconds(1)));
  EXPECT_EQ(ListPools(anew, *jan), StatusCode::UNAUTHENTICATED) << "the sign-in has ended";
  const auto again = broker_.SignIn(anew, "jan");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(ListPools(anew, *again), StatusCode::OK);
}

// One Attach that reports once.
struct Agent {
  Agent(LoopbackBroker& broker, const std::string& host)
      : channel(broker.AtAgentPort(v1::IDENTITY_HOST, host)) {
    Prepare(context, "", absl::Seconds(30));
    stream = v1::AgentService::NewStub(channel)->Attach(&context);
    v1::AgentReport report;
    report.set_host(host);
    report.set_adopted(true);
    stream->Write(report);
  }
  std::shared_ptr<grpc::Channel> channel;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReaderWriter<v1::AgentReport, v1::AgentCommand>> stream;
};

TEST_F(Certificates, TheStreamOfARevokedHostEndsAndItsNextIsRefused) {
  Agent bad(broker_, "hv-a1");
  Agent good(broker_, "hv-a2");
  // Until the handler has the streams, there is nothing to end.
  ASSERT_TRUE(Renew(bad.channel).ok());
  const absl::Time revoked = absl::Now();
  Revoke("host/hv-a1");
  v1::AgentCommand command;
  while (bad.stream->Read(&command)) {
  }
  EXPECT_EQ(bad.stream->Finish().error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_LT(absl::Now() - revoked, absl::Seconds(5));
  EXPECT_EQ(Renew(bad.channel).error_code(), StatusCode::PERMISSION_DENIED);
  grpc::ClientContext context;
  Prepare(context, "");
  const auto next = v1::AgentService::NewStub(bad.channel)->Attach(&context);
  EXPECT_FALSE(next->Read(&command));
  EXPECT_EQ(next->Finish().error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(Renew(good.channel).ok());
  good.context.TryCancel();
  while (good.stream->Read(&command)) {
  }
  EXPECT_EQ(good.stream->Finish().error_code(), StatusCode::CANCELLED);
}

TEST_F(Certificates, ARevokedAdminMachineWatchesNoMore) {
  const auto channel = broker_.AtClientPort(v1::IDENTITY_ADMIN, "a2");
  const auto token = broker_.SignIn(channel, "beheer");
  ASSERT_TRUE(token.ok());
  grpc::ClientContext context;
  Prepare(context, *token, absl::Seconds(30));
  const auto watch = v1::AdminService::NewStub(channel)->Watch(&context, {});
  v1::WatchEvent event;
  ASSERT_TRUE(watch->Read(&event));
  const absl::Time revoked = absl::Now();
  Revoke("admin/a2");
  while (watch->Read(&event)) {
  }
  EXPECT_EQ(watch->Finish().error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_LT(absl::Now() - revoked, absl::Seconds(5));
}

TEST_F(Certificates, AnExpiredOneIsRefused) {
  TestPki& pki = broker_.pki();
  const TlsFiles expired =
      pki.Issue(v1::IDENTITY_CLIENT, "tc-old", absl::Hours(1), absl::Now() - absl::Hours(2));
  EXPECT_EQ(Renew(NewOddTestChannel(broker_.server().client_port(), expired)).error_code(),
            StatusCode::UNAVAILABLE)
      << "the handshake should have failed";
}

// Both sides get new certificates again and again while calls run, over connections that are kept
// and over new ones.
TEST_F(Certificates, RotationUnderCallsLosesNone) {
  TestPki& pki = broker_.pki();
  const TlsFiles files = pki.Issue(v1::IDENTITY_CLIENT, "tc-1");
  const auto kept = broker_.AtClientPort(files);
  std::atomic<int> kept_calls{0};
  std::atomic<int> new_calls{0};
  std::atomic<bool> stop{false};
  std::vector<std::string> failures(2);
  std::thread caller([&] {
    while (!stop) {
      if (const auto status = Renew(kept); !status.ok()) failures[0] = status.error_message();
      ++kept_calls;
    }
  });
  std::thread newcomer([&] {
    for (int i = 0; !stop; ++i) {
      const TlsFiles own = pki.Issue(v1::IDENTITY_CLIENT, "tc-new");
      if (const auto status = Renew(broker_.AtClientPort(own)); !status.ok()) {
        failures[1] = status.error_message();
      }
      ++new_calls;
    }
  });
  // Files are looked at every five seconds; a new connection shows which certificate is served.
  const std::string before = broker_.ServedCertificateSha256();
  std::string after = before;
  pki.Issue(v1::IDENTITY_BROKER, "b1");
  pki.Issue(v1::IDENTITY_CLIENT, "tc-1");
  const absl::Time until = absl::Now() + absl::Seconds(30);
  while (after == before && absl::Now() < until) after = broker_.ServedCertificateSha256();
  EXPECT_NE(after, before) << "the broker never took its new certificate";
  const int calls = kept_calls;
  while (kept_calls < calls + 100 && absl::Now() < until) std::this_thread::yield();
  stop = true;
  caller.join();
  newcomer.join();
  EXPECT_EQ(failures[0], "");
  EXPECT_EQ(failures[1], "");
  EXPECT_GT(kept_calls, 100);
  EXPECT_GT(new_calls, 10);
}

}  // namespace
}  // namespace werkplek
