// Every method x every identity x every role, on both ports: who may call reaches the handler, who
// may not is refused before it.
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"
#include "tests/integration/rpc/generic_call.h"
#include "tests/support/loopback_broker/loopback_broker.h"
#include "werkplek/v1/access.pb.h"

namespace werkplek {
namespace {

using google::protobuf::MethodDescriptor;

const std::vector<v1::Role> kSignedIn = {v1::ROLE_EMPLOYEE, v1::ROLE_AUDITOR, v1::ROLE_HELPDESK,
                                         v1::ROLE_ADMINISTRATOR};
const std::vector<v1::Identity> kIdentities = {v1::IDENTITY_CLIENT, v1::IDENTITY_HOST,
                                               v1::IDENTITY_GATEWAY, v1::IDENTITY_ADMIN,
                                               v1::IDENTITY_BROKER};
// Who may come to which port at all.
const std::set<v1::Identity> kAtClientPort = {v1::IDENTITY_CLIENT, v1::IDENTITY_GATEWAY,
                                              v1::IDENTITY_ADMIN};
const std::set<v1::Identity> kAtAgentPort = {v1::IDENTITY_HOST, v1::IDENTITY_BROKER};

std::vector<const MethodDescriptor*> Methods(const std::vector<const char*>& services) {
  std::vector<const MethodDescriptor*> methods;
  for (const char* name : services) {
    const auto* service =
        google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(name);
    for (int i = 0; service != nullptr && i < service->method_count(); ++i) {
      methods.push_back(service->method(i));
    }
  }
  // What ends the sign-in comes last.
  std::stable_partition(methods.begin(), methods.end(), [](const MethodDescriptor* method) {
    return method->name() != "SignOut" && method->name() != "RevokeSignIns";
  });
  return methods;
}

std::string Path(const MethodDescriptor* method) {
  return absl::StrCat("/", method->service()->full_name(), "/", method->name());
}

std::string PersonOf(v1::Role role) {
  return role == v1::ROLE_UNSPECIFIED ? "" : absl::AsciiStrToLower(v1::Role_Name(role).substr(5));
}

struct Cell {
  const MethodDescriptor* method;
  v1::Identity identity;
  // UNSPECIFIED: no token.
  v1::Role role;
  bool at_agent_port;
  // Of the machine where the token was given; UNSPECIFIED: of the one that calls.
  v1::Identity signed_in_at = v1::IDENTITY_UNSPECIFIED;
};

// What the method's option says of this cell.
grpc::StatusCode Expected(const Cell& cell) {
  const v1::Access access = cell.method->options().GetExtension(v1::access);
  const std::set<v1::Identity>& here = cell.at_agent_port ? kAtAgentPort : kAtClientPort;
  const auto& identities = access.identities();
  if (here.count(cell.identity) == 0 ||
      std::find(identities.begin(), identities.end(), cell.identity) == identities.end()) {
    return grpc::StatusCode::PERMISSION_DENIED;
  }
  if (access.roles().empty()) return grpc::StatusCode::OK;
  if (cell.role == v1::ROLE_UNSPECIFIED || cell.signed_in_at != v1::IDENTITY_UNSPECIFIED) {
    return grpc::StatusCode::UNAUTHENTICATED;
  }
  for (const int role : access.roles()) {
    if (role == v1::ROLE_EMPLOYEE || role == cell.role) return grpc::StatusCode::OK;
  }
  return grpc::StatusCode::PERMISSION_DENIED;
}

class AccessMatrix : public testing::Test {
 protected:
  AccessMatrix() : broker_(Options()) {
    for (const v1::Identity identity : kIdentities) {
      const TlsFiles files = broker_.pki().Issue(identity, "m-1");
      at_client_port_[identity] = broker_.AtClientPort(files);
      at_agent_port_[identity] = NewTestChannel(broker_.server().agent_port(), files);
      tokens_[{identity, v1::ROLE_UNSPECIFIED}] = "";
      for (const v1::Role role : kSignedIn) {
        // Hosts and brokers cannot sign anybody in; they try with a token of someone else.
        const v1::Identity through =
            kAtClientPort.count(identity) != 0 ? identity : v1::IDENTITY_CLIENT;
        const auto token =
            broker_.SignIn(at_client_port_.at(through), PersonOf(role),
                           through == v1::IDENTITY_GATEWAY ? broker_.CodeNow(PersonOf(role)) : "");
        EXPECT_TRUE(token.ok()) << token.status();
        tokens_[{identity, role}] = token.ok() ? *token : "none";
      }
    }
  }

  static LoopbackOptions Options() {
    LoopbackOptions options;
    options.rpc.machine_sign_ins = {.per_second = 1000, .burst = 1000};
    for (const v1::Role role : kSignedIn) {
      options.people.push_back({PersonOf(role), role});
      options.enrolled.push_back(PersonOf(role));
    }
    return options;
  }

  // Runs one cell and says what is wrong with it; empty: nothing.
  std::string Judge(const Cell& cell) {
    const auto& channels = cell.at_agent_port ? at_agent_port_ : at_client_port_;
    GenericCall call;
    call.path = Path(cell.method);
    const bool own = cell.signed_in_at == v1::IDENTITY_UNSPECIFIED;
    call.token = tokens_.at({own ? cell.identity : cell.signed_in_at, cell.role});
    const GenericAnswer answer = Call(channels.at(cell.identity), call);
    const grpc::StatusCode code = answer.status.error_code();
    const grpc::StatusCode expected = Expected(cell);
    const bool denied = !answer.answered && (code == grpc::StatusCode::PERMISSION_DENIED ||
                                             code == grpc::StatusCode::UNAUTHENTICATED);
    // Attach refuses the empty report for its host, which only its handler can.
    const bool reached =
        answer.answered ||
        (!denied && code != grpc::StatusCode::UNIMPLEMENTED &&
         code != grpc::StatusCode::UNAVAILABLE) ||
        absl::StrContains(answer.status.error_message(), "cannot report about another host");
    const bool right = expected == grpc::StatusCode::OK ? reached : denied && code == expected;
    if (right) return "";
    return absl::StrCat(call.path, " as ", v1::Identity_Name(cell.identity), " with ",
                        v1::Role_Name(cell.role),
                        own ? "" : absl::StrCat(" of ", v1::Identity_Name(cell.signed_in_at)),
                        cell.at_agent_port ? " at the agent port" : "", ": ", code, " ",
                        answer.status.error_message(), ", expected ", expected);
  }

  int Walk(const std::vector<const char*>& services, bool at_agent_port) {
    int cells = 0;
    for (const MethodDescriptor* method : Methods(services)) {
      for (const v1::Identity identity : kIdentities) {
        for (int role = 0; role <= v1::ROLE_ADMINISTRATOR; ++role) {
          EXPECT_EQ(Judge({method, identity, static_cast<v1::Role>(role), at_agent_port}), "");
          ++cells;
        }
      }
    }
    return cells;
  }

  LoopbackBroker broker_;
  std::map<v1::Identity, std::shared_ptr<grpc::Channel>> at_client_port_;
  std::map<v1::Identity, std::shared_ptr<grpc::Channel>> at_agent_port_;
  std::map<std::pair<v1::Identity, v1::Role>, std::string> tokens_;
};

TEST_F(AccessMatrix, EveryCellAtTheClientPort) {
  const int cells = Walk({"werkplek.v1.AdminService", "werkplek.v1.AgentService",
                          "werkplek.v1.GatewayService", "werkplek.v1.SessionService"},
                         false);
  EXPECT_GE(cells, 30 * 25) << "methods are missing from the walk";
}

TEST_F(AccessMatrix, EveryCellAtTheAgentPort) {
  EXPECT_EQ(Walk({"werkplek.v1.AgentService", "werkplek.v1.PeerService"}, true), 5 * 25);
}

// A browser's sign-in is none at a machine of another kind, nor a machine's at a gateway.
TEST_F(AccessMatrix, ATokenOfAnotherKindOfMachineIsNone) {
  int cells = 0;
  for (const MethodDescriptor* method :
       Methods({"werkplek.v1.AdminService", "werkplek.v1.SessionService"})) {
    for (const v1::Identity identity : kAtClientPort) {
      for (const v1::Identity other : kAtClientPort) {
        if (other == identity) continue;
        for (const v1::Role role : kSignedIn) {
          EXPECT_EQ(Judge({method, identity, role, false, other}), "");
          ++cells;
        }
      }
    }
  }
  EXPECT_GE(cells, 25 * 6 * 4) << "methods are missing from the walk";
}

TEST_F(AccessMatrix, AnotherMachineOfTheSameKindCountsWhenItIsAGateway) {
  int reached = 0;
  for (const v1::Identity identity : kAtClientPort) {
    const auto another = broker_.AtClientPort(identity, "m-2");
    for (const MethodDescriptor* method : Methods({"werkplek.v1.SessionService"})) {
      if (method->options().GetExtension(v1::access).roles().empty()) continue;
      GenericCall call;
      call.path = Path(method);
      call.token = tokens_.at({identity, v1::ROLE_EMPLOYEE});
      const GenericAnswer answer = Call(another, call);
      const bool refused =
          !answer.answered && answer.status.error_code() == grpc::StatusCode::UNAUTHENTICATED;
      EXPECT_EQ(refused, identity != v1::IDENTITY_GATEWAY)
          << v1::Identity_Name(identity) << " " << call.path << answer.status.error_message();
      reached += !refused;
    }
  }
  EXPECT_EQ(reached, 5);
}

// The session and admin services are not at the agents' port at all.
TEST_F(AccessMatrix, OtherServicesAreNotAtTheAgentPort) {
  for (const MethodDescriptor* method :
       Methods({"werkplek.v1.SessionService", "werkplek.v1.AdminService",
                "werkplek.v1.GatewayService"})) {
    GenericCall call;
    call.path = Path(method);
    EXPECT_EQ(Call(at_agent_port_.at(v1::IDENTITY_HOST), call).status.error_code(),
              grpc::StatusCode::UNIMPLEMENTED)
        << call.path;
  }
}

TEST(AccessOptions, EveryMethodHasOneAndARequestOfItsOwn) {
  std::set<const google::protobuf::Descriptor*> requests;
  const auto methods =
      Methods({"werkplek.v1.AdminService", "werkplek.v1.AgentService", "werkplek.v1.GatewayService",
               "werkplek.v1.PeerService", "werkplek.v1.SessionService"});
  ASSERT_GE(methods.size(), 30u);
  for (const MethodDescriptor* method : methods) {
    EXPECT_FALSE(method->options().GetExtension(v1::access).identities().empty())
        << Path(method) << " has no (access) option, so nobody may call it";
    EXPECT_TRUE(requests.insert(method->input_type()).second)
        << Path(method) << " shares its request message, by which handlers find their rule";
  }
}

}  // namespace
}  // namespace werkplek
