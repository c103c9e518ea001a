#include "tests/bench/agent_load.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/time/clock.h"
#include "agent/link/broker_link.h"
#include "broker/store/sqlite_store.h"
#include "common/base/loop_executor.h"
#include "common/base/status_macros.h"
#include "common/pki/authority.h"
#include "common/pki/key_request.h"
#include "tests/bench/bench_fleet.h"

namespace werkplek {
namespace {

constexpr int kLoops = 2;

// In memory: credentials that follow their files would cost a thread for each agent.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> HostCredentials(
    const CertificateAuthority& authority, const std::string& host) {
  ASSIGN_OR_RETURN(const Secret key, NewPrivateKeyPem());
  ASSIGN_OR_RETURN(const std::string request, NewCertificateRequestPem(key));
  CertificateTerms terms;
  terms.peer = {v1::IDENTITY_HOST, host};
  ASSIGN_OR_RETURN(const std::string certificate, authority.Issue(request, terms, absl::Now()));
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = authority.certificate_pem();
  options.pem_private_key = std::string(key.Reveal());
  options.pem_cert_chain = certificate;
  return grpc::SslCredentials(options);
}

struct Counts {
  std::atomic<uint64_t> reports = 0;
  std::atomic<uint64_t> heard = 0;
  std::atomic<uint64_t> links = 0;
};

class LoadAgent {
 public:
  LoadAgent(const AgentLoadSettings& settings, std::string host,
            std::shared_ptr<grpc::ChannelCredentials> credentials, BenchHosts* hosts,
            Executor* executor, Counts* counts)
      : settings_(settings),
        host_(std::move(host)),
        hosts_(hosts),
        executor_(executor),
        counts_(counts) {
    BrokerLinkSettings link;
    link.brokers = settings.brokers;
    BrokerLinkListener listener;
    listener.up = [this] {
      up_ = true;
      ++counts_->links;
      Send();
    };
    listener.down = [this](const absl::Status&) { up_ = false; };
    listener.command = [this](const v1::AgentCommand& command) {
      if (command.verb() == v1::COMMAND_HEARD) ++counts_->heard;
      hosts_->Obey(host_, command);
    };
    link_ = std::make_unique<BrokerLink>(link, std::move(credentials), executor, listener);
  }

  // The first report `delay` from now, so that the agents do not speak at one moment.
  void Start(absl::Duration delay) {
    link_->Start();
    executor_->PostAfter(delay, [this] { Beat(); });
  }
  void Stop() { link_->Stop(); }

 private:
  void Beat() {
    executor_->PostAfter(settings_.interval, [this] { Beat(); });
    if (up_) Send();
  }
  void Send() {
    ++counts_->reports;
    link_->Send(hosts_->NextReport(host_));
  }

  const AgentLoadSettings& settings_;
  const std::string host_;
  BenchHosts* const hosts_;
  Executor* const executor_;
  Counts* const counts_;
  std::unique_ptr<BrokerLink> link_;
  // On the executor only.
  bool up_ = false;
};

}  // namespace

absl::Status MakeFleetStore(const FleetStoreSettings& settings) {
  LoopExecutor loop("store");
  ASSIGN_OR_RETURN(const auto store, SqliteStore::Open(settings.file, &loop));
  return FillBenchStore(*store, settings.desktops, settings.hosts, loop.Now());
}

absl::StatusOr<std::string> RunAgentLoad(const AgentLoadSettings& settings) {
  ASSIGN_OR_RETURN(
      const auto authority,
      CertificateAuthority::Load({settings.authority + "/ca.pem", settings.authority + "/ca.key"}));
  BenchHosts hosts(settings.desktops, settings.hosts);
  Counts counts;
  std::vector<std::unique_ptr<LoopExecutor>> loops;
  for (int i = 0; i < kLoops; ++i) loops.push_back(std::make_unique<LoopExecutor>("agents"));
  std::vector<std::unique_ptr<LoadAgent>> agents;
  for (const std::string& host : hosts.names()) {
    ASSIGN_OR_RETURN(auto credentials, HostCredentials(*authority, host));
    agents.push_back(std::make_unique<LoadAgent>(settings, host, std::move(credentials), &hosts,
                                                 loops[agents.size() % kLoops].get(), &counts));
  }
  for (size_t i = 0; i < agents.size(); ++i) {
    agents[i]->Start(settings.interval * static_cast<double>(i) /
                     static_cast<double>(agents.size()));
  }
  std::cout << "ready" << std::endl;
  std::cin.ignore(std::numeric_limits<std::streamsize>::max());
  for (const auto& agent : agents) agent->Stop();
  for (const auto& loop : loops) loop->Stop();
  return nlohmann::json{{"reports", counts.reports.load()},
                        {"heard", counts.heard.load()},
                        {"links", counts.links.load()}}
      .dump();
}

}  // namespace werkplek
