#include "tests/support/loopback_broker/loopback_broker.h"

#include <atomic>

#include "absl/time/clock.h"
#include "broker/election/standalone_election.h"
#include "broker/store/memory_store.h"
#include "common/base/crypto.h"
#include "common/base/loop_executor.h"
#include "common/base/mutex.h"
#include "common/tls/grpc_credentials.h"
#include "common/tls/process_tls.h"
#include "tests/support/fake_directory.h"
#include "tests/support/loopback_broker/enrolments.h"
#include "tests/support/loopback_broker/or_die.h"
#include "werkplek/v1/agent.grpc.pb.h"
#include "werkplek/v1/session.grpc.pb.h"

namespace werkplek {
namespace {

const char* GroupOf(v1::Role role) {
  switch (role) {
    case v1::ROLE_AUDITOR:
      return "auditors";
    case v1::ROLE_HELPDESK:
      return "helpdesk";
    case v1::ROLE_ADMINISTRATOR:
      return "administrators";
    default:
      return "employees";
  }
}

NodeSettings SettingsForTests() {
  NodeSettings settings;
  settings.token_waived_networks = {"127.0.0.0/8"};
  for (const v1::Role role : {v1::ROLE_AUDITOR, v1::ROLE_HELPDESK, v1::ROLE_ADMINISTRATOR}) {
    settings.role_groups.emplace_back(role, GroupOf(role));
  }
  return settings;
}

}  // namespace

struct LoopbackBroker::Parts {
  explicit Parts(const LoopbackOptions& options)
      : store(&executor),
        election(&executor, [this](auto done) { store.ClaimEpoch(std::move(done)); }),
        directory(&executor) {
    for (const LoopbackPerson& person : options.people) {
      directory.AddPerson(person.user, "pw-" + person.user, {"employees", GroupOf(person.role)});
    }
  }

  TestPki pki;
  LoopExecutor executor{"test-broker"};
  MemoryStore store;
  StandaloneElection election;
  FakeDirectory directory;
  Enrolments enrolments;
  GrpcAgentLinks links;
  std::unique_ptr<BrokerNode> node;
  std::unique_ptr<GrpcServer> server;
};

LoopbackBroker::LoopbackBroker(LoopbackOptions options) {
  OrDie(RequireTls13InThisProcess());
  parts_ = std::make_unique<Parts>(options);
  Parts& p = *parts_;
  p.directory.SetDelay(options.directory_delay);
  if (!options.enrolled.empty()) p.enrolments.Commit(options.enrolled, &p.store, &p.executor);
  const NodeSettings settings = SettingsForTests();
  p.node = std::make_unique<BrokerNode>(settings, NodeParts{.executor = &p.executor,
                                                            .store = &p.store,
                                                            .election = &p.election,
                                                            .directory = &p.directory,
                                                            .agents = &p.links,
                                                            .tokens = &p.enrolments.tokens(),
                                                            .observe = nullptr});
  options.rpc.client_address = "127.0.0.1:0";
  options.rpc.agent_address = "127.0.0.1:0";
  RpcParts rpc;
  rpc.node = p.node.get();
  rpc.links = &p.links;
  rpc.credentials = OrDie(GrpcServerCredentials(p.pki.Issue(v1::IDENTITY_BROKER, "b1")));
  rpc.broker = settings.broker;
  rpc.now = [] { return absl::Now(); };
  rpc.add_join_code = [](const Caller&, const v1::AddJoinCodeRequest&, auto done) {
    v1::AddJoinCodeResponse made;
    made.set_code("test-code");
    done(made);
  };
  rpc.renew_certificate = [](const Caller& caller, const v1::RenewCertificateRequest&, auto done) {
    v1::RenewCertificateResponse made;
    made.set_certificate_chain_pem(caller.peer);
    done(made);
  };
  p.server = OrDie(GrpcServer::Start(options.rpc, std::move(rpc)));
  p.node->Start();
  const absl::Time until = absl::Now() + absl::Seconds(20);
  std::atomic<bool> looked{false};
  while (p.node->picture() == nullptr) {
    if (absl::Now() > until) OrDie(absl::DeadlineExceededError("the broker does not lead"));
    // Waits for the loop instead of for time.
    looked = false;
    p.executor.Post([&looked] {
      looked = true;
      looked.notify_one();
    });
    looked.wait(false);
  }
}

LoopbackBroker::~LoopbackBroker() {
  parts_->server->Stop();
  parts_->node->Stop();
  parts_->election.Stop();
  parts_->executor.Stop();
}

TestPki& LoopbackBroker::pki() { return parts_->pki; }
BrokerNode& LoopbackBroker::node() { return *parts_->node; }
GrpcServer& LoopbackBroker::server() { return *parts_->server; }

std::shared_ptr<grpc::Channel> LoopbackBroker::AtClientPort(v1::Identity identity,
                                                            const std::string& name) {
  return AtClientPort(parts_->pki.Issue(identity, name));
}

std::shared_ptr<grpc::Channel> LoopbackBroker::AtClientPort(const TlsFiles& files) {
  return NewTestChannel(parts_->server->client_port(), files);
}

std::shared_ptr<grpc::Channel> LoopbackBroker::AtAgentPort(v1::Identity identity,
                                                           const std::string& name) {
  return NewTestChannel(parts_->server->agent_port(), parts_->pki.Issue(identity, name));
}

std::string LoopbackBroker::ServedCertificateSha256() {
  struct Seen {
    Mutex mutex;
    std::string sha256 ABSL_GUARDED_BY(mutex);
  };
  const auto seen = std::make_shared<Seen>();
  const TlsFiles files = parts_->pki.Issue(v1::IDENTITY_CLIENT, "onlooker");
  const auto channel =
      NewTestChannel(parts_->server->client_port(), files, [seen](const PeerCertificate& peer) {
        MutexLock lock(seen->mutex);
        seen->sha256 = peer.sha256;
        return absl::OkStatus();
      });
  // Until its first call a connection counts as of nobody.
  grpc::ClientContext context;
  Prepare(context, "");
  v1::RenewCertificateResponse response;
  (void)v1::AgentService::NewStub(channel)->RenewCertificate(&context, {}, &response);
  MutexLock lock(seen->mutex);
  return seen->sha256;
}

std::string LoopbackBroker::CodeNow(const std::string& user) const {
  return parts_->enrolments.CodeNow(user);
}

absl::StatusOr<std::string> LoopbackBroker::SignIn(const std::shared_ptr<grpc::Channel>& channel,
                                                   const std::string& user,
                                                   const std::string& code) {
  grpc::ClientContext context;
  Prepare(context, "");
  v1::SignInRequest request;
  request.set_request_id(HexEncode(RandomBytes(16)));
  request.set_user(user);
  request.set_password("pw-" + user);
  request.set_token_code(code);
  v1::SignInResponse response;
  const grpc::Status status =
      v1::SessionService::NewStub(channel)->SignIn(&context, request, &response);
  if (!status.ok()) {
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  }
  return response.access_token();
}

}  // namespace werkplek
