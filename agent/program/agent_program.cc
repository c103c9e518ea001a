#include "agent/program/agent_program.h"

#include <fstream>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/hypervisor/accelerator.h"
#include "agent/hypervisor/libvirt_hypervisor.h"
#include "agent/hypervisor/qemu_process.h"
#include "agent/image/image_store.h"
#include "agent/image/shared_storage.h"
#include "agent/program/agent_runner.h"
#include "common/base/crypto.h"
#include "common/base/folder.h"
#include "common/base/log.h"
#include "common/base/loop_executor.h"
#include "common/base/status_macros.h"
#include "common/program/self_probe.h"
#include "common/program/watchdog.h"
#include "common/renewal/certificate_renewer.h"
#include "common/tls/grpc_credentials.h"
#include "common/tls/ssl_context.h"

namespace werkplek {
namespace {

constexpr absl::Duration kProbeInterval = absl::Seconds(5);
constexpr absl::Duration kProbeLimit = absl::Seconds(4);
constexpr absl::Duration kRenewalCheck = absl::Minutes(10);
constexpr size_t kRunBytes = 8;

// New at each boot of the machine (random(4)).
absl::StatusOr<std::string> ReadBootId() {
  const std::string path = "/proc/sys/kernel/random/boot_id";
  std::ifstream file(path);
  std::string id;
  if (!(file >> id)) return absl::UnavailableError(absl::StrCat("cannot read ", path));
  return id;
}

// Once for each change, as it is asked every few seconds; `told` is what was told of each.
void TellOnce(const std::string& kind, const std::string& name, const absl::Status& status,
              std::map<std::string, std::string>& told) {
  std::string& before = told[name];
  if (!status.ok() && before != status.message()) {
    Log(Severity::kError, absl::StrCat(kind, "-not-at-hand"),
        {{kind, name}, {"error", std::string(status.message())}});
  }
  before = std::string(status.message());
}

}  // namespace

// In the order of their building; they go in reverse.
struct AgentProgram::Parts {
  explicit Parts(AgentConfig given) : config(std::move(given)) {}

  absl::Status BuildHost();
  absl::Status BuildTrust();
  absl::Status Serve();
  // On one thread.
  std::vector<std::string> CheckStorages();
  // On one other.
  std::vector<std::string> CheckNetworks();
  absl::Status Probe();

  AgentConfig config;
  Metrics metrics;
  LoopExecutor executor{"agent-loop"};
  std::unique_ptr<LibvirtHypervisor> hypervisor;
  std::optional<ImageStore> images;
  std::map<std::string, std::unique_ptr<SharedStorage>> storages;
  std::map<std::string, std::string> storage_errors;
  std::map<std::string, std::string> network_errors;
  std::unique_ptr<FollowingContext> relay_context;
  std::unique_ptr<FollowingContext> probe_context;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  std::unique_ptr<AgentRunner> runner;
  std::unique_ptr<CertificateRenewer> renewer;
  std::unique_ptr<Watchdog> watchdog;
};

absl::Status AgentProgram::Parts::BuildHost() {
  RETURN_IF_ERROR(MakeFolder(config.data_dir, 0700));
  ASSIGN_OR_RETURN(ImageStore store, ImageStore::Open(config.data_dir, config.core.image_folders));
  images.emplace(std::move(store));
  RETURN_IF_ERROR(MakeFolder(config.data_dir + "/storages", 0700));
  for (const StorageConfig& storage : config.storages) {
    storages[storage.name] = std::make_unique<SharedStorage>(
        SharedStorageOptions{.name = storage.name,
                             .path = storage.path,
                             .host = config.host,
                             .id_file = absl::StrCat(config.data_dir, "/storages/", storage.name),
                             .plain_folder = storage.plain_folder,
                             .image_folders = config.core.image_folders});
  }
  LibvirtOptions options;
  options.uri = config.hypervisor;
  options.move_tls = config.migration_tls;
  options.threads += static_cast<int>(config.core.max_moves);
  config.core.lock_manager = LockManagerOf(config.hypervisor);
  ASSIGN_OR_RETURN(options.accelerator, FindAccelerator(config.data_dir + "/accelerator"));
  config.core.accelerator = std::string(AcceleratorName(options.accelerator));
  ASSIGN_OR_RETURN(hypervisor, LibvirtHypervisor::Open(options));
  return absl::OkStatus();
}

std::vector<std::string> AgentProgram::Parts::CheckStorages() {
  std::vector<std::string> at_hand;
  for (const auto& [name, storage] : storages) {
    const absl::Status status = storage->AtHand();
    if (status.ok()) at_hand.push_back(name);
    TellOnce("storage", name, status, storage_errors);
  }
  return at_hand;
}

std::vector<std::string> AgentProgram::Parts::CheckNetworks() {
  std::vector<std::string> at_hand;
  for (const HostNetwork& network : config.core.networks) {
    const absl::Status status = hypervisor->NetworkAtHand(network);
    if (status.ok()) at_hand.push_back(network.name);
    TellOnce("network", network.name, status, network_errors);
  }
  return at_hand;
}

absl::Status AgentProgram::Parts::BuildTrust() {
  ASSIGN_OR_RETURN(credentials,
                   GrpcChannelCredentials(config.tls, ExpectIdentity({v1::IDENTITY_BROKER})));
  // Hosts, for the watchdog's own probe: no ticket is a host's.
  const auto is_viewer = ExpectIdentity(
      {v1::IDENTITY_CLIENT, v1::IDENTITY_ADMIN, v1::IDENTITY_GATEWAY, v1::IDENTITY_HOST});
  ASSIGN_OR_RETURN(relay_context,
                   FollowingContext::Create(config.tls, [is_viewer](const TlsMaterial& own) {
                     return MakeServerContext(own, is_viewer);
                   }));
  const auto is_this_host = ExpectPeer({v1::IDENTITY_HOST, config.host});
  ASSIGN_OR_RETURN(probe_context,
                   FollowingContext::Create(config.tls, [is_this_host](const TlsMaterial& own) {
                     return MakeClientContext(own, is_this_host);
                   }));
  return absl::OkStatus();
}

absl::Status AgentProgram::Parts::Serve() {
  AgentRunnerParts parts;
  parts.settings = config.core;
  parts.host = config.host;
  parts.agent_run = HexEncode(executor.RandomBytes(kRunBytes));
  ASSIGN_OR_RETURN(parts.boot_id, ReadBootId());
  parts.epoch_file = config.data_dir + "/epoch";
  parts.data_folder = config.data_dir;
  parts.executor = &executor;
  parts.hypervisor = hypervisor.get();
  parts.heard_file = config.heard_file;
  parts.images = FunctionsOf(*images, storages);
  parts.check_storages = [this] { return CheckStorages(); };
  parts.check_networks = [this] { return CheckNetworks(); };
  parts.relay_tls = relay_context.get();
  parts.relay.addresses = config.relay_listen;
  parts.relay.origins = config.relay_origins;
  parts.relay.believe_gateways = true;
  parts.link.brokers = config.brokers;
  parts.credentials = credentials;
  parts.metrics = &metrics;
  ASSIGN_OR_RETURN(runner, AgentRunner::Start(std::move(parts)));
  if (!config.metrics_address.empty()) RETURN_IF_ERROR(metrics.Serve(config.metrics_address));
  renewer = std::make_unique<CertificateRenewer>(
      RenewalTerms{config.tls, config.brokers, credentials}, kRenewalCheck);
  watchdog = std::make_unique<Watchdog>(
      kProbeInterval, [this] { return Probe(); }, nullptr);
  Log(Severity::kInfo, "agent-started",
      {{"host", config.host},
       {"version", WERKPLEK_VERSION},
       {"hypervisor", config.hypervisor},
       {"accelerator", config.core.accelerator},
       {"relay", absl::StrCat(runner->relay_port())}});
  return absl::OkStatus();
}

absl::Status AgentProgram::Parts::Probe() {
  RETURN_IF_ERROR(ProbeLoop(&executor, kProbeLimit));
  return ProbeTls(config.relay_listen.front(), runner->relay_port(), probe_context->Get(),
                  kProbeLimit, [this] { return runner->turned_away(); });
}

AgentProgram::AgentProgram(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

AgentProgram::~AgentProgram() = default;

absl::StatusOr<std::unique_ptr<AgentProgram>> AgentProgram::Start(AgentConfig config) {
  std::unique_ptr<AgentProgram> program(
      new AgentProgram(std::make_unique<Parts>(std::move(config))));
  RETURN_IF_ERROR(program->parts_->BuildHost());
  RETURN_IF_ERROR(program->parts_->BuildTrust());
  RETURN_IF_ERROR(program->parts_->Serve());
  return program;
}

}  // namespace werkplek
