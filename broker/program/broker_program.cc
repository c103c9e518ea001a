#include "broker/program/broker_program.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "broker/core/turn.h"
#include "broker/directory/ldap_directory.h"
#include "broker/election/etcd_election.h"
#include "broker/election/standalone_election.h"
#include "broker/etcd/clock_watch.h"
#include "broker/node/broker_node.h"
#include "broker/peer/peer_calls.h"
#include "broker/program/broker_metrics.h"
#include "broker/program/own_certificate.h"
#include "broker/program/revoked_codes.h"
#include "broker/rpc/grpc_server.h"
#include "broker/store/etcd_store.h"
#include "broker/store/sqlite_store.h"
#include "broker/token/token_authority.h"
#include "common/base/loop_executor.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/http/http_server.h"
#include "common/http/join_endpoint.h"
#include "common/metrics/metrics.h"
#include "common/pki/certificate_office.h"
#include "common/program/self_probe.h"
#include "common/program/watchdog.h"
#include "common/tls/certificate.h"
#include "common/tls/grpc_credentials.h"

namespace werkplek {
namespace {

constexpr absl::Duration kProbeInterval = absl::Seconds(5);
constexpr absl::Duration kProbeLimit = absl::Seconds(3);
constexpr absl::Duration kRenewalCheck = absl::Minutes(10);
constexpr absl::Duration kLeaderLook = absl::Milliseconds(50);
// Less than a newcomer's whole request may take.
constexpr std::chrono::seconds kRecordLimit(5);

// They hold a secret, so that they are moved only.
FenceCommandSettings CopyOf(const FenceCommandSettings& given) {
  FenceCommandSettings copy;
  copy.command = given.command;
  copy.options = given.options;
  copy.secret_options = Secret(std::string(given.secret_options.Reveal()));
  copy.hosts = given.hosts;
  copy.timeout = given.timeout;
  copy.parallel = given.parallel;
  return copy;
}

// The peer that the transport proved ("host/hv-a1").
absl::StatusOr<PeerName> PeerOfCaller(const Caller& caller) {
  return ParsePeerUri(absl::StrCat("werkplek://", caller.peer));
}

// The first certificate of the chain, which is its machine's.
absl::StatusOr<CertificateIssued> IssuedIn(const std::string& chain_pem) {
  ASSIGN_OR_RETURN(const PeerCertificate made, ReadPeerCertificatePem(chain_pem));
  CertificateIssued issued;
  issued.peer = PeerLabel(made.name);
  issued.certificate_sha256 = made.sha256;
  return issued;
}

}  // namespace

// In the order of building; destroyed in reverse.
struct BrokerProgram::Parts {
  explicit Parts(BrokerConfig given) : config(std::move(given)) {}

  void Leading();
  absl::Status BuildStore();
  void BuildLeaderLink();
  absl::Status MayJoinHere() const;
  void AddJoinCode(const Caller& caller, const v1::AddJoinCodeRequest& request,
                   absl::AnyInvocable<void(absl::StatusOr<v1::AddJoinCodeResponse>)> done);
  void RenewCertificate(
      const Caller& caller, const v1::RenewCertificateRequest& request,
      absl::AnyInvocable<void(absl::StatusOr<v1::RenewCertificateResponse>)> done);
  absl::Status RecordJoin(const std::string& chain_pem, const std::string& address);
  absl::Time RevokedBefore(const PeerName& peer) const;
  absl::Status BuildState();
  absl::Status BuildTrust();
  absl::Status Serve();
  void RenewAgainLater();
  absl::Status Probe();

  const BrokerConfig config;
  Metrics metrics;
  BrokerMetrics broker_metrics{&metrics};
  LoopExecutor loop{"broker"};
  // Keeps the lease while the broker is busy.
  LoopExecutor election_loop{"election"};
  std::unique_ptr<EtcdClient> etcd;
  std::unique_ptr<Store> store;
  std::unique_ptr<Election> election;
  std::unique_ptr<LdapDirectory> directory;
  std::unique_ptr<TokenAuthority> tokens;
  // Null when no program is configured.
  std::unique_ptr<CommandFencer> fencer;
  GrpcAgentLinks links;
  // The way to the broker that leads; null when this is the only one.
  std::unique_ptr<LeaderLink> leader;
  // Null when there is nobody to compare clocks with.
  std::unique_ptr<ClockWatch> clock;
  std::unique_ptr<BrokerNode> node;
  Mutex mutex;
  CondVar changed;
  bool leading ABSL_GUARDED_BY(mutex) = false;

  std::unique_ptr<CertificateAuthority> authority;
  std::unique_ptr<JoinCodes> codes;
  std::unique_ptr<RevokedCodes> revoked_codes;
  std::unique_ptr<CertificateOffice> office;
  std::unique_ptr<FollowingContext> join_context;
  std::unique_ptr<FollowingContext> probe_context;
  std::unique_ptr<GrpcServer> server;
  std::unique_ptr<HttpServer> join;
  std::unique_ptr<Watchdog> watchdog;
};

absl::Status BrokerProgram::Parts::BuildStore() {
  if (!config.store.in_etcd) {
    ASSIGN_OR_RETURN(
        auto file, SqliteStore::Open(config.store.sqlite_file, &loop, config.store.audit_records));
    election = std::make_unique<StandaloneElection>(
        &loop,
        [raw = file.get()](absl::AnyInvocable<void(absl::StatusOr<uint64_t>)> done) {
          raw->ClaimEpoch(std::move(done));
        },
        config.store.own);
    store = std::move(file);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(etcd, EtcdClient::Create(config.store.etcd));
  EtcdStoreSettings store_settings = config.store.etcd_store;
  store_settings.audit_records = config.store.audit_records;
  store = std::make_unique<EtcdStore>(store_settings, etcd.get(), &loop);
  EtcdElectionSettings settings;
  settings.own = config.store.own;
  settings.lease_ttl = config.store.lease_ttl;
  election = std::make_unique<EtcdElection>(
      settings, etcd.get(), &election_loop, &loop,
      [this](absl::string_view what) { broker_metrics.Count("election", what); });
  return absl::OkStatus();
}

absl::Status BrokerProgram::Parts::BuildState() {
  RETURN_IF_ERROR(BuildStore());
  // A copy of the settings that can be moved from: they hold a secret.
  DirectorySettings settings(config.directory);
  ASSIGN_OR_RETURN(directory, LdapDirectory::Create(std::move(settings), &loop));
  ASSIGN_OR_RETURN(tokens, TokenAuthority::Create(config.sealing_key, config.organisation));
  NodeParts parts;
  parts.executor = &loop;
  parts.store = store.get();
  parts.election = election.get();
  parts.directory = directory.get();
  parts.agents = &links;
  parts.tokens = tokens.get();
  if (!config.fencing.command.empty()) {
    fencer = std::make_unique<CommandFencer>(CopyOf(config.fencing), &loop);
  }
  parts.fencer = fencer.get();
  parts.observe = [this](const Effect& effect) { broker_metrics.Observe(effect); };
  if (config.store.in_etcd) {
    BuildLeaderLink();
    clock = std::make_unique<ClockWatch>(ClockWatchSettings{}, config.store.etcd.endpoints,
                                         AskEtcdForTime(config.store.etcd), &loop);
    parts.clock_good = [this] { return clock->good(); };
    parts.leader = AskOverLink(leader.get());
  }
  node = std::make_unique<BrokerNode>(config.node, parts);
  return absl::OkStatus();
}

void BrokerProgram::Parts::BuildLeaderLink() {
  LeaderLinkSettings settings;
  settings.own_name = config.name;
  LeaderLinkParts parts;
  parts.executor = &loop;
  parts.leader = [this] { return election->leader(); };
  parts.seen = [this](uint64_t epoch, LeaderSign sign) { election->LeaderSeen(epoch, sign); };
  parts.credentials = [this](const std::string& name) {
    return GrpcChannelCredentials(config.tls, ExpectPeer({v1::IDENTITY_BROKER, name}));
  };
  leader = std::make_unique<LeaderLink>(settings, parts);
}

// Codes are known to the broker that leads only, and what was revoked, too.
absl::Status BrokerProgram::Parts::MayJoinHere() const {
  if (leader == nullptr || node->picture() != nullptr) return absl::OkStatus();
  const LeaderInfo known = leader->leader();
  return absl::UnavailableError(
      absl::StrCat("this broker does not lead now",
                   known.epoch == 0 ? "" : absl::StrCat(" (", known.name, " does)"),
                   "; ask an administrator for a new code, which says where to join"));
}

// A code is made first and given out when the audit has it. One that it never got is known to
// nobody, and the machine's code of before is dead all the same: who asked asks again.
void BrokerProgram::Parts::AddJoinCode(
    const Caller& caller, const v1::AddJoinCodeRequest& request,
    absl::AnyInvocable<void(absl::StatusOr<v1::AddJoinCodeResponse>)> done) {
  absl::StatusOr<v1::AddJoinCodeResponse> made = office->AddJoinCode(request, caller.peer);
  if (!made.ok()) return done(made.status());
  node->Call(caller, std::make_shared<const v1::AddJoinCodeRequest>(request),
             [made = *std::move(made),
              done = std::move(done)](const absl::StatusOr<MessagePointer>& recorded) mutable {
               if (!recorded.ok()) return done(recorded.status());
               done(std::move(made));
             });
}

void BrokerProgram::Parts::RenewCertificate(
    const Caller& caller, const v1::RenewCertificateRequest& request,
    absl::AnyInvocable<void(absl::StatusOr<v1::RenewCertificateResponse>)> done) {
  const absl::StatusOr<PeerName> peer = PeerOfCaller(caller);
  if (!peer.ok()) return done(peer.status());
  absl::StatusOr<v1::RenewCertificateResponse> made = office->RenewCertificate(
      *peer, absl::FromUnixMillis(caller.certificate_issued_unix_ms), request);
  if (!made.ok()) return done(made.status());
  absl::StatusOr<CertificateIssued> issued = IssuedIn(made->certificate_chain_pem());
  if (!issued.ok()) return done(issued.status());
  issued->origin = Origin(caller);
  node->RecordCertificate(*std::move(issued),
                          [made = *std::move(made), done = std::move(done)](
                              const absl::StatusOr<MessagePointer>& recorded) mutable {
                            if (!recorded.ok()) return done(recorded.status());
                            done(std::move(made));
                          });
}

// On the thread of the endpoint. Only who has a good code comes here and makes others wait.
absl::Status BrokerProgram::Parts::RecordJoin(const std::string& chain_pem,
                                              const std::string& address) {
  ASSIGN_OR_RETURN(CertificateIssued issued, IssuedIn(chain_pem));
  issued.joined = true;
  issued.origin = address;
  // Shared: the answer may come after this gave up.
  const auto recorded = std::make_shared<std::promise<bool>>();
  node->RecordCertificate(std::move(issued),
                          [recorded](const absl::StatusOr<MessagePointer>& answer) {
                            recorded->set_value(answer.ok());
                          });
  std::future<bool> answer = recorded->get_future();
  if (answer.wait_for(kRecordLimit) == std::future_status::ready && answer.get()) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(
      "the broker cannot write down now that this machine joined; ask an administrator for a new "
      "code and try again");
}

absl::Status BrokerProgram::Parts::BuildTrust() {
  ASSIGN_OR_RETURN(authority, CertificateAuthority::Load(config.authority));
  codes = std::make_unique<JoinCodes>(JoinCodeLimits{}, [this] { return loop.Monotonic(); });
  revoked_codes = std::make_unique<RevokedCodes>(codes.get());
  office = std::make_unique<CertificateOffice>(
      OfficeSettings{config.certificate_lifetime, config.join_url,
                     [this](const PeerName& peer) { return RevokedBefore(peer); }},
      authority.get(), codes.get(), [this] { return loop.Now(); });
  RETURN_IF_ERROR(RenewOwnCertificateWhenDue(config, *authority, loop.Now()).status());
  ASSIGN_OR_RETURN(join_context, FollowingContext::Create(config.tls, MakeOpenServerContext));
  ASSIGN_OR_RETURN(probe_context, FollowingContext::Create(config.tls, [](const TlsMaterial& own) {
                     return MakeClientContext(own, ExpectIdentity({v1::IDENTITY_BROKER}));
                   }));
  return absl::OkStatus();
}

absl::Status BrokerProgram::Parts::Serve() {
  RpcParts parts;
  parts.node = node.get();
  parts.links = &links;
  ASSIGN_OR_RETURN(parts.credentials, GrpcServerCredentials(config.tls));
  parts.broker = config.node.broker;
  parts.now = [this] { return loop.Now(); };
  parts.add_join_code = [this](const Caller& caller, const v1::AddJoinCodeRequest& request,
                               auto done) { AddJoinCode(caller, request, std::move(done)); };
  parts.renew_certificate = [this](const Caller& caller, const v1::RenewCertificateRequest& request,
                                   auto done) {
    RenewCertificate(caller, request, std::move(done));
  };
  parts.leader = leader.get();
  parts.observe = [this](absl::string_view what, absl::string_view label) {
    broker_metrics.Count(what, label);
  };
  node->Watch([this](const Committed& committed) {
    if (committed.reloaded) Leading();
    revoked_codes->After(committed, election->leader().epoch);
  });
  node->Start();
  if (leader != nullptr) leader->Start();
  ASSIGN_OR_RETURN(server, GrpcServer::Start(config.rpc, std::move(parts)));
  HttpServerSettings http;
  http.address = config.join_address;
  http.name = "join";
  ASSIGN_OR_RETURN(
      join, HttpServer::Start(http, join_context.get(),
                              JoinEndpoint(
                                  office.get(), [this] { return MayJoinHere(); },
                                  [this](const std::string& chain_pem, const std::string& address) {
                                    return RecordJoin(chain_pem, address);
                                  })));
  metrics.BeforeScrape([this] {
    broker_metrics.ReadFleet(node->picture().get());
    broker_metrics.SetAgentsConnected(links.size());
    broker_metrics.SetClockGood(clock == nullptr || clock->good());
  });
  if (!config.metrics_address.empty()) RETURN_IF_ERROR(metrics.Serve(config.metrics_address));
  watchdog = std::make_unique<Watchdog>(
      kProbeInterval, [this] { return Probe(); },
      [this](bool good) { broker_metrics.SetSelfProbe(good); });
  RenewAgainLater();
  Log(Severity::kInfo, "broker-started",
      {{"name", config.name},
       {"version", WERKPLEK_VERSION},
       {"clients", std::to_string(server->client_port())},
       {"agents", std::to_string(server->agent_port())},
       {"join", std::to_string(join->port())},
       {"metrics", std::to_string(metrics.port())}});
  return absl::OkStatus();
}

void BrokerProgram::Parts::Leading() {
  MutexLock lock(mutex);
  leading = true;
  changed.SignalAll();
}

absl::Time BrokerProgram::Parts::RevokedBefore(const PeerName& peer) const {
  const Picture picture = node->picture();
  const v1::Revocation* revocation =
      picture == nullptr ? nullptr : picture->revocations.Find(PeerLabel(peer));
  return revocation == nullptr ? absl::InfinitePast()
                               : absl::FromUnixMillis(revocation->issued_before_unix_ms());
}

void BrokerProgram::Parts::RenewAgainLater() {
  loop.PostAfter(kRenewalCheck, [this] {
    const absl::StatusOr<bool> renewed = RenewOwnCertificateWhenDue(config, *authority, loop.Now());
    if (!renewed.ok()) {
      Log(Severity::kError, "own-certificate-not-renewed",
          {{"reason", std::string(renewed.status().message())}});
    } else if (*renewed) {
      Log(Severity::kInfo, "own-certificate-renewed", {{"file", config.tls.certificate}});
    }
    RenewAgainLater();
  });
}

absl::Status BrokerProgram::Parts::Probe() {
  RETURN_IF_ERROR(ProbeLoop(&loop, kProbeLimit));
  const SslContextPointer context = probe_context->Get();
  RETURN_IF_ERROR(ProbeTls(config.rpc.client_address, server->client_port(), context, kProbeLimit));
  return ProbeTls(config.rpc.agent_address, server->agent_port(), context, kProbeLimit);
}

absl::StatusOr<std::unique_ptr<BrokerProgram>> BrokerProgram::Start(BrokerConfig config) {
  std::unique_ptr<BrokerProgram> program(
      new BrokerProgram(std::make_unique<Parts>(std::move(config))));
  RETURN_IF_ERROR(program->parts_->BuildState());
  RETURN_IF_ERROR(program->parts_->BuildTrust());
  RETURN_IF_ERROR(program->parts_->Serve());
  return program;
}

BrokerProgram::BrokerProgram(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

bool BrokerProgram::WaitUntilLeading(absl::Duration limit) {
  const absl::Duration deadline = parts_->loop.Monotonic() + limit;
  MutexLock lock(parts_->mutex);
  while (!parts_->leading) {
    LeaderInfo leader = parts_->election->leader();
    const bool known = leader.epoch != 0;
    leader.epoch = 0;
    if (known && leader != parts_->config.store.own) return true;
    const absl::Duration rest = deadline - parts_->loop.Monotonic();
    if (rest <= absl::ZeroDuration()) return false;
    parts_->changed.WaitFor(parts_->mutex, std::min(rest, kLeaderLook));
  }
  return true;
}

BrokerProgram::~BrokerProgram() {
  Parts& parts = *parts_;
  parts.metrics.StopServing();
  parts.watchdog.reset();
  parts.join.reset();
  if (parts.server != nullptr) parts.server->Stop();
  if (parts.leader != nullptr) parts.leader->Stop();
  if (parts.node != nullptr) parts.node->Stop();
  // Nothing posted runs from here on: the tasks refer to the parts below.
  parts.loop.Stop();
}

}  // namespace werkplek
