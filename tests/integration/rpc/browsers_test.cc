// People who come by browser: any gateway, any broker, one sign-in.
#include <string>

#include "absl/strings/match.h"
#include "common/grpc/browser_address.h"
#include "gtest/gtest.h"
#include "tests/integration/rpc/generic_call.h"
#include "tests/integration/rpc/several_brokers.h"

namespace werkplek {
namespace {

using grpc::StatusCode;

constexpr char kSignIn[] = "/werkplek.v1.SessionService/SignIn";
constexpr char kSignOut[] = "/werkplek.v1.SessionService/SignOut";
constexpr char kAddress[] = "198.51.100.7:51234";

GroupOptions WithCodes() {
  GroupOptions options = Options();
  options.enrolled = {"jan", "piet"};
  return options;
}

class Browsers : public SeveralBrokers {
 protected:
  Browsers()
      : SeveralBrokers(WithCodes()),
        gateway_a_(brokers_, v1::IDENTITY_GATEWAY, "gw-a"),
        gateway_b_(brokers_, v1::IDENTITY_GATEWAY, "gw-b") {}

  // The address that the leader keeps of the only sign-in of the person.
  std::string AddressOf(const std::string& user) {
    const Picture picture = brokers_.node(0).picture();
    std::string address;
    for (const auto& entry : picture->sign_ins) {
      if (entry.record->user() == user) address = entry.record->address();
    }
    return address;
  }

  Machine gateway_a_;
  Machine gateway_b_;
};

TEST_F(Browsers, ASignInGoesFromGatewayToGatewayAndToNoOtherMachine) {
  const auto token = BrokerGroup::SignIn(gateway_a_[1], "jan", brokers_.CodeNow("jan"));
  ASSERT_TRUE(token.ok()) << token.status();
  const GenericCall list{.path = kListPools, .token = *token};
  for (const size_t broker : {0, 1}) {
    EXPECT_TRUE(Call(gateway_a_[broker], list).status.ok());
    EXPECT_TRUE(Call(gateway_b_[broker], list).status.ok());
    EXPECT_EQ(Call(client_[broker], list).status.error_code(), StatusCode::UNAUTHENTICATED);
    EXPECT_EQ(Call(admin_[broker], list).status.error_code(), StatusCode::UNAUTHENTICATED);
  }
  v1::SignOutRequest out;
  out.set_request_id(NewId());
  const GenericCall sign_out{.path = kSignOut, .request = out.SerializeAsString(), .token = *token};
  EXPECT_TRUE(Call(gateway_b_[1], sign_out).status.ok());
  EXPECT_EQ(Call(gateway_a_[0], list).status.error_code(), StatusCode::UNAUTHENTICATED);
}

// The network of this test waives the code for machines.
TEST_F(Browsers, ThereIsNoSignInWithoutACode) {
  EXPECT_TRUE(BrokerGroup::SignIn(client_[0], "jan").ok());
  for (const size_t broker : {0, 1}) {
    EXPECT_TRUE(absl::IsUnauthenticated(BrokerGroup::SignIn(gateway_a_[broker], "jan").status()));
    v1::SignInRequest request;
    request.set_request_id(NewId());
    request.set_user("jan");
    request.set_password("pw-jan");
    const GenericCall told{.path = kSignIn,
                           .request = request.SerializeAsString(),
                           .metadata = {{kBrowserAddressKey, "127.0.0.1:51234"}}};
    EXPECT_EQ(Call(gateway_a_[broker], told).status.error_code(), StatusCode::UNAUTHENTICATED);
  }
}

TEST_F(Browsers, ALostAnswerIsGivenAgainByAnotherGatewayAndBroker) {
  const std::string id = NewId();
  const std::string code = brokers_.CodeNow("jan");
  const auto lost = BrokerGroup::SignIn(gateway_a_[1], "jan", code, id);
  ASSERT_TRUE(lost.ok()) << lost.status();
  const auto again = BrokerGroup::SignIn(gateway_b_[0], "jan", code, id);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(Call(gateway_a_[0], {.path = kListPools, .token = *lost}).status.ok());
  EXPECT_TRUE(Call(gateway_a_[0], {.path = kListPools, .token = *again}).status.ok());
  EXPECT_FALSE(BrokerGroup::SignIn(gateway_b_[0], "jan", code).ok()) << "as another request";
  EXPECT_TRUE(absl::IsInvalidArgument(
      BrokerGroup::SignIn(gateway_b_[0], "piet", brokers_.CodeNow("piet"), id).status()));
}

TEST_F(Browsers, TheirAddressIsTakenFromGatewaysOnly) {
  v1::SignInRequest request;
  request.set_request_id(NewId());
  request.set_user("jan");
  request.set_password("pw-jan");
  request.set_token_code(brokers_.CodeNow("jan"));
  GenericCall call{.path = kSignIn, .request = request.SerializeAsString()};
  call.metadata = {{kBrowserAddressKey, kAddress}};
  for (const Machine* machine : {&client_, &admin_}) {
    for (const size_t broker : {0, 1}) {
      const GenericAnswer forged = Call((*machine)[broker], call);
      EXPECT_EQ(forged.status.error_code(), StatusCode::INVALID_ARGUMENT);
      EXPECT_TRUE(absl::StrContains(forged.status.error_message(), "only a gateway"))
          << forged.status.error_message();
    }
  }
  GenericCall twice = call;
  twice.metadata.emplace_back(kBrowserAddressKey, "192.0.2.9:1");
  EXPECT_EQ(Call(gateway_a_[0], twice).status.error_code(), StatusCode::INVALID_ARGUMENT);
  GenericCall name = call;
  name.metadata = {{kBrowserAddressKey, "browser.example:443"}};
  EXPECT_EQ(Call(gateway_a_[0], name).status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(AddressOf("jan"), "");
  // At a follower: the leader hears it from there.
  ASSERT_TRUE(Call(gateway_a_[1], call).status.ok());
  EXPECT_EQ(AddressOf("jan"), kAddress);
  ASSERT_TRUE(BrokerGroup::SignIn(gateway_a_[0], "piet", brokers_.CodeNow("piet")).ok());
  EXPECT_TRUE(absl::StartsWith(AddressOf("piet"), "127.0.0.1:")) << "told nothing";
}

// Nor may a broker tell it beside the caller that it forwards, nor anybody at the agents' port.
TEST_F(Browsers, BrokersAndHostsTellOfNone) {
  GenericCall greet{.path = "/werkplek.v1.PeerService/Greet"};
  const Machine broker(brokers_, v1::IDENTITY_BROKER, "b7");
  EXPECT_TRUE(Call(brokers_.AtAgentPort(0, broker.files), greet).status.ok());
  greet.metadata = {{kBrowserAddressKey, kAddress}};
  EXPECT_EQ(Call(brokers_.AtAgentPort(0, broker.files), greet).status.error_code(),
            StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Call(broker[0], {.path = kListPools, .metadata = greet.metadata}).status.error_code(),
            StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace werkplek
