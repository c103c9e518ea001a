#include "tests/sim/agent_process.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/base/crypto.h"
#include "tests/sim/live_move.h"
#include "tests/sim/world.h"

namespace werkplek::sim {

AgentProcess::AgentProcess(World& world, Machine& machine) : world_(world), machine_(machine) {}

void AgentProcess::After(absl::Duration delay, std::function<void()> task) {
  world_.After(delay, [this, run = run_, task = std::move(task)] {
    if (run != run_ || core_ == nullptr) return;
    paused_ ? waiting_.push_back(task) : task();
  });
}

void AgentProcess::Resume() {
  if (!std::exchange(paused_, false)) return;
  world_.Say("agent ", machine_.name(), " goes on");
  there_since_ = world_.now();
  for (auto& task : std::exchange(waiting_, {})) {
    // What came first may have changed what comes next.
    if (core_ != nullptr) task();
  }
}

bool AgentProcess::MayFail() const {
  if (!world_.scenario().dedicated) return true;
  const bool heard =
      link_ != 0 && !link_cut_ && world_.network().OpenBothWays(machine_.name(), linked_to_);
  return up() && !paused_ && heard && world_.now() - there_since_ >= absl::Seconds(20);
}

void AgentProcess::HearRemove(const std::string& desktop, uint64_t generation) {
  if (!up()) return;
  v1::AgentCommand command;
  command.set_epoch(highest_epoch_told_);
  command.set_desktop(desktop);
  command.set_generation(generation);
  command.set_verb(v1::COMMAND_REMOVE);
  Receive(command);
}

void AgentProcess::Start() {
  if (up()) return;
  ++run_;
  ++machine_.agent_runs;
  world_.Say("agent ", machine_.name(), " starts");
  AgentSettings settings;
  settings.relays = {machine_.name() + ":4443"};
  settings.agent_version = "sim";
  settings.accelerator = "tcg";
  for (const FakeSharedStorage* storage : machine_.storages) {
    settings.storages.push_back(storage->name());
  }
  if (!machine_.storages.empty()) settings.lock_manager = "lockd";
  if (world_.scenario().moves) {
    settings.networks = {{.name = kNetwork, .bridge = "br-kantoor"}};
    settings.migration_uri = machine_.migration_uri();
  }
  machine_.powered = true;
  there_since_ = world_.now();
  core_ = std::make_unique<AgentCore>(
      settings, machine_.name(), absl::StrCat("run-", machine_.agent_runs),
      absl::StrCat("boot-", machine_.boots), machine_.epoch_on_disk, machine_.heard);
  try_next_.clear();
  machine_.Listen([this, run = run_](const HypervisorEvent& event) {
    if (run != run_) return;
    After(absl::Milliseconds(1), [this, event] { Apply(agent::DomainChanged{event}); });
  });
  Apply(agent::ImagesKnown{machine_.images().report("")});
  Apply(agent::Tick{});
  DialSoon(absl::ZeroDuration(), absl::Milliseconds(500));
  // A leader of long ago may be the first to speak.
  if (!world_.busy() || !world_.chance().Percent(30)) return;
  After(world_.chance().Between(absl::Milliseconds(50), absl::Seconds(2)), [this] {
    if (old_command_.epoch() != 0 && old_command_.epoch() < highest_epoch_told_) {
      Receive(old_command_);
    }
  });
}

void AgentProcess::Kill() {
  if (!up()) return;
  world_.Say("agent ", machine_.name(), " is killed");
  ++run_;
  paused_ = false;
  waiting_.clear();
  core_.reset();
  asking_.clear();
  for (const auto& [channel, viewer] : std::exchange(open_, {})) viewer.gone();
  // What it had obeyed is on its disk, or was not obeyed yet.
  highest_epoch_told_ = machine_.epoch_persisted;
  DropLink(world_.chance().Between(absl::Milliseconds(1), absl::Seconds(4)));
}

absl::Duration AgentProcess::Clock() const { return world_.now() * machine_.clock_permille / 1000; }

void AgentProcess::Apply(const AgentEvent& event) {
  if (core_ == nullptr) return;
  AgentDecision decision = core_->Apply(event, Clock());
  const uint64_t run = run_;
  for (const AgentEffect& effect : decision.effects) {
    Run(effect);
    if (run != run_ || core_ == nullptr) return;
  }
  if (decision.wake_at == absl::InfiniteDuration()) return;
  const uint64_t wake = ++wake_;
  const absl::Duration wait = (decision.wake_at - Clock()) * 1000 / machine_.clock_permille;
  After(std::max(wait, absl::Milliseconds(1)), [this, wake] {
    if (wake == wake_) Apply(agent::Tick{});
  });
}

void AgentProcess::Run(const AgentEffect& effect) {
  Chance& chance = world_.chance();
  if (const auto* start = std::get_if<agent::StartOperation>(&effect)) {
    RunOperationSoon(start->operation);
  } else if (const auto* list = std::get_if<agent::ListDomains>(&effect)) {
    After(chance.Between(absl::Milliseconds(1), absl::Milliseconds(20)), [this, id = list->id] {
      const auto domains = machine_.hypervisor().List();
      agent::DomainsObserved observed{id, domains.status(), {}};
      if (domains.ok()) observed.domains = *domains;
      Apply(observed);
    });
  } else if (const auto* persist = std::get_if<agent::PersistEpoch>(&effect)) {
    After(chance.Between(absl::Milliseconds(1), absl::Milliseconds(10)),
          [this, epoch = persist->epoch] {
            machine_.epoch_persisted = std::max(machine_.epoch_persisted, epoch);
            const bool forgets = world_.scenario().sabotage == Sabotage::kForgetEpoch;
            if (!forgets) machine_.epoch_on_disk = machine_.epoch_persisted;
            Apply(agent::EpochPersisted{epoch, absl::OkStatus()});
          });
  } else if (std::holds_alternative<agent::ReadStats>(effect)) {
    After(absl::Milliseconds(2), [this] {
      v1::HostLoad load = machine_.Load();
      if (world_.scenario().sabotage == Sabotage::kForgetHostLimits) {
        load.set_memory_total_mib(load.memory_total_mib() * 3);
        load.set_memory_free_mib(load.memory_total_mib());
      }
      Apply(agent::StatsRead{absl::OkStatus(), load});
    });
  } else if (std::holds_alternative<agent::CheckStorages>(effect)) {
    After(absl::Milliseconds(2), [this] {
      agent::StoragesChecked checked;
      for (const FakeSharedStorage* storage : machine_.storages) {
        checked.names.push_back(storage->name());
      }
      Apply(checked);
    });
  } else if (std::holds_alternative<agent::CheckNetworks>(effect)) {
    After(absl::Milliseconds(2), [this] { Apply(agent::NetworksChecked{{kNetwork}}); });
  } else if (const auto* heard = std::get_if<agent::SaveHeard>(&effect)) {
    After(absl::Milliseconds(1), [this, heard = *heard] {
      machine_.heard = {heard.heard_at, heard.fence_after};
      Apply(agent::HeardSaved{absl::OkStatus()});
    });
  } else if (const auto* report = std::get_if<agent::SendReport>(&effect)) {
    Report(report->report);
  } else if (const auto* answer = std::get_if<agent::AnswerTicket>(&effect)) {
    AnswerTicket(*answer);
  } else if (const auto* close = std::get_if<agent::CloseDisplay>(&effect)) {
    for (const uint64_t channel : close->channels) EndChannel(channel, true);
  } else if (const auto* counted = std::get_if<agent::Counted>(&effect)) {
    world_.Say("agent ", machine_.name(), " counts ", counted->what, " ", counted->label);
  }
}

void AgentProcess::RunOperationSoon(const Operation& operation) {
  Chance& chance = world_.chance();
  absl::Duration takes = chance.Between(absl::Milliseconds(2), absl::Milliseconds(300));
  if (operation.kind == OperationKind::kCreate) {
    takes = chance.Between(absl::Milliseconds(300), absl::Seconds(3));
  }
  const bool moves = operation.kind == OperationKind::kMigrate;
  After(takes, [this, operation, moves] { moves ? Move(operation) : OperationActs(operation); });
}

void AgentProcess::Move(const Operation& operation) {
  const auto done = [this, id = operation.id](const absl::Status& status) {
    world_.Say("host ", machine_.name(), " has moved ", absl::StatusCodeToString(status.code()));
    OperationResult result;
    result.id = id;
    result.status = status;
    After(absl::Milliseconds(1), [this, result] { Apply(agent::OperationDone{result}); });
  };
  const absl::Status may =
      BeforeMove(operation, machine_.hypervisor(), machine_.images(), [this] { return Clock(); });
  if (!may.ok()) return done(may);
  MoveLive(world_, machine_, operation, [this, operation, done, run = run_](absl::Status moved) {
    // It goes on without the agent that asked for it.
    if (run != run_ || !up()) return;
    done(AfterMove(operation, moved, machine_.hypervisor(), machine_.images()));
  });
}

void AgentProcess::OperationActs(const Operation& operation) {
  FakeHypervisor& hypervisor = machine_.hypervisor();
  const bool makes = operation.kind == OperationKind::kCreate;
  const Machine::Place before = machine_.PlaceOf(operation.desktop);
  const OperationResult result =
      RunOperation(operation, hypervisor, machine_.images(), [this] { return Clock(); });
  world_.Say("host ", machine_.name(), " operation ", static_cast<int>(operation.kind), " ",
             operation.desktop, " ", operation.tag.generation, " ",
             absl::StatusCodeToString(result.status.code()));
  if (makes && result.status.ok()) {
    // The guest takes its time to boot.
    hypervisor.SetGuestAgent(operation.desktop, false);
    world_.After(world_.chance().Between(absl::Milliseconds(500), absl::Seconds(4)),
                 [this, desktop = operation.desktop] {
                   Machine* machine = world_.MachineOf(desktop);
                   if (machine != nullptr) machine->hypervisor().SetGuestAgent(desktop, true);
                 });
  }
  const bool removed = operation.kind == OperationKind::kRemove && before.generation != 0 &&
                       machine_.PlaceOf(operation.desktop).generation == 0;
  if (removed) {
    world_.history().removals.push_back(
        {world_.now(), machine_.name(), operation.desktop, before.generation, false, ""});
  }
  world_.NoteLoad(machine_);
  After(absl::Milliseconds(1), [this, result] { Apply(agent::OperationDone{result}); });
}

// --- The link ---

void AgentProcess::DialSoon(absl::Duration least, absl::Duration most) {
  After(world_.chance().Between(least, most), [this] { Dial(); });
}

void AgentProcess::Dial() {
  if (link_ != 0) return;
  const auto brokers = world_.brokers();
  BrokerProcess* broker = world_.BrokerNamed(std::exchange(try_next_, ""));
  if (broker == nullptr) broker = brokers[dials_ % brokers.size()];
  const uint64_t dial = ++dials_;
  // Whatever does not answer is given up.
  After(world_.chance().Between(absl::Seconds(1), absl::Seconds(5)), [this, dial] {
    if (dial == dials_) Dial();
  });
  const std::string host = machine_.name();
  if (link_cut_ || !world_.network().OpenBothWays(host, broker->name())) return;
  broker->executor().PostAfter(world_.Hop(), [this, dial, host, broker, run = run_] {
    std::string leader;
    const uint64_t link = broker->Attach(host, &leader);
    world_.After(world_.Hop(), [this, dial, broker, run, link, leader] {
      const bool heard = run == run_ && up() && dial == dials_ && !link_cut_ &&
                         world_.network().Open(broker->name(), machine_.name());
      if (heard) return Attached(broker->name(), link, leader);
      // The stream ends with whoever asked for it.
      broker->executor().PostAfter(absl::Seconds(1), [this, broker, link] {
        if (link != 0) broker->Detach(machine_.name(), link);
      });
    });
  });
}

void AgentProcess::Attached(const std::string& broker, uint64_t link, const std::string& leader) {
  ++dials_;
  // It may have ended while the answer was under way.
  if (link == 0 || !world_.BrokerNamed(broker)->Holds(machine_.name(), link)) {
    try_next_ = leader == broker ? "" : leader;
    return DialSoon(absl::Milliseconds(50), absl::Milliseconds(600));
  }
  link_ = link;
  linked_to_ = broker;
  world_.Say("agent ", machine_.name(), " has link ", link_, " to ", broker);
  const absl::Duration patience = world_.chance().Between(absl::Seconds(5), absl::Seconds(15));
  const auto broke = [this, link] { GiveUp(link); };
  up_ = std::make_shared<Pipe>(world_, machine_.name(), broker, patience, broke);
  down_ = std::make_shared<Pipe>(world_, broker, machine_.name(), patience, broke);
  Apply(agent::LinkUp{});
}

void AgentProcess::DropLink(absl::Duration told) {
  if (link_ == 0) return;
  up_->Close();
  down_->Close();
  BrokerProcess* broker = world_.BrokerNamed(linked_to_);
  broker->executor().PostAfter(told, [this, broker, link = std::exchange(link_, 0)] {
    broker->Detach(machine_.name(), link);
  });
}

void AgentProcess::Report(const v1::AgentReport& report) {
  if (link_ == 0) return;
  if (world_.scenario().sabotage == Sabotage::kLoseReports && link_ % 2 == 0) return;
  BrokerProcess* broker = world_.BrokerNamed(linked_to_);
  v1::AgentReport told = report;
  if (world_.scenario().sabotage == Sabotage::kStartBeforeFence) told.set_fence_after_ms(1);
  up_->Send([this, broker, link = link_, report = std::move(told)] {
    broker->NoteArrival(machine_.name(), link);
    broker->executor().Post(
        [this, broker, link, report] { broker->Report(machine_.name(), link, report); });
  });
}

void AgentProcess::Deliver(uint64_t link, const v1::AgentCommand& command) {
  if (link != link_ || core_ == nullptr) return;
  down_->Send([this, link, run = run_, command] {
    if (link != link_ || run != run_ || !up()) return;
    if (!paused_) return Receive(command);
    waiting_.push_back([this, command] { Receive(command); });
  });
  // Now and then a command also arrives after the next leader's, as from a leader that does not
  // know yet that it is none.
  if (world_.busy() && world_.chance().Percent(5)) {
    const bool desktops = !command.desktop().empty();
    if (desktops && old_command_.epoch() == 0) old_command_ = command;
    world_.After(world_.chance().Between(absl::Seconds(1), absl::Seconds(30)), [this, command] {
      if (up() && !paused_ && command.epoch() < highest_epoch_told_) Receive(command);
    });
  }
}

void AgentProcess::Receive(const v1::AgentCommand& received) {
  v1::AgentCommand command = received;
  world_.Say("host ", machine_.name(), " hears ", v1::CommandVerb_Name(command.verb()), " ",
             command.desktop(), " ", command.generation(), " epoch ", command.epoch());
  // What is due anyway is done first, so that what follows is the command's doing.
  Apply(agent::Tick{});
  if (core_ == nullptr) return;
  const bool old = command.epoch() < highest_epoch_told_;
  highest_epoch_told_ = std::max(highest_epoch_told_, command.epoch());
  if (command.verb() == v1::COMMAND_GRANT_TICKET && !old) {
    world_.history().tickets.push_back(
        {world_.now(), machine_.name(), command.desktop(), command.ticket().ticket_sha256(),
         command.ticket().certificate_sha256(),
         absl::Milliseconds(command.ticket().lifetime_ms()) * 1000 / machine_.clock_permille});
  }
  if (world_.scenario().sabotage == Sabotage::kStartBeforeFence && command.fence_after_ms() != 0) {
    command.set_fence_after_ms(10'000);
  }
  if (world_.scenario().sabotage == Sabotage::kIgnoreEpoch) {
    command.set_epoch(highest_epoch_told_);
  }
  if (!old) return Apply(agent::CommandReceived{command});
  const v1::AgentReport before = core_->Report();
  AgentDecision decision = core_->Apply(agent::CommandReceived{command}, Clock());
  const bool obeyed =
      std::any_of(decision.effects.begin(), decision.effects.end(), [](const AgentEffect& effect) {
        return std::holds_alternative<agent::StartOperation>(effect) ||
               std::holds_alternative<agent::PersistEpoch>(effect) ||
               std::holds_alternative<agent::CloseDisplay>(effect);
      });
  world_.history().old_commands.push_back(
      {world_.now(), machine_.name(), received.epoch(), highest_epoch_told_, obeyed});
  for (const AgentEffect& effect : decision.effects) Run(effect);
}

void AgentProcess::CutLink() {
  link_cut_ = true;
  if (link_ == 0) return;
  world_.Say("link ", link_, " of ", machine_.name(), " is cut");
  Chance& chance = world_.chance();
  DropLink(chance.Between(absl::Milliseconds(1), absl::Seconds(5)));
  After(chance.Between(absl::Milliseconds(1), absl::Seconds(3)), [this] {
    if (link_ != 0) return;
    Apply(agent::LinkDown{});
    DialSoon(absl::Milliseconds(100), absl::Seconds(2));
  });
}

void AgentProcess::StallLink(absl::Duration how_long) {
  if (link_ == 0) return;
  up_->StallUntil(world_.now() + how_long);
  down_->StallUntil(world_.now() + how_long);
}

void AgentProcess::GiveUp(uint64_t link) {
  if (link != link_ || link_ == 0) return;
  world_.Say("agent ", machine_.name(), " gives link ", link_, " up");
  DropLink(world_.chance().Between(absl::Milliseconds(1), absl::Seconds(5)));
  Apply(agent::LinkDown{});
  DialSoon(absl::Milliseconds(100), absl::Seconds(2));
}

void AgentProcess::Closed(uint64_t link) {
  if (link != link_ || link_ == 0) return;
  up_->Close();
  down_->Close();
  link_ = 0;
  After(world_.chance().Between(absl::Milliseconds(1), absl::Milliseconds(50)), [this] {
    Apply(agent::LinkDown{});
    DialSoon(absl::Milliseconds(100), absl::Seconds(2));
  });
}

// --- Displays ---

void AgentProcess::Present(Viewer viewer) {
  if (!world_.network().OpenBothWays(viewer.machine, machine_.name())) return;
  After(world_.chance().Between(absl::Milliseconds(1), absl::Milliseconds(10)),
        [this, viewer = std::move(viewer)] {
          const uint64_t channel = next_channel_++;
          asking_[channel] = viewer;
          const bool anyone = world_.scenario().sabotage == Sabotage::kIgnoreTicketOwner;
          std::string certificate = viewer.certificate_sha256;
          for (const TicketArrived& ticket : world_.history().tickets) {
            if (anyone && ticket.ticket_sha256 == viewer.ticket_sha256) {
              certificate = ticket.certificate_sha256;
            }
          }
          Apply(agent::TicketPresented{channel, viewer.desktop, viewer.ticket_sha256, certificate,
                                       viewer.viewer});
        });
}

void AgentProcess::AnswerTicket(const agent::AnswerTicket& effect) {
  const auto at = asking_.find(effect.channel);
  if (at == asking_.end()) return;
  const Viewer viewer = at->second;
  asking_.erase(at);
  agent::TicketAnswer answer = effect.answer;
  const bool spent = answer == agent::TicketAnswer::kUsed || answer == agent::TicketAnswer::kLate;
  if (world_.scenario().sabotage == Sabotage::kTicketOpensAgain && spent) {
    answer = agent::TicketAnswer::kGranted;
  }
  world_.Say("host ", machine_.name(), " answers ", viewer.viewer, " ", static_cast<int>(answer));
  if (answer == agent::TicketAnswer::kGranted) Granted(effect.channel, viewer);
  viewer.answer(answer, effect.channel);
}

void AgentProcess::Granted(uint64_t channel, const Viewer& viewer) {
  const Machine::Place place = machine_.PlaceOf(viewer.desktop);
  open_[channel] = viewer;
  world_.history().displays.push_back({world_.now(), machine_.name(), viewer.desktop,
                                       place.generation, place.overlay,
                                       world_.UsedBy(place.overlay), viewer.ticket_sha256,
                                       viewer.certificate_sha256, viewer.viewer, viewer.user});
  world_.Use(place.overlay, viewer.session);
  After(absl::Milliseconds(5), [this, channel] {
    if (open_.count(channel) != 0) Apply(agent::DisplayOpened{channel});
  });
}

void AgentProcess::EndChannel(uint64_t channel, bool tell_viewer) {
  const auto at = open_.find(channel);
  if (at == open_.end()) return;
  const Viewer viewer = at->second;
  open_.erase(at);
  After(absl::Milliseconds(1), [this, channel] { Apply(agent::DisplayClosed{channel}); });
  if (tell_viewer) viewer.gone();
}

void AgentProcess::BreakDisplays() {
  std::vector<uint64_t> broken;
  for (const auto& [channel, viewer] : open_) {
    if (!world_.network().OpenBothWays(viewer.machine, machine_.name())) broken.push_back(channel);
  }
  for (const uint64_t channel : broken) EndChannel(channel, true);
}

void AgentProcess::CloseChannel(uint64_t channel) {
  After(absl::Milliseconds(1), [this, channel] { EndChannel(channel, false); });
}

}  // namespace werkplek::sim
