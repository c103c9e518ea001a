#include "tests/support/loopback_broker/broker_group.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "broker/peer/peer_calls.h"
#include "broker/store/memory_store.h"
#include "common/base/crypto.h"
#include "common/base/loop_executor.h"
#include "common/base/mutex.h"
#include "common/tls/grpc_credentials.h"
#include "common/tls/process_tls.h"
#include "tests/support/fake_election.h"
#include "tests/support/loopback_broker/enrolments.h"
#include "tests/support/loopback_broker/or_die.h"
#include "werkplek/v1/session.grpc.pb.h"

namespace werkplek {
namespace {

NodeSettings SettingsFor(const GroupOptions& options) {
  NodeSettings settings;
  if (options.token_waived) settings.token_waived_networks = {"127.0.0.0/8"};
  settings.role_groups = {{v1::ROLE_AUDITOR, "auditors"},
                          {v1::ROLE_HELPDESK, "helpdesk"},
                          {v1::ROLE_ADMINISTRATOR, "administrators"}};
  settings.passwords = options.passwords;
  return settings;
}

std::string GroupOf(v1::Role role) {
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

}  // namespace

struct BrokerGroup::Broker {
  Broker(Executor* executor, const std::string& given_name)
      : name(given_name), election(executor), directory(executor) {
    election.SetWins(false);
  }

  LeaderInfo Heard() const {
    MutexLock lock(mutex);
    return heard;
  }

  const std::string name;
  FakeElection election;
  FakeDirectory directory;
  GrpcAgentLinks links;
  std::unique_ptr<LeaderLink> link;
  std::unique_ptr<BrokerNode> node;
  std::unique_ptr<GrpcServer> server;
  mutable Mutex mutex;
  LeaderInfo heard ABSL_GUARDED_BY(mutex);
};

struct BrokerGroup::Parts {
  Parts() : store(&executor) {}

  TestPki pki;
  LoopExecutor executor{"test-brokers"};
  MemoryStore store;
  Enrolments enrolments;
  std::vector<std::unique_ptr<Broker>> brokers;
  uint64_t epoch = 0;
};

BrokerGroup::BrokerGroup(GroupOptions options) {
  OrDie(RequireTls13InThisProcess());
  parts_ = std::make_unique<Parts>();
  Parts& p = *parts_;
  options.rpc.client_address = "127.0.0.1:0";
  options.rpc.agent_address = "127.0.0.1:0";
  const NodeSettings settings = SettingsFor(options);
  if (!options.enrolled.empty()) {
    p.enrolments.Commit(options.enrolled, &p.store, &p.executor);
    p.epoch = 1;
  }
  for (size_t i = 0; i < options.brokers; ++i) {
    p.brokers.push_back(std::make_unique<Broker>(&p.executor, absl::StrCat("b", i + 1)));
    Broker& broker = *p.brokers.back();
    for (const LoopbackPerson& person : options.people) {
      broker.directory.AddPerson(person.user, "pw-" + person.user,
                                 {"employees", GroupOf(person.role)});
    }
    const TlsFiles files = p.pki.Issue(v1::IDENTITY_BROKER, broker.name);
    LeaderLinkParts link;
    link.executor = &p.executor;
    link.leader = [raw = &broker] { return raw->Heard(); };
    link.seen = [raw = &broker](uint64_t epoch, LeaderSign sign) {
      raw->election.LeaderSeen(epoch, sign);
    };
    link.credentials = [files](const std::string& name) {
      return GrpcChannelCredentials(files, ExpectPeer({v1::IDENTITY_BROKER, name}));
    };
    broker.link = std::make_unique<LeaderLink>(LeaderLinkSettings{.own_name = broker.name}, link);
    broker.node =
        std::make_unique<BrokerNode>(settings, NodeParts{.executor = &p.executor,
                                                         .store = &p.store,
                                                         .election = &broker.election,
                                                         .directory = &broker.directory,
                                                         .agents = &broker.links,
                                                         .tokens = &p.enrolments.tokens(),
                                                         .observe = nullptr,
                                                         .leader = AskOverLink(broker.link.get())});
    RpcParts rpc;
    rpc.node = broker.node.get();
    rpc.links = &broker.links;
    rpc.credentials = OrDie(GrpcServerCredentials(files));
    rpc.broker = settings.broker;
    rpc.now = [] { return absl::Now(); };
    rpc.add_join_code = [name = broker.name](const Caller&, const v1::AddJoinCodeRequest&,
                                             auto done) {
      v1::AddJoinCodeResponse made;
      made.set_code("a-code");
      made.set_url(absl::StrCat("https://", name, "/v1/join"));
      done(made);
    };
    rpc.renew_certificate = [](const Caller& caller, const v1::RenewCertificateRequest&,
                               auto done) {
      v1::RenewCertificateResponse made;
      made.set_certificate_chain_pem(caller.peer);
      done(made);
    };
    rpc.leader = broker.link.get();
    broker.server = OrDie(GrpcServer::Start(options.rpc, std::move(rpc)));
    broker.node->Start();
    broker.link->Start();
  }
  Elect(0);
}

BrokerGroup::~BrokerGroup() {
  for (const auto& broker : parts_->brokers) {
    if (broker->server != nullptr) broker->server->Stop();
  }
  for (const auto& broker : parts_->brokers) broker->link->Stop();
  for (const auto& broker : parts_->brokers) broker->node->Stop();
  parts_->executor.Stop();
}

std::string BrokerGroup::CodeNow(const std::string& user) const {
  return parts_->enrolments.CodeNow(user);
}

void BrokerGroup::RunOnLoop(absl::FunctionRef<void()> task) {
  std::atomic<bool> ran{false};
  parts_->executor.Post([&] {
    task();
    ran = true;
    ran.notify_one();
  });
  ran.wait(false);
}

void BrokerGroup::WaitFor(const char* what, absl::FunctionRef<bool()> done) {
  const absl::Time until = absl::Now() + absl::Seconds(20);
  while (!done()) {
    if (absl::Now() > until) OrDie(absl::DeadlineExceededError(what));
    // Waits for the loop instead of for time.
    RunOnLoop([] {});
  }
}

LeaderInfo BrokerGroup::info(size_t broker) const {
  const Broker& b = *parts_->brokers[broker];
  return {.epoch = parts_->epoch,
          .name = b.name,
          .client_address = absl::StrCat("127.0.0.1:", b.server->client_port()),
          .agent_address = absl::StrCat("127.0.0.1:", b.server->agent_port())};
}

void BrokerGroup::Hears(size_t broker, const LeaderInfo& leader) {
  MutexLock lock(parts_->brokers[broker]->mutex);
  parts_->brokers[broker]->heard = leader;
}

void BrokerGroup::ElectNobody() {
  RunOnLoop([this] {
    for (const auto& broker : parts_->brokers) {
      broker->election.SetWins(false);
      parts_->epoch = std::max(parts_->epoch, broker->election.last_epoch());
    }
  });
  for (size_t i = 0; i < parts_->brokers.size(); ++i) Hears(i, {});
  WaitFor("nobody leads", [this] {
    return std::all_of(parts_->brokers.begin(), parts_->brokers.end(), [](const auto& broker) {
      return broker->node->picture() == nullptr && !broker->link->usable();
    });
  });
}

void BrokerGroup::Elect(size_t broker) {
  ElectNobody();
  RunOnLoop([&] {
    FakeElection& election = parts_->brokers[broker]->election;
    election.Surpass(parts_->epoch);
    election.SetWins(true);
    parts_->epoch = election.last_epoch();
  });
  const LeaderInfo leader = info(broker);
  for (size_t i = 0; i < parts_->brokers.size(); ++i) Hears(i, leader);
  WaitFor("the elected leads", [&] { return node(broker).picture() != nullptr; });
  WaitFor("the others can ask it", [&] {
    for (size_t i = 0; i < parts_->brokers.size(); ++i) {
      if (i != broker && !(link(i).usable() && link(i).leader() == leader)) return false;
    }
    return true;
  });
}

void BrokerGroup::StopServer(size_t broker) { parts_->brokers[broker]->server->Stop(); }

void BrokerGroup::ClosePorts(size_t broker) {
  StopServer(broker);
  parts_->brokers[broker]->server.reset();
}

TestPki& BrokerGroup::pki() { return parts_->pki; }
BrokerNode& BrokerGroup::node(size_t broker) { return *parts_->brokers[broker]->node; }
std::vector<std::pair<uint64_t, LeaderSign>> BrokerGroup::SeenBy(size_t broker) const {
  return parts_->brokers[broker]->election.seen();
}
LeaderLink& BrokerGroup::link(size_t broker) { return *parts_->brokers[broker]->link; }
GrpcServer& BrokerGroup::server(size_t broker) { return *parts_->brokers[broker]->server; }

int BrokerGroup::AskedDirectory(size_t broker) {
  int asked = 0;
  RunOnLoop([&] { asked = parts_->brokers[broker]->directory.asked(); });
  return asked;
}

void BrokerGroup::SetOutage(size_t broker, DirectoryOutcome outcome) {
  RunOnLoop([&] { parts_->brokers[broker]->directory.SetOutage(outcome); });
}

std::shared_ptr<grpc::Channel> BrokerGroup::AtClientPort(size_t broker, const TlsFiles& files) {
  return NewTestChannel(server(broker).client_port(), files);
}

std::shared_ptr<grpc::Channel> BrokerGroup::AtAgentPort(size_t broker, const TlsFiles& files) {
  return NewTestChannel(server(broker).agent_port(), files);
}

absl::StatusOr<std::string> BrokerGroup::SignIn(const std::shared_ptr<grpc::Channel>& channel,
                                                const std::string& user, const std::string& code,
                                                const std::string& request_id,
                                                const std::string& password) {
  grpc::ClientContext context;
  Prepare(context, "");
  v1::SignInRequest request;
  request.set_request_id(request_id.empty() ? HexEncode(RandomBytes(16)) : request_id);
  request.set_user(user);
  request.set_password(password.empty() ? "pw-" + user : password);
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
