// Every method x identity x role, asked at the leader and at a broker that follows it: the answers
// are the same.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"
#include "tests/integration/rpc/generic_call.h"
#include "tests/support/loopback_broker/broker_group.h"
#include "werkplek/v1/access.pb.h"

namespace werkplek {
namespace {

constexpr size_t kLeader = 0;
constexpr size_t kFollower = 1;

const std::vector<v1::Role> kSignedIn = {v1::ROLE_EMPLOYEE, v1::ROLE_AUDITOR, v1::ROLE_HELPDESK,
                                         v1::ROLE_ADMINISTRATOR};
const std::vector<v1::Identity> kIdentities = {v1::IDENTITY_CLIENT, v1::IDENTITY_HOST,
                                               v1::IDENTITY_GATEWAY, v1::IDENTITY_ADMIN,
                                               v1::IDENTITY_BROKER};

std::string PersonOf(v1::Role role) {
  return role == v1::ROLE_UNSPECIFIED ? "" : absl::AsciiStrToLower(v1::Role_Name(role).substr(5));
}

class ForwardMatrix : public testing::Test {
 protected:
  ForwardMatrix() : brokers_(Options()) {
    for (const v1::Identity identity : kIdentities) {
      const TlsFiles files = brokers_.pki().Issue(identity, "m-1");
      for (const size_t broker : {kLeader, kFollower}) {
        channels_[{identity, broker}] = brokers_.AtClientPort(broker, files);
      }
      tokens_[{identity, v1::ROLE_UNSPECIFIED}] = "";
      const bool may_sign_in = identity != v1::IDENTITY_HOST && identity != v1::IDENTITY_BROKER;
      for (const v1::Role role : kSignedIn) {
        // Hosts and brokers cannot sign anybody in; they try with a token of someone else. Half of
        // the others sign in at the follower.
        const v1::Identity through = may_sign_in ? identity : v1::IDENTITY_CLIENT;
        const auto token = BrokerGroup::SignIn(
            channels_.at({through, static_cast<size_t>(role) % 2}), PersonOf(role),
            through == v1::IDENTITY_GATEWAY ? brokers_.CodeNow(PersonOf(role)) : "");
        EXPECT_TRUE(token.ok()) << token.status();
        tokens_[{identity, role}] = token.ok() ? *token : "none";
      }
    }
  }

  static GroupOptions Options() {
    GroupOptions options;
    options.rpc.machine_sign_ins = {.per_second = 1000, .burst = 1000};
    for (const v1::Role role : kSignedIn) {
      options.people.push_back({PersonOf(role), role});
      options.enrolled.push_back(PersonOf(role));
    }
    return options;
  }

  std::string Ask(size_t broker, const std::string& path, v1::Identity identity, v1::Role role,
                  absl::Duration deadline) {
    GenericCall call;
    call.path = path;
    call.token = tokens_.at({identity, role});
    call.deadline = deadline;
    const GenericAnswer answer = Call(channels_.at({identity, broker}), call);
    return absl::StrCat(answer.answered ? "answered" : "not answered", ", ",
                        answer.status.error_code(), " ", answer.status.error_message(),
                        answer.retry_after_ms);
  }

  BrokerGroup brokers_;
  std::map<std::pair<v1::Identity, size_t>, std::shared_ptr<grpc::Channel>> channels_;
  std::map<std::pair<v1::Identity, v1::Role>, std::string> tokens_;
};

TEST_F(ForwardMatrix, EveryCellIsAnsweredAlikeAtTheLeaderAndAtAFollower) {
  int cells = 0;
  int answered = 0;
  for (const char* name :
       {"werkplek.v1.AdminService", "werkplek.v1.AgentService", "werkplek.v1.GatewayService",
        "werkplek.v1.SessionService", "werkplek.v1.PeerService"}) {
    const auto* service =
        google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(name);
    ASSERT_NE(service, nullptr) << name;
    for (int m = 0; m < service->method_count(); ++m) {
      const std::string path = absl::StrCat("/", name, "/", service->method(m)->name());
      for (const v1::Identity identity : kIdentities) {
        for (int role = 0; role <= v1::ROLE_ADMINISTRATOR; ++role) {
          const auto as = static_cast<v1::Role>(role);
          const std::string leader = Ask(kLeader, path, identity, as, absl::Seconds(10));
          EXPECT_EQ(Ask(kFollower, path, identity, as, absl::Seconds(10)), leader)
              << path << " as " << v1::Identity_Name(identity) << " with " << v1::Role_Name(as);
          ++cells;
          answered += leader.rfind("answered", 0) == 0 ? 1 : 0;
        }
      }
    }
  }
  EXPECT_GE(cells, 40 * 25) << "methods are missing from the walk";
  EXPECT_GE(answered, 40) << "hardly any call got past its checks";
}

TEST_F(ForwardMatrix, ACallWithoutADeadlineIsRefusedAlike) {
  for (const char* path :
       {"/werkplek.v1.SessionService/ListPools", "/werkplek.v1.SessionService/SignIn"}) {
    const std::string leader =
        Ask(kLeader, path, v1::IDENTITY_CLIENT, v1::ROLE_EMPLOYEE, absl::ZeroDuration());
    EXPECT_EQ(Ask(kFollower, path, v1::IDENTITY_CLIENT, v1::ROLE_EMPLOYEE, absl::ZeroDuration()),
              leader);
    EXPECT_NE(leader.find("deadline"), std::string::npos) << leader;
  }
}

}  // namespace
}  // namespace werkplek
