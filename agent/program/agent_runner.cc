#include "agent/program/agent_runner.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/program/epoch_file.h"
#include "agent/program/heard_file.h"
#include "agent/program/host_load.h"
#include "common/base/status_macros.h"

namespace werkplek {

absl::StatusOr<std::unique_ptr<AgentRunner>> AgentRunner::Start(AgentRunnerParts parts) {
  std::unique_ptr<AgentRunner> runner(new AgentRunner(std::move(parts)));
  RETURN_IF_ERROR(runner->Build());
  return runner;
}

AgentRunner::AgentRunner(AgentRunnerParts parts) : parts_(std::move(parts)) {}

absl::Status AgentRunner::Build() {
  ASSIGN_OR_RETURN(const uint64_t seen_epoch, ReadEpochFile(parts_.epoch_file));
  const auto post = [life = life_](AgentEvent event) {
    if (life->runner != nullptr) life->runner->loop_->Post(std::move(event));
  };
  ASSIGN_OR_RETURN(display_, DisplayService::Start(parts_.relay, {.executor = parts_.executor,
                                                                  .hypervisor = parts_.hypervisor,
                                                                  .tls = parts_.relay_tls,
                                                                  .sink = post}));
  AgentSettings settings = parts_.settings;
  if (settings.relays.empty()) {
    const std::vector<int> ports = display_->ports();
    for (size_t i = 0; i < ports.size(); ++i) {
      const std::string& address = parts_.relay.addresses[i];
      settings.relays.push_back(absl::StrCat(address.substr(0, address.rfind(':')), ":", ports[i]));
    }
  }
  loop_ = NewLoop(AgentCore(std::move(settings), parts_.host, parts_.agent_run, parts_.boot_id,
                            seen_epoch, ReadHeardFile(parts_.heard_file, parts_.boot_id)));
  BrokerLinkListener listener;
  listener.up = [post] { post(agent::LinkUp{}); };
  listener.down = [post](const absl::Status&) { post(agent::LinkDown{}); };
  listener.command = [post](const v1::AgentCommand& command) {
    post(agent::CommandReceived{command});
  };
  link_ = std::make_unique<BrokerLink>(parts_.link, parts_.credentials, parts_.executor, listener);
  SetLife(this);
  parts_.hypervisor->Listen([executor = parts_.executor, post](const HypervisorEvent& event) {
    executor->Post([post, event] { post(agent::DomainChanged{event}); });
  });
  loop_->Start();
  link_->Start();
  return absl::OkStatus();
}

std::unique_ptr<AgentLoop> AgentRunner::NewLoop(AgentCore core) {
  AgentLoopParts loop;
  loop.executor = parts_.executor;
  loop.hypervisor = parts_.hypervisor;
  loop.images = parts_.images;
  loop.persist_epoch = [path = parts_.epoch_file](uint64_t epoch) {
    return WriteEpochFile(path, epoch);
  };
  loop.read_load = [hypervisor = parts_.hypervisor, folder = parts_.data_folder] {
    return ReadHostLoad(*hypervisor, folder);
  };
  loop.save_heard = [path = parts_.heard_file, boot_id = parts_.boot_id](const HeardState& heard) {
    return WriteHeardFile(path, boot_id, heard);
  };
  loop.check_storages = [check = parts_.check_storages] {
    return check ? check() : std::vector<std::string>();
  };
  loop.check_networks = [check = parts_.check_networks] {
    return check ? check() : std::vector<std::string>();
  };
  // On the executor: what is not there any more is not called.
  loop.send_report = [life = life_](v1::AgentReport report) {
    if (life->runner != nullptr) life->runner->link_->Send(std::move(report));
  };
  loop.answer_ticket = [life = life_](const agent::AnswerTicket& answer) {
    if (life->runner != nullptr) life->runner->display_->Answer(answer);
  };
  loop.close_display = [life = life_](const agent::CloseDisplay& close) {
    if (life->runner != nullptr) life->runner->display_->Close(close);
  };
  loop.count = [metrics = parts_.metrics](const agent::Counted& counted) {
    metrics->Count(absl::StrCat("werkplek_agent_", counted.what, "_total"),
                   "Events that the agent's core counted.", {{"label", counted.label}});
  };
  return std::make_unique<AgentLoop>(parts_.settings, std::move(core), std::move(loop));
}

void AgentRunner::SetLife(AgentRunner* runner) {
  std::promise<void> set;
  parts_.executor->Post([this, runner, &set] {
    life_->runner = runner;
    set.set_value();
  });
  set.get_future().wait();
}

AgentRunner::~AgentRunner() {
  if (link_ != nullptr) {
    link_->Stop();
    parts_.hypervisor->Listen(nullptr);
    SetLife(nullptr);
  }
  display_.reset();
  loop_.reset();
  link_.reset();
}

}  // namespace werkplek
