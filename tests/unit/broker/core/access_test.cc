#include "broker/core/access.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "tests/unit/broker/core/driver.h"
#include "werkplek/v1/gateway.pb.h"
#include "werkplek/v1/peer.pb.h"

namespace werkplek {
namespace {

std::vector<const google::protobuf::MethodDescriptor*> AllMethods() {
  std::vector<const google::protobuf::MethodDescriptor*> methods;
  for (const auto* file :
       {v1::SignInRequest::descriptor()->file(), v1::CreateResourceRequest::descriptor()->file(),
        v1::AgentReport::descriptor()->file(), v1::GreetRequest::descriptor()->file(),
        v1::AnnounceGatewayRequest::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        methods.push_back(file->service(s)->method(m));
      }
    }
  }
  return methods;
}

TEST(AccessTest, EveryMethodHasARuleOfItsOwn) {
  std::set<const google::protobuf::Descriptor*> inputs;
  for (const auto* method : AllMethods()) {
    EXPECT_TRUE(inputs.insert(method->input_type()).second)
        << method->full_name() << " shares its request message";
    const v1::Access* access = AccessFor(method->input_type());
    ASSERT_NE(access, nullptr) << method->full_name() << " may be called by nobody";
    EXPECT_GT(access->identities_size(), 0) << method->full_name();
    EXPECT_EQ(MethodFor(method->input_type())->method, method);
  }
  EXPECT_GE(inputs.size(), 30u);
}

TEST(AccessTest, WhatNoMethodTakesMayBeCalledByNobody) {
  EXPECT_EQ(AccessFor(v1::Desktop::descriptor()), nullptr);
  EXPECT_EQ(MethodFor(v1::SignIn::descriptor()), nullptr);
}

TEST(AccessTest, PathsAreThoseOfGrpc) {
  EXPECT_EQ(MethodFor(v1::SignInRequest::descriptor())->path, "/werkplek.v1.SessionService/SignIn");
  EXPECT_EQ(MethodFor(v1::ExplainRequest::descriptor())->path, "/werkplek.v1.AdminService/Explain");
}

class AuthorizeTest : public testing::Test {
 protected:
  static std::string Peer(v1::Identity identity) {
    switch (identity) {
      case v1::IDENTITY_CLIENT:
        return "client/m-1";
      case v1::IDENTITY_HOST:
        return "host/m-1";
      case v1::IDENTITY_GATEWAY:
        return "gateway/m-1";
      case v1::IDENTITY_ADMIN:
        return "admin/m-1";
      case v1::IDENTITY_BROKER:
        return "broker/m-1";
      default:
        return "";
    }
  }
  // A sign-in with this one role.
  Caller As(v1::Identity identity, v1::Role role) {
    Caller caller;
    caller.identity = identity;
    caller.peer = Peer(identity);
    caller.certificate_sha256 = std::string(32, 'c');
    if (role == v1::ROLE_UNSPECIFIED) return caller;
    caller.token_sha256 = std::string(32, static_cast<char>('0' + role));
    v1::SignIn sign_in;
    sign_in.set_id(caller.token_sha256);
    sign_in.set_token_sha256(caller.token_sha256);
    sign_in.set_user("jan");
    sign_in.add_roles(role);
    sign_in.set_certificate_sha256(caller.certificate_sha256);
    sign_in.set_peer(caller.peer);
    sign_in.set_last_used_unix_ms(absl::ToUnixMillis(now_));
    sign_in.set_expires_unix_ms(absl::ToUnixMillis(now_ + absl::Hours(12)));
    Put(sign_in);
    return caller;
  }
  void Put(const v1::SignIn& sign_in) {
    v1::Change change;
    change.set_table(std::string(kSignInTable));
    change.set_key(sign_in.id());
    change.set_value(sign_in.SerializeAsString());
    ASSERT_TRUE(ApplyChange(change, fleet_));
  }
  absl::Status Judge(const v1::Access& access, const Caller& caller) {
    return Authorize(fleet_, access, caller, settings_, now_);
  }

  Fleet fleet_;
  BrokerSettings settings_;
  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
};

TEST_F(AuthorizeTest, EveryMethodByEveryIdentityAndRole) {
  size_t allowed = 0;
  size_t denied = 0;
  for (const auto* method : AllMethods()) {
    const v1::Access& access = *AccessFor(method->input_type());
    for (int identity = 0; identity < v1::Identity_ARRAYSIZE; ++identity) {
      for (int role = 0; role < v1::Role_ARRAYSIZE; ++role) {
        const absl::Status status =
            Judge(access, As(static_cast<v1::Identity>(identity), static_cast<v1::Role>(role)));
        const auto& identities = access.identities();
        const auto& roles = access.roles();
        const bool known =
            std::find(identities.begin(), identities.end(), identity) != identities.end();
        const bool has = std::find(roles.begin(), roles.end(), role) != roles.end();
        const bool may = identity != v1::IDENTITY_UNSPECIFIED && known && (roles.empty() || has);
        EXPECT_EQ(status.ok(), may) << method->full_name() << " by " << identity << "/" << role;
        if (!known) {
          EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
        }
        if (known && !roles.empty() && role == v1::ROLE_UNSPECIFIED) {
          EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated);
        }
        ++(may ? allowed : denied);
      }
    }
  }
  EXPECT_GT(allowed, 0u);
  EXPECT_GT(denied, allowed);
}

TEST_F(AuthorizeTest, AnEmptyRuleIsForNobody) {
  EXPECT_FALSE(Judge(v1::Access(), As(v1::IDENTITY_ADMIN, v1::ROLE_ADMINISTRATOR)).ok());
}

TEST_F(AuthorizeTest, ASignInMustLive) {
  const v1::Access& access = *AccessFor(v1::ListPoolsRequest::descriptor());
  Caller jan = As(v1::IDENTITY_CLIENT, v1::ROLE_EMPLOYEE);
  EXPECT_TRUE(Judge(access, jan).ok());
  EXPECT_EQ(SignInFault(fleet_, jan, settings_, now_), "");

  Caller other = jan;
  other.token_sha256 = std::string(32, 'x');
  EXPECT_EQ(Judge(access, other).message(), "sign in first");
  EXPECT_EQ(SignInFault(fleet_, other, settings_, now_), "unknown token");
  other.token_sha256.clear();
  EXPECT_EQ(SignInFault(fleet_, other, settings_, now_), "no token");
  EXPECT_TRUE(absl::IsUnauthenticated(Judge(access, other)));

  Caller stolen = jan;
  stolen.certificate_sha256 = std::string(32, 'd');
  EXPECT_EQ(Judge(access, stolen).message(), "sign in first");
  EXPECT_EQ(SignInFault(fleet_, stolen, settings_, now_), "another machine");

  now_ += absl::Minutes(30) - absl::Milliseconds(1);
  EXPECT_TRUE(Judge(access, jan).ok());
  now_ += absl::Milliseconds(1);
  EXPECT_EQ(SignInFault(fleet_, jan, settings_, now_), "idle");
  EXPECT_EQ(Judge(access, jan).message(), "sign in first");
}

TEST_F(AuthorizeTest, TwelveHoursAreTheEndWhateverTheUse) {
  const Caller jan = As(v1::IDENTITY_CLIENT, v1::ROLE_EMPLOYEE);
  v1::SignIn sign_in = *SignInOf(fleet_, jan);
  now_ += absl::Hours(12) - absl::Milliseconds(1);
  sign_in.set_last_used_unix_ms(absl::ToUnixMillis(now_));
  Put(sign_in);
  EXPECT_EQ(SignInFault(fleet_, jan, settings_, now_), "");
  now_ += absl::Milliseconds(1);
  EXPECT_EQ(SignInFault(fleet_, jan, settings_, now_), "expired");
}

TEST_F(AuthorizeTest, AConnectedDisplayKeepsTheSignInAwake) {
  const Caller jan = As(v1::IDENTITY_CLIENT, v1::ROLE_EMPLOYEE);
  v1::Session session;
  session.set_id("s-1");
  session.set_user("jan");
  session.set_pool("kantoor");
  session.set_sign_in(jan.token_sha256);
  session.set_state(v1::SESSION_STATE_ACTIVE);
  v1::Change change;
  change.set_table(std::string(kSessionTable));
  change.set_key("s-1");
  change.set_value(session.SerializeAsString());
  ASSERT_TRUE(ApplyChange(change, fleet_));
  now_ += absl::Hours(3);
  EXPECT_EQ(SignInFault(fleet_, jan, settings_, now_), "");
  // Not for ever, and only that sign-in's own display.
  EXPECT_EQ(SignInFault(fleet_, jan, settings_, now_ + absl::Hours(9)), "expired");
  session.set_sign_in("another");
  change.set_value(session.SerializeAsString());
  ASSERT_TRUE(ApplyChange(change, fleet_));
  EXPECT_EQ(SignInFault(fleet_, jan, settings_, now_), "idle");
}

TEST_F(AuthorizeTest, ASignInThroughAGatewayCountsAtEveryGatewayAndNowhereElse) {
  const v1::Access& access = *AccessFor(v1::ListPoolsRequest::descriptor());
  const Caller here = As(v1::IDENTITY_GATEWAY, v1::ROLE_EMPLOYEE);
  ASSERT_TRUE(IsThroughGateway(*SignInOf(fleet_, here)));
  EXPECT_TRUE(Judge(access, here).ok());
  Caller there = here;
  there.peer = "gateway/m-2";
  there.certificate_sha256 = std::string(32, 'd');
  EXPECT_TRUE(Judge(access, there).ok());
  // Though the certificate were the same.
  for (const v1::Identity identity : {v1::IDENTITY_CLIENT, v1::IDENTITY_ADMIN}) {
    Caller thief = here;
    thief.identity = identity;
    thief.peer = Peer(identity);
    EXPECT_EQ(Judge(access, thief).message(), "sign in first");
    EXPECT_EQ(SignInFault(fleet_, thief, settings_, now_), "another machine");
  }
  now_ += absl::Minutes(30);
  EXPECT_EQ(SignInFault(fleet_, there, settings_, now_), "idle");
}

TEST_F(AuthorizeTest, ASignInOfAMachineCountsAtNoGateway) {
  const v1::Access& access = *AccessFor(v1::ListPoolsRequest::descriptor());
  for (const v1::Identity identity : {v1::IDENTITY_CLIENT, v1::IDENTITY_ADMIN}) {
    const Caller jan = As(identity, v1::ROLE_EMPLOYEE);
    EXPECT_FALSE(IsThroughGateway(*SignInOf(fleet_, jan)));
    Caller gateway = jan;
    gateway.identity = v1::IDENTITY_GATEWAY;
    gateway.peer = Peer(gateway.identity);
    EXPECT_EQ(Judge(access, gateway).message(), "sign in first");
    EXPECT_EQ(SignInFault(fleet_, gateway, settings_, now_), "another machine");
    EXPECT_TRUE(Judge(access, jan).ok());
  }
}

}  // namespace
}  // namespace werkplek
