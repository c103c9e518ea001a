#include "agent/program/agent_loop.h"

#include <algorithm>
#include <atomic>
#include <utility>
#include <variant>

#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/worker_pool.h"

namespace werkplek {
namespace {

constexpr absl::Duration kLeftoversEvery = absl::Hours(1);

}  // namespace

// The executor's tasks reach the loop through its gate, which is shut before the loop goes.
struct AgentLoop::Gate {
  Mutex mutex;
  State* state ABSL_GUARDED_BY(mutex) = nullptr;
};

class AgentLoop::State {
 public:
  State(const AgentSettings& settings, AgentCore core, AgentLoopParts parts)
      : core_(std::move(core)),
        parts_(std::move(parts)),
        heavy_("agent-heavy", static_cast<int>(settings.max_operations),
               settings.max_operations + settings.max_light_operations),
        light_("agent-light", static_cast<int>(std::min<size_t>(settings.max_light_operations, 8)),
               2 * settings.max_light_operations),
        images_("agent-images", 2, settings.max_image_operations),
        moves_("agent-moves", static_cast<int>(settings.max_moves), settings.max_moves),
        // Nothing that hangs elsewhere holds up a kill.
        kills_("agent-kills", 8, settings.max_desktops),
        storages_("agent-storages", 1, 1),
        networks_("agent-networks", 1, 1),
        leftovers_("agent-leftovers", 1, 1),
        // A full hypervisor must not keep the agent from seeing what there is.
        looks_("agent-looks", 2, 64),
        // The epoch and the last hearing, on which the fence hangs: no look at a hypervisor that
        // hangs stands before them.
        records_("agent-records", 1, 64) {
    MutexLock lock(gate_->mutex);
    gate_->state = this;
  }

  // Queued operations are left undone, those that run are waited for.
  ~State() {
    stopping_ = true;
    MutexLock lock(gate_->mutex);
    gate_->state = nullptr;
  }

  void Post(AgentEvent event) {
    parts_.executor->Post([gate = gate_, event = std::move(event)] {
      MutexLock lock(gate->mutex);
      if (gate->state != nullptr) gate->state->On(event);
    });
  }

  void Start() {
    // Even without a single image, the core waits to be told what is at hand.
    Run(looks_, [this] { return AgentEvent(agent::ImagesKnown{parts_.images.report("")}); });
    Post(agent::Tick{});
    RemoveLeftovers();
  }

 private:
  // Now, and again each time some while after it is done. Nobody waits for it, and the fence least
  // of all.
  void RemoveLeftovers() {
    Run(leftovers_, [this] {
      parts_.images.remove_leftovers(parts_.executor->Monotonic(),
                                     [this] { return stopping_.load(); });
      parts_.executor->PostAfter(kLeftoversEvery, [gate = gate_] {
        MutexLock lock(gate->mutex);
        if (gate->state != nullptr) gate->state->RemoveLeftovers();
      });
      return AgentEvent(agent::Tick{});
    });
  }

  // On the executor.
  void On(const AgentEvent& event) {
    AgentDecision decision = core_.Apply(event, parts_.executor->Monotonic());
    for (AgentEffect& effect : decision.effects) {
      std::visit([this](auto& what) { Do(what); }, effect);
    }
    WakeAt(decision.wake_at);
  }

  void WakeAt(absl::Duration when) {
    if (when >= wake_at_) return;
    wake_at_ = when;
    const absl::Duration delay = when - parts_.executor->Monotonic();
    parts_.executor->PostAfter(delay, [gate = gate_, when] {
      MutexLock lock(gate->mutex);
      // A timer that a sooner one overtook does nothing.
      if (gate->state == nullptr || gate->state->wake_at_ != when) return;
      gate->state->wake_at_ = absl::InfiniteDuration();
      gate->state->On(agent::Tick{});
    });
  }

  // Runs `work` in the pool and posts the event it gives. The core bounds what it starts, so the
  // pool is never full; if it were, the work is done later.
  template <typename Work>
  void Run(WorkerPool& pool, Work work) {
    const absl::Status taken = pool.Submit([this, work] {
      if (!stopping_) Post(work());
    });
    if (taken.ok()) return;
    Log(Severity::kError, "agent-pool-full", {{"why", taken.ToString()}});
    parts_.executor->PostAfter(absl::Milliseconds(100), [gate = gate_, &pool, work] {
      MutexLock lock(gate->mutex);
      if (gate->state != nullptr) gate->state->Run(pool, work);
    });
  }

  void Do(agent::StartOperation& effect) {
    Run(PoolFor(effect.operation), [this, operation = std::move(effect.operation)] {
      return AgentEvent(
          agent::OperationDone{RunOperation(operation, *parts_.hypervisor, parts_.images,
                                            [this] { return parts_.executor->Monotonic(); })});
    });
  }
  WorkerPool& PoolFor(const Operation& operation) {
    switch (operation.kind) {
      case OperationKind::kFetchImage:
      case OperationKind::kDropImage:
        return images_;
      case OperationKind::kMigrate:
        return moves_;
      case OperationKind::kKill:
        return kills_;
      default:
        return IsHeavy(operation.kind, operation.to_disk) ? heavy_ : light_;
    }
  }
  void Do(agent::CheckStorages&) {
    Run(storages_, [this] { return AgentEvent(agent::StoragesChecked{parts_.check_storages()}); });
  }
  void Do(agent::CheckNetworks&) {
    Run(networks_, [this] { return AgentEvent(agent::NetworksChecked{parts_.check_networks()}); });
  }
  void Do(agent::SaveHeard& effect) {
    Run(records_, [this, heard = HeardState{effect.heard_at, effect.fence_after}] {
      return AgentEvent(agent::HeardSaved{parts_.save_heard(heard)});
    });
  }
  void Do(agent::ListDomains& effect) {
    Run(looks_, [this, id = effect.id] {
      agent::DomainsObserved observed{.id = id};
      absl::StatusOr<std::vector<DomainInfo>> domains = parts_.hypervisor->List();
      observed.status = domains.status();
      if (domains.ok()) observed.domains = *std::move(domains);
      return AgentEvent(std::move(observed));
    });
  }
  void Do(agent::PersistEpoch& effect) {
    Run(records_, [this, epoch = effect.epoch] {
      return AgentEvent(
          agent::EpochPersisted{.epoch = epoch, .status = parts_.persist_epoch(epoch)});
    });
  }
  void Do(agent::ReadStats&) {
    Run(looks_, [this] {
      agent::StatsRead read;
      absl::StatusOr<v1::HostLoad> load = parts_.read_load();
      read.status = load.status();
      if (load.ok()) read.load = *std::move(load);
      return AgentEvent(std::move(read));
    });
  }
  void Do(agent::SendReport& effect) { parts_.send_report(std::move(effect.report)); }
  void Do(agent::AnswerTicket& effect) { parts_.answer_ticket(effect); }
  void Do(agent::CloseDisplay& effect) { parts_.close_display(effect); }
  void Do(agent::LogEvent& effect) {
    std::vector<LogField> fields(effect.fields.begin(), effect.fields.end());
    Log(effect.severity, effect.event, fields);
  }
  void Do(agent::Counted& effect) { parts_.count(effect); }

  // On the executor only.
  AgentCore core_;
  absl::Duration wake_at_ = absl::InfiniteDuration();

  const AgentLoopParts parts_;
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  std::atomic<bool> stopping_ = false;
  WorkerPool heavy_;
  WorkerPool light_;
  WorkerPool images_;
  WorkerPool moves_;
  WorkerPool kills_;
  WorkerPool storages_;
  WorkerPool networks_;
  WorkerPool leftovers_;
  WorkerPool looks_;
  WorkerPool records_;
};

AgentLoop::AgentLoop(const AgentSettings& settings, AgentCore core, AgentLoopParts parts)
    : state_(std::make_unique<State>(settings, std::move(core), std::move(parts))) {}

AgentLoop::~AgentLoop() = default;

void AgentLoop::Start() { state_->Start(); }

void AgentLoop::Post(AgentEvent event) { state_->Post(std::move(event)); }

}  // namespace werkplek
