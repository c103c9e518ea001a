// Who may forward calls, and how often.
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "broker/peer/peer_messages.h"
#include "gtest/gtest.h"
#include "tests/integration/rpc/generic_call.h"
#include "tests/integration/rpc/several_brokers.h"

namespace werkplek {
namespace {

using grpc::StatusCode;

using Forgery = SeveralBrokers;

TEST_F(Forgery, NobodyButABrokerForwards) {
  const auto token = BrokerGroup::SignIn(admin_[0], "beheer");
  ASSERT_TRUE(token.ok());
  // Exactly what a broker would send for the administrator who is signed in.
  Caller caller;
  caller.identity = v1::IDENTITY_ADMIN;
  caller.peer = "admin/a1";
  caller.certificate_sha256 = LoadTlsFiles(admin_.files, absl::Now())->own.sha256;
  caller.certificate_issued_unix_ms = absl::ToUnixMillis(absl::Now());
  caller.address = "192.0.2.7:1234";
  caller.token_sha256 = Sha256(*token);
  const std::string forged = ToForwarded(caller).SerializeAsString();
  GenericCall call;
  call.path = "/werkplek.v1.AdminService/ListHosts";
  call.metadata = {{kForwardedCallerKey, forged}};
  for (const v1::Identity identity :
       {v1::IDENTITY_CLIENT, v1::IDENTITY_GATEWAY, v1::IDENTITY_ADMIN, v1::IDENTITY_HOST}) {
    const Machine machine(brokers_, identity, "thief");
    for (const size_t broker : {0, 1}) {
      const GenericAnswer answer = Call(machine[broker], call);
      EXPECT_EQ(answer.status.error_code(), StatusCode::PERMISSION_DENIED)
          << v1::Identity_Name(identity) << " " << broker << answer.status.error_message();
    }
    // Beside an access token of its own it is refused, too.
    GenericCall with_token = call;
    with_token.token = *token;
    EXPECT_EQ(Call(machine[0], with_token).status.error_code(), StatusCode::PERMISSION_DENIED);
  }
  const Machine broker(brokers_, v1::IDENTITY_BROKER, "b7");
  EXPECT_TRUE(Call(broker[0], call).status.ok()) << "the forgery is good, or the test is not";
  // A broker by itself is nobody, and what it forwards must have its form.
  EXPECT_EQ(Call(broker[0], {.path = call.path}).status.error_code(),
            StatusCode::PERMISSION_DENIED);
  GenericCall broken = call;
  broken.metadata = {{kForwardedCallerKey, "\xff\xff"}};
  EXPECT_EQ(Call(broker[0], broken).status.error_code(), StatusCode::INVALID_ARGUMENT);
  broken.metadata = {{kForwardedCallerKey, forged}, {kForwardedCallerKey, forged}};
  EXPECT_EQ(Call(broker[0], broken).status.error_code(), StatusCode::INVALID_ARGUMENT);
  caller.identity = v1::IDENTITY_BROKER;
  caller.peer = "broker/b1";
  broken.metadata = {{kForwardedCallerKey, ToForwarded(caller).SerializeAsString()}};
  EXPECT_EQ(Call(broker[0], broken).status.error_code(), StatusCode::INVALID_ARGUMENT);
  // Not at the agents' port, where nothing is forwarded.
  const auto at_agents = brokers_.AtAgentPort(0, broker.files);
  GenericCall greet{.path = "/werkplek.v1.PeerService/Greet"};
  EXPECT_TRUE(Call(at_agents, greet).status.ok());
  greet.metadata = call.metadata;
  EXPECT_EQ(Call(at_agents, greet).status.error_code(), StatusCode::PERMISSION_DENIED);
}

TEST_F(Forgery, WhatWasForwardedOnceIsNotForwardedAgain) {
  const auto token = BrokerGroup::SignIn(client_[0], "jan");
  ASSERT_TRUE(token.ok());
  Caller caller;
  caller.identity = v1::IDENTITY_CLIENT;
  caller.peer = "client/tc-1";
  caller.certificate_sha256 = LoadTlsFiles(client_.files, absl::Now())->own.sha256;
  caller.certificate_issued_unix_ms = absl::ToUnixMillis(absl::Now());
  caller.address = "192.0.2.7:1234";
  caller.token_sha256 = Sha256(*token);
  GenericCall call{.path = kListPools};
  call.metadata = {{kForwardedCallerKey, ToForwarded(caller).SerializeAsString()}};
  const Machine broker(brokers_, v1::IDENTITY_BROKER, "b7");
  EXPECT_TRUE(Call(broker[0], call).status.ok());
  const GenericAnswer answer = Call(broker[1], call);
  EXPECT_EQ(answer.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_TRUE(absl::StrContains(answer.status.error_message(), "the leader is b1"))
      << answer.status.error_message();
}

TEST_F(Forgery, OnlyBrokersAskForEnrolments) {
  for (const v1::Identity identity :
       {v1::IDENTITY_CLIENT, v1::IDENTITY_GATEWAY, v1::IDENTITY_ADMIN, v1::IDENTITY_HOST}) {
    const TlsFiles files = brokers_.pki().Issue(identity, "thief");
    for (const char* method : {"Greet", "GetEnrolment", "SubmitSignIn"}) {
      const GenericCall call{.path = absl::StrCat("/werkplek.v1.PeerService/", method)};
      EXPECT_EQ(Call(brokers_.AtAgentPort(0, files), call).status.error_code(),
                StatusCode::PERMISSION_DENIED);
      EXPECT_EQ(Call(brokers_.AtClientPort(0, files), call).status.error_code(),
                StatusCode::UNIMPLEMENTED);
    }
  }
}

}  // namespace
}  // namespace werkplek
