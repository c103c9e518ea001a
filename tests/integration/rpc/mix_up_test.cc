// Many people at once over their own connections: each answer carries what is the caller's own.
#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/crypto.h"
#include "gtest/gtest.h"
#include "tests/support/loopback_broker/loopback_broker.h"
#include "werkplek/v1/agent.grpc.pb.h"
#include "werkplek/v1/session.grpc.pb.h"

namespace werkplek {
namespace {

constexpr int kClients = 64;

// WERKPLEK_MIX_UP_CALLS asks for a longer run.
int CallsPerClient() {
  int calls = 0;
  const char* wanted = std::getenv("WERKPLEK_MIX_UP_CALLS");
  return wanted != nullptr && absl::SimpleAtoi(wanted, &calls) && calls > 0 ? calls : 200;
}

std::string UserOf(int client) { return absl::StrCat("user", client); }

TEST(MixUp, EachAnswerIsTheCallersOwn) {
  LoopbackOptions options;
  for (int i = 0; i < kClients; ++i) options.people.push_back({UserOf(i)});
  options.rpc.machine_sign_ins = {.per_second = 10'000, .burst = 10'000};
  options.rpc.connections.max_unproved_per_source = 10 * kClients;
  LoopbackBroker broker(std::move(options));

  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < kClients; ++i) {
    channels.push_back(broker.AtClientPort(v1::IDENTITY_CLIENT, absl::StrCat("tc-", i)));
  }
  const int calls_per_client = CallsPerClient();
  std::atomic<int> mixed_up{0};
  std::atomic<int> failed{0};
  std::atomic<int> answered{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kClients; ++i) {
    threads.emplace_back([&, i] {
      const auto sessions = v1::SessionService::NewStub(channels[i]);
      const auto renewals = v1::AgentService::NewStub(channels[i]);
      for (int call = 0; call < calls_per_client; ++call) {
        grpc::ClientContext context;
        Prepare(context, "", absl::Seconds(60));
        context.set_wait_for_ready(true);  // 64 handshakes at once take their time
        if (call % 10 == 0) {
          v1::SignInRequest request;
          request.set_request_id(HexEncode(RandomBytes(16)));
          request.set_user(UserOf(i));
          request.set_password("pw-" + UserOf(i));
          v1::SignInResponse response;
          if (!sessions->SignIn(&context, request, &response).ok()) {
            ++failed;
          } else {
            mixed_up += response.display_name() != "Person " + UserOf(i);
            ++answered;
          }
        } else {
          // The fixture's renewal answers with the name in the caller's certificate.
          v1::RenewCertificateResponse response;
          if (!renewals->RenewCertificate(&context, {}, &response).ok()) {
            ++failed;
          } else {
            mixed_up += response.certificate_chain_pem() != absl::StrCat("client/tc-", i);
            ++answered;
          }
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(mixed_up, 0);
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(answered, kClients * calls_per_client);

  // The tokens belong to the people who got them: each person's sign-ins are of one machine.
  const Picture picture = broker.node().picture();
  int sign_ins = 0;
  for (auto at = picture->sign_ins.begin(); at != picture->sign_ins.end(); ++at) {
    EXPECT_EQ(at->record->peer(), "client/tc-" + at->record->user().substr(4));
    ++sign_ins;
  }
  EXPECT_GE(sign_ins, kClients);
}

}  // namespace
}  // namespace werkplek
