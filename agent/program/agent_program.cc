#include "agent/program/agent_program.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/display/display_service.h"
#include "agent/hypervisor/accelerator.h"
#include "agent/hypervisor/libvirt_hypervisor.h"
#include "agent/image/image_store.h"
#include "agent/link/broker_link.h"
#include "agent/program/agent_loop.h"
#include "agent/program/epoch_file.h"
#include "agent/program/host_load.h"
#include "common/base/log.h"
#include "common/base/loop_executor.h"
#include "common/base/status_macros.h"
#include "common/program/self_probe.h"
#include "common/program/watchdog.h"
#include "common/tls/grpc_credentials.h"
#include "common/tls/ssl_context.h"

namespace werkplek {
namespace {

constexpr absl::Duration kProbeInterval = absl::Seconds(5);
constexpr absl::Duration kProbeLimit = absl::Seconds(4);
constexpr size_t kRunBytes = 8;

// New at each boot of the machine (random(4)).
absl::StatusOr<std::string> ReadBootId() {
  const std::string path = "/proc/sys/kernel/random/boot_id";
  std::ifstream file(path);
  std::string id;
  if (!(file >> id)) return absl::UnavailableError(absl::StrCat("cannot read ", path));
  return id;
}

absl::Status MakeFolder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return absl::PermissionDeniedError(
        absl::StrCat("data_dir: cannot make ", folder, ": ", error.message()));
  }
  return absl::OkStatus();
}

}  // namespace

// In the order of their building; they go in reverse.
struct AgentProgram::Parts {
  explicit Parts(AgentConfig given) : config(std::move(given)) {}
  ~Parts();

  absl::Status BuildHost();
  absl::Status BuildLoop();
  absl::Status Serve();
  absl::Status Probe();

  AgentConfig config;
  LoopExecutor executor{"agent-loop"};
  std::unique_ptr<LibvirtHypervisor> hypervisor;
  std::optional<ImageStore> images;
  std::unique_ptr<FollowingContext> relay_context;
  std::unique_ptr<FollowingContext> probe_context;
  std::unique_ptr<AgentLoop> loop;
  std::unique_ptr<DisplayService> display;
  std::unique_ptr<BrokerLink> link;
  std::unique_ptr<Watchdog> watchdog;
};

AgentProgram::Parts::~Parts() {
  watchdog.reset();
  // First what brings events, then the loop; its effects find nobody, so they must have ended.
  if (hypervisor != nullptr) hypervisor->Listen(nullptr);
  if (link != nullptr) link->Stop();
  loop.reset();
  executor.Stop();
}

absl::Status AgentProgram::Parts::BuildHost() {
  RETURN_IF_ERROR(MakeFolder(config.data_dir));
  ASSIGN_OR_RETURN(ImageStore store, ImageStore::Open(config.data_dir));
  images.emplace(std::move(store));
  LibvirtOptions options;
  options.uri = config.hypervisor;
  ASSIGN_OR_RETURN(options.accelerator, FindAccelerator(config.data_dir + "/accelerator"));
  config.core.accelerator = std::string(AcceleratorName(options.accelerator));
  ASSIGN_OR_RETURN(hypervisor, LibvirtHypervisor::Open(options));
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

absl::Status AgentProgram::Parts::BuildLoop() {
  ASSIGN_OR_RETURN(const std::string boot_id, ReadBootId());
  const std::string epoch_path = config.data_dir + "/epoch";
  ASSIGN_OR_RETURN(const uint64_t seen_epoch, ReadEpochFile(epoch_path));
  RelayOptions relay;
  relay.addresses = config.relay_listen;
  relay.origins = config.relay_origins;
  ASSIGN_OR_RETURN(display, DisplayService::Start(relay, {.executor = &executor,
                                                          .hypervisor = hypervisor.get(),
                                                          .tls = relay_context.get(),
                                                          .sink = [this](const AgentEvent& event) {
                                                            if (loop != nullptr) loop->Post(event);
                                                          }}));
  AgentCore core(config.core, config.host, HexEncode(executor.RandomBytes(kRunBytes)), boot_id,
                 seen_epoch);
  AgentLoopParts parts;
  parts.executor = &executor;
  parts.hypervisor = hypervisor.get();
  parts.images = FunctionsOf(*images);
  parts.persist_epoch = [epoch_path](uint64_t epoch) { return WriteEpochFile(epoch_path, epoch); };
  parts.read_load = [this] { return ReadHostLoad(*hypervisor, config.data_dir); };
  parts.send_report = [this](v1::AgentReport report) { link->Send(std::move(report)); };
  parts.answer_ticket = [this](const agent::AnswerTicket& answer) { display->Answer(answer); };
  parts.close_display = [this](const agent::CloseDisplay& close) { display->Close(close); };
  loop = std::make_unique<AgentLoop>(config.core, std::move(core), std::move(parts));
  return absl::OkStatus();
}

absl::Status AgentProgram::Parts::Serve() {
  ASSIGN_OR_RETURN(auto credentials,
                   GrpcChannelCredentials(config.tls, ExpectIdentity({v1::IDENTITY_BROKER})));
  BrokerLinkListener listener;
  listener.up = [this] { loop->Post(agent::LinkUp{}); };
  listener.down = [this](const absl::Status&) { loop->Post(agent::LinkDown{}); };
  listener.command = [this](const v1::AgentCommand& command) {
    loop->Post(agent::CommandReceived{command});
  };
  BrokerLinkSettings settings;
  settings.brokers = config.brokers;
  link = std::make_unique<BrokerLink>(settings, std::move(credentials), &executor, listener);
  hypervisor->Listen(
      [this](const HypervisorEvent& event) { loop->Post(agent::DomainChanged{event}); });
  loop->Start();
  link->Start();
  watchdog = std::make_unique<Watchdog>(
      kProbeInterval, [this] { return Probe(); }, nullptr);
  Log(Severity::kInfo, "agent-started",
      {{"host", config.host},
       {"version", WERKPLEK_VERSION},
       {"hypervisor", config.hypervisor},
       {"accelerator", config.core.accelerator},
       {"relay", absl::StrCat(display->ports().front())}});
  return absl::OkStatus();
}

absl::Status AgentProgram::Parts::Probe() {
  RETURN_IF_ERROR(ProbeLoop(&executor, kProbeLimit));
  return ProbeTls(config.relay_listen.front(), display->ports().front(), probe_context->Get(),
                  kProbeLimit);
}

AgentProgram::AgentProgram(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

AgentProgram::~AgentProgram() = default;

absl::StatusOr<std::unique_ptr<AgentProgram>> AgentProgram::Start(AgentConfig config) {
  std::unique_ptr<AgentProgram> program(
      new AgentProgram(std::make_unique<Parts>(std::move(config))));
  RETURN_IF_ERROR(program->parts_->BuildHost());
  RETURN_IF_ERROR(program->parts_->BuildLoop());
  RETURN_IF_ERROR(program->parts_->Serve());
  return program;
}

}  // namespace werkplek
