#include "tests/support/etcd/etcd_cluster.h"

#include <signal.h>

#include <cstdio>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace werkplek {
namespace {

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "etcd cluster: %s\n", what.c_str());
  std::abort();
}

std::string Url(int port) { return absl::StrCat("https://127.0.0.1:", port); }

}  // namespace

EtcdCluster::EtcdCluster(EtcdClusterOptions options) : options_(std::move(options)) {
  server_ = pki_.Issue(v1::IDENTITY_HOST, "etcd");
  client_ = pki_.Issue(v1::IDENTITY_BROKER, "b1");
  std::vector<std::string> cluster;
  for (int i = 0; i < options_.members; ++i) {
    Member member;
    member.name = absl::StrCat("m", i);
    member.client_port = FreeLoopbackPort();
    member.peer_port = FreeLoopbackPort();
    cluster.push_back(absl::StrCat(member.name, "=", Url(member.peer_port)));
    members_.push_back(std::move(member));
  }
  initial_cluster_ = absl::StrJoin(cluster, ",");
  for (Member& member : members_) Start(member, "new");
  WaitUntilReady();
}

EtcdCluster::~EtcdCluster() {
  for (Member& member : members_) {
    member.process->Signal(SIGCONT);
    member.process->Signal(SIGKILL);
    member.process->Wait(absl::Seconds(10));
  }
}

void EtcdCluster::Start(Member& member, const std::string& state) {
  const std::string client = Url(member.client_port);
  const std::string peer = Url(member.peer_port);
  std::vector<std::string> arguments = {"etcd",
                                        "--name",
                                        member.name,
                                        "--data-dir",
                                        folder_.File(member.name),
                                        "--listen-client-urls",
                                        client,
                                        "--advertise-client-urls",
                                        client,
                                        "--listen-peer-urls",
                                        peer,
                                        "--initial-advertise-peer-urls",
                                        peer,
                                        "--initial-cluster",
                                        initial_cluster_,
                                        "--initial-cluster-state",
                                        state,
                                        "--cert-file",
                                        server_.certificate,
                                        "--key-file",
                                        server_.key,
                                        "--trusted-ca-file",
                                        server_.ca,
                                        "--client-cert-auth",
                                        "--peer-cert-file",
                                        server_.certificate,
                                        "--peer-key-file",
                                        server_.key,
                                        "--peer-trusted-ca-file",
                                        server_.ca,
                                        "--peer-client-cert-auth",
                                        "--logger",
                                        "zap",
                                        "--log-level",
                                        "warn",
                                        "--pre-vote"};
  arguments.insert(arguments.end(), options_.arguments.begin(), options_.arguments.end());
  ChildOptions child;
  child.output_file = folder_.File(member.name + ".log");
  member.process = std::make_unique<ChildProcess>(arguments, child);
}

void EtcdCluster::WaitUntilReady() {
  const auto client = Client(Settings("/ready/"));
  etcdserverpb::TxnRequest txn;
  auto* put = txn.add_success()->mutable_request_put();
  put->set_key("/ready/x");
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (!client->TxnAndWait(txn, EtcdRepeat::kAlways, absl::Seconds(5)).ok()) {
    if (absl::Now() < deadline) continue;
    std::string output;
    for (const Member& member : members_) {
      absl::StrAppend(&output, ReadWholeFile(folder_.File(member.name + ".log")), "\n");
    }
    Die("no writes after 30 s:\n" + output);
  }
}

EtcdSettings EtcdCluster::Settings() {
  return Settings(absl::StrCat("/werkplek-", ++prefixes_, "/"));
}

EtcdSettings EtcdCluster::Settings(const std::string& prefix, std::vector<std::string> endpoints) {
  EtcdSettings settings;
  settings.endpoints = endpoints.empty() ? this->endpoints() : std::move(endpoints);
  settings.certificate = client_.certificate;
  settings.key = client_.key;
  settings.ca = client_.ca;
  settings.prefix = prefix;
  settings.attempt_timeout = absl::Milliseconds(700);
  return settings;
}

std::unique_ptr<EtcdClient> EtcdCluster::Client(const EtcdSettings& settings) {
  auto client = EtcdClient::Create(settings);
  if (!client.ok()) Die(client.status().ToString());
  return *std::move(client);
}

std::vector<std::string> EtcdCluster::endpoints() const {
  std::vector<std::string> endpoints;
  for (const Member& member : members_) {
    endpoints.push_back(absl::StrCat("127.0.0.1:", member.client_port));
  }
  return endpoints;
}

std::string EtcdCluster::Ctl(std::vector<std::string> arguments) {
  std::vector<std::string> all = {
      "etcdctl",           "--endpoints", absl::StrJoin(endpoints(), ","),
      "--cacert",          client_.ca,    "--cert",
      client_.certificate, "--key",       client_.key};
  all.insert(all.end(), arguments.begin(), arguments.end());
  ChildOptions options;
  options.environment = {"ETCDCTL_API=3"};
  const auto output = RunProgram(all, absl::Seconds(30), options);
  if (!output.ok()) Die(output.status().ToString());
  return *output;
}

int EtcdCluster::Leader() {
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (absl::Now() < deadline) {
    for (const std::string& line :
         std::vector<std::string>(absl::StrSplit(Ctl({"endpoint", "status"}), '\n'))) {
      // "127.0.0.1:PORT, ID, VERSION, SIZE, LEADER, LEARNER, ..."
      const std::vector<std::string> fields = absl::StrSplit(line, ", ");
      if (fields.size() < 5 || fields[4] != "true") continue;
      for (int i = 0; i < members(); ++i) {
        if (fields[0] == endpoints()[i]) return i;
      }
    }
  }
  Die("it has no leader");
}

void EtcdCluster::Kill(int member) {
  members_[member].process->Signal(SIGKILL);
  members_[member].process->Wait(absl::Seconds(10));
}

void EtcdCluster::Restart(int member) { Start(members_[member], "existing"); }

}  // namespace werkplek
