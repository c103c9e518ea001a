// Random events in random order: what the core promises holds after each of them.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "agent/core/agent_core.h"
#include "tests/unit/agent/core/core_harness.h"

namespace werkplek {
namespace {

using agent::TicketAnswer;

class World {
 public:
  explicit World(uint64_t seed) : random_(seed), settings_(Settings()) { NewRun(); }

  void Step() {
    now_ += absl::Milliseconds(Pick(200));
    switch (Pick(18)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        Apply(agent::CommandReceived{RandomCommand()});
        break;
      case 5:
      case 6:
      case 7:
      case 8:
        FinishOne();
        break;
      case 9:
      case 10:
        Present();
        break;
      case 11:
        CloseOne();
        break;
      case 12:
        Disturb();
        break;
      case 13:
        if (Pick(20) == 0) NewRun();
        break;
      case 14:
        // A leader goes silent now and then.
        if (Pick(200) == 0) now_ += absl::Seconds(static_cast<int64_t>(Pick(20)));
        Hear();
        break;
      default:
        Apply(agent::Tick{});
        break;
    }
    CheckReport();
    CheckFence();
  }

  int granted() const { return granted_; }
  int proofs() const { return proofs_; }
  int refused() const { return refused_; }
  int fenced() const { return fenced_count_; }
  int kept_starts() const { return kept_starts_; }
  int moves() const { return moves_; }

 private:
  static AgentSettings Settings() {
    AgentSettings settings;
    settings.max_operations = 3;
    settings.max_light_operations = 5;
    settings.storages = {"s"};
    settings.networks = {{.name = "n", .bridge = "br0"}};
    return settings;
  }

  uint64_t Pick(uint64_t below) { return random_() % below; }
  std::string RandomDesktop() { return absl::StrCat("d", Pick(4)); }

  // The agent is killed and started again: what was under way is half done, or not at all.
  void NewRun() {
    for (const Operation& operation : open_) {
      if (Pick(2) == 0) host_.Run(operation, now_);
    }
    open_.clear();
    busy_.clear();
    channels_.clear();
    pending_.clear();
    // Generations of desktops that are gone are known to one run only.
    made_.clear();
    for (const auto& [id, info] : host_.domains) made_[id] = info.tag.generation;
    fenced_.clear();
    for (const auto& [id, info] : host_.domains) {
      if (info.tag.fenced) fenced_[id] = info.tag.generation;
    }
    core_ = std::make_unique<AgentCore>(settings_, "hv", absl::StrCat("run-", ++runs_), "boot",
                                        durable_epoch_, saved_heard_);
    deadline_ = saved_heard_.heard_at + saved_heard_.fence_after;
    sent_.clear();
    highest_seen_ = durable_epoch_;
    Apply(agent::LinkUp{});
  }

  v1::CommandVerb RandomVerb() {
    switch (Pick(10)) {
      case 0:
      case 1:
        return v1::COMMAND_START;
      case 2:
        return v1::COMMAND_BEGIN_SESSION;
      case 3:
      case 4:
      case 5:
        return v1::COMMAND_GRANT_TICKET;
      default:
        return Pick(11) == 0 ? v1::COMMAND_MIGRATE : static_cast<v1::CommandVerb>(1 + Pick(10));
    }
  }

  // Desktops d0 and d1 are of a dedicated pool; d1 can move.
  void MakeDedicated(v1::AgentCommand& command) {
    if (command.desktop() != "d0" && command.desktop() != "d1") return;
    command.mutable_spec()->set_kept(true);
    command.mutable_spec()->set_fencing_required(true);
    if (command.desktop() == "d1") command.mutable_spec()->set_storage("s");
    // Its life begins with one, and goes on with moves.
    if (command.verb() == v1::COMMAND_START && Pick(3) == 0) command.set_verb(v1::COMMAND_RESET);
    if (command.verb() == v1::COMMAND_REMOVE && Pick(4) != 0) command.set_verb(v1::COMMAND_MIGRATE);
    if (command.verb() == v1::COMMAND_RESET) {
      resets_.insert({command.desktop(), command.generation()});
    }
    command.set_move_to("hv-2");
    command.set_migration_uri("qemu+tls://hv-2/system");
  }

  // A leader hears one of the last reports, late or at once.
  void Hear() {
    if (sent_.empty()) return;
    auto at = std::prev(sent_.end());
    for (uint64_t back = Pick(4); back > 0 && at != sent_.begin(); --back) --at;
    v1::AgentCommand heard;
    heard.set_epoch(epoch_);
    heard.set_verb(v1::COMMAND_HEARD);
    heard.set_heard_sequence(at->first);
    heard.set_fence_after_ms(3'000);
    const absl::Duration until = at->second + absl::Seconds(3);
    // The core may not take it yet (the epoch is not on disk); it never takes more.
    deadline_ = std::max(deadline_, until);
    Apply(agent::CommandReceived{heard});
  }

  v1::AgentCommand RandomCommand() {
    v1::AgentCommand command;
    if (Pick(30) == 0) ++epoch_;
    command.set_epoch(epoch_ - std::min<uint64_t>(epoch_ - 1, Pick(10) == 0 ? 1 : 0));
    command.set_desktop(RandomDesktop());
    uint64_t& generation = generations_[command.desktop()];
    if (generation == 0 || Pick(30) == 0) ++generation;
    command.set_generation(generation - (generation > 1 && Pick(8) == 0 ? 1 : 0));
    command.set_verb(RandomVerb());
    command.mutable_spec()->set_memory_mib(192);
    command.mutable_spec()->set_vcpus(1);
    if (command.desktop() == "d2") command.mutable_spec()->set_network("n");
    command.set_image_name("tiny");
    command.mutable_image()->set_sha256(kImageSha256);
    command.mutable_image()->set_guest_agent(Pick(2) == 0);
    command.set_session(absl::StrCat("s", Pick(10) == 0 ? 1 : 0));
    const std::string ticket = absl::StrCat("t", Pick(40));
    if (command.verb() == v1::COMMAND_GRANT_TICKET) last_grant_ = {command.desktop(), ticket, ""};
    command.mutable_ticket()->set_ticket_sha256(Sha256(ticket));
    command.mutable_ticket()->set_certificate_sha256(Sha256("c"));
    command.mutable_ticket()->set_lifetime_ms(30'000);
    MakeDedicated(command);
    return command;
  }

  void FinishOne() {
    if (pending_.empty() && open_.empty()) return;
    if (!pending_.empty() && (open_.empty() || Pick(2) == 0)) {
      const AgentEvent event = pending_.front();
      pending_.erase(pending_.begin());
      if (const auto* persisted = std::get_if<agent::EpochPersisted>(&event)) {
        if (persisted->status.ok()) durable_epoch_ = std::max(durable_epoch_, persisted->epoch);
      }
      Apply(event);
      return;
    }
    const size_t at = Pick(open_.size());
    const Operation operation = open_[at];
    open_.erase(open_.begin() + static_cast<int64_t>(at));
    if (operation.kind != OperationKind::kKill) busy_.erase(operation.desktop);
    OperationResult result;
    if (Pick(6) == 0) {
      // It failed, after or before it had its effect.
      if (Pick(2) == 0) host_.Run(operation, now_);
      result.id = operation.id;
      result.status = absl::InternalError("failed");
    } else {
      result = host_.Run(operation, now_);
    }
    Apply(agent::OperationDone{result});
  }

  void Present() {
    const bool guess = Pick(4) == 0;
    const std::string desktop = guess ? RandomDesktop() : last_grant_.desktop;
    const std::string ticket = guess ? absl::StrCat("t", Pick(40)) : last_grant_.ticket;
    const std::string viewer = absl::StrCat("v", Pick(2));
    const uint64_t channel = ++last_channel_;
    presented_[channel] = {desktop, ticket, viewer};
    Apply(agent::TicketPresented{channel, desktop, Sha256(ticket),
                                 Sha256(Pick(5) == 0 ? "thief" : "c"), viewer});
  }

  void CloseOne() {
    if (channels_.empty()) return;
    auto at = channels_.begin();
    std::advance(at, static_cast<int64_t>(Pick(channels_.size())));
    const uint64_t channel = *at;
    if (Pick(2) == 0) {
      Apply(agent::DisplayOpened{channel});
      return;
    }
    channels_.erase(at);
    Apply(agent::DisplayClosed{channel});
  }

  // Domains crash, vanish, and guests log out, by themselves.
  void Disturb() {
    const std::string desktop = RandomDesktop();
    const auto found = host_.domains.find(desktop);
    if (found == host_.domains.end()) return;
    if (Pick(4) == 0) {
      host_.domains.erase(found);
    } else if (Pick(2) == 0) {
      found->second.power = DomainPower::kOff;
    } else {
      host_.guests[desktop].state = v1::GUEST_STATE_LOGGED_OUT;
    }
    Apply(agent::DomainChanged{{HypervisorEvent::Kind::kLifecycle, desktop}});
  }

  void Apply(const AgentEvent& event) {
    if (const auto* command = std::get_if<agent::CommandReceived>(&event)) {
      last_epoch_ = command->command.epoch();
      highest_seen_ = std::max(highest_seen_, last_epoch_);
    }
    AgentDecision decision = core_->Apply(event, now_);
    ASSERT_GE(decision.wake_at, now_);
    for (const AgentEffect& effect : decision.effects) Check(effect);
  }

  void Check(const AgentEffect& effect) {
    if (const auto* start = std::get_if<agent::StartOperation>(&effect)) {
      CheckOperation(start->operation);
    } else if (const auto* list = std::get_if<agent::ListDomains>(&effect)) {
      agent::DomainsObserved observed;
      observed.id = list->id;
      for (const auto& [id, info] : host_.domains) observed.domains.push_back(info);
      pending_.emplace_back(observed);
    } else if (const auto* persist = std::get_if<agent::PersistEpoch>(&effect)) {
      pending_.emplace_back(agent::EpochPersisted{
          persist->epoch, Pick(5) == 0 ? absl::InternalError("disk") : absl::OkStatus()});
    } else if (std::holds_alternative<agent::ReadStats>(effect)) {
      pending_.emplace_back(agent::StatsRead{});
    } else if (const auto* save = std::get_if<agent::SaveHeard>(&effect)) {
      saved_heard_ = {save->heard_at, save->fence_after};
      pending_.emplace_back(agent::HeardSaved{absl::OkStatus()});
    } else if (std::holds_alternative<agent::CheckStorages>(effect)) {
      pending_.emplace_back(agent::StoragesChecked{Pick(5) == 0 ? std::vector<std::string>()
                                                                : std::vector<std::string>{"s"}});
    } else if (std::holds_alternative<agent::CheckNetworks>(effect)) {
      pending_.emplace_back(agent::NetworksChecked{Pick(5) == 0 ? std::vector<std::string>()
                                                                : std::vector<std::string>{"n"}});
    } else if (const auto* report = std::get_if<agent::SendReport>(&effect)) {
      sent_[report->report.sequence()] = now_;
    } else if (const auto* answer = std::get_if<agent::AnswerTicket>(&effect)) {
      CheckAnswer(*answer);
    } else if (const auto* counted = std::get_if<agent::Counted>(&effect)) {
      refused_ += counted->what == "refused_commands" ? 1 : 0;
    }
  }

  void CheckOperation(const Operation& operation) {
    if (operation.desktop.empty()) {
      open_.push_back(operation);
      return;
    }
    EXPECT_TRUE(core_->adopted());
    CheckFenced(operation);
    if (operation.kind == OperationKind::kKill) {
      open_.push_back(operation);
      return;
    }
    EXPECT_TRUE(busy_.insert(operation.desktop).second)
        << "two operations of " << operation.desktop << " at a time";
    // The last command's epoch was the newest, and is on disk.
    EXPECT_GE(durable_epoch_, core_->seen_epoch());
    if (operation.kind == OperationKind::kBeginSession ||
        operation.kind == OperationKind::kMarkUsed) {
      dirty_.insert(operation.desktop);
    }
    if (operation.kind == OperationKind::kCreate || operation.kind == OperationKind::kStartKept) {
      EXPECT_GE(operation.tag.generation, made_[operation.desktop]);
      made_[operation.desktop] = operation.tag.generation;
    }
    open_.push_back(operation);
    size_t heavy = 0;
    for (const Operation& other : open_) {
      heavy += other.kind == OperationKind::kCreate || other.kind == OperationKind::kStart ||
                       other.kind == OperationKind::kStartKept ||
                       other.kind == OperationKind::kRemove
                   ? 1
                   : 0;
    }
    EXPECT_LE(heavy, settings_.max_operations);
  }

  // What an operation may do to a desktop of a dedicated pool.
  void CheckFenced(const Operation& operation) {
    const bool makes_run =
        operation.kind == OperationKind::kCreate || operation.kind == OperationKind::kStartKept ||
        operation.kind == OperationKind::kStart || operation.kind == OperationKind::kResume ||
        operation.kind == OperationKind::kMigrate;
    kept_starts_ += operation.kind == OperationKind::kStartKept ? 1 : 0;
    moves_ += operation.kind == OperationKind::kMigrate ? 1 : 0;
    if (operation.kind == OperationKind::kCreate && operation.tag.kept) {
      EXPECT_EQ(resets_.count({operation.desktop, operation.tag.generation}), 1u)
          << "a START made an overlay for a kept desktop";
    }
    if (!makes_run || !operation.tag.fencing_required) return;
    EXPECT_LT(now_, deadline_) << "made to run though no leader was heard";
    EXPECT_LE(operation.not_after, deadline_);
    EXPECT_GT(operation.tag.generation, fenced_[operation.desktop]) << "a fenced generation runs";
  }

  // Once told of, a fenced generation runs no more; what runs without a leader is being killed.
  void CheckFence() {
    const v1::AgentReport report = core_->Report();
    for (const v1::DesktopReport& desktop : report.desktops()) {
      if (!desktop.fenced()) continue;
      ++fenced_count_;
      uint64_t& fenced = fenced_[desktop.desktop()];
      fenced = std::max(fenced, desktop.generation());
      EXPECT_NE(desktop.power(), v1::POWER_RUNNING);
    }
    for (const auto& [id, info] : host_.domains) {
      if (!info.tag.fencing_required || info.tag.generation > fenced_[id]) continue;
      EXPECT_NE(info.power, DomainPower::kRunning) << id << " runs though it was fenced";
    }
  }

  void CheckAnswer(const agent::AnswerTicket& answer) {
    if (answer.answer != TicketAnswer::kGranted) return;
    ++granted_;
    channels_.insert(answer.channel);
    const Presented& presented = presented_[answer.channel];
    // In one run a ticket belongs to the viewer that was first.
    const auto [owner, first] = owners_.emplace(
        absl::StrCat(runs_, "/", presented.desktop, "/", presented.ticket), presented.viewer);
    EXPECT_EQ(owner->second, presented.viewer) << "the ticket opened twice";
    const auto domain = host_.domains.find(presented.desktop);
    if (domain != host_.domains.end() && domain->second.power == DomainPower::kRunning &&
        busy_.count(presented.desktop) == 0) {
      EXPECT_TRUE(domain->second.tag.used) << "a display opened on a desktop not marked as used";
    }
  }

  void CheckReport() {
    const v1::AgentReport report = core_->Report();
    EXPECT_LE(report.seen_epoch(), durable_epoch_);
    for (const v1::DesktopReport& desktop : report.desktops()) {
      if (!desktop.has_proof()) continue;
      ++proofs_;
      EXPECT_EQ(desktop.proof().generation(), desktop.generation());
      const auto domain = host_.domains.find(desktop.desktop());
      // What is reported may be a little old, but never of another overlay.
      if (domain == host_.domains.end()) continue;
      if (domain->second.tag.overlay_identity != desktop.proof().overlay_identity()) continue;
      EXPECT_FALSE(domain->second.tag.used) << "a proof for a used overlay";
      EXPECT_EQ(domain->second.tag.generation, desktop.generation());
    }
  }

  struct Presented {
    std::string desktop;
    std::string ticket;
    std::string viewer;
  };

  std::mt19937_64 random_;
  const AgentSettings settings_;
  FakeHost host_;
  std::unique_ptr<AgentCore> core_;
  absl::Duration now_ = absl::Seconds(1);
  uint64_t runs_ = 0;
  uint64_t epoch_ = 1;
  uint64_t durable_epoch_ = 0;
  uint64_t highest_seen_ = 0;
  uint64_t last_epoch_ = 0;
  uint64_t last_channel_ = 0;
  std::map<std::string, uint64_t> generations_;
  std::map<std::string, uint64_t> made_;
  std::vector<Operation> open_;
  std::set<std::string> busy_;
  std::set<std::string> dirty_;
  std::set<uint64_t> channels_;
  Presented last_grant_;
  std::map<uint64_t, Presented> presented_;
  std::map<std::string, std::string> owners_;
  std::vector<AgentEvent> pending_;
  int granted_ = 0;
  int proofs_ = 0;
  int refused_ = 0;
  // When each report of this run went, and the latest that the leader may count on.
  std::map<uint64_t, absl::Duration> sent_;
  absl::Duration deadline_ = -absl::InfiniteDuration();
  HeardState saved_heard_;
  std::set<std::pair<std::string, uint64_t>> resets_;
  std::map<std::string, uint64_t> fenced_;
  int fenced_count_ = 0;
  int kept_starts_ = 0;
  int moves_ = 0;
};

TEST(AgentCorePropertyTest, PromisesHoldUnderRandomEvents) {
  int granted = 0;
  int proofs = 0;
  int refused = 0;
  int fenced = 0;
  int kept_starts = 0;
  int moves = 0;
  for (uint64_t seed = 1; seed <= 600; ++seed) {
    World world(seed);
    for (int step = 0; step < 600; ++step) {
      world.Step();
      ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed << ", step " << step;
    }
    granted += world.granted();
    proofs += world.proofs();
    refused += world.refused();
    fenced += world.fenced();
    kept_starts += world.kept_starts();
    moves += world.moves();
  }
  // The walk went where it matters.
  EXPECT_GT(granted, 1000);
  EXPECT_GT(proofs, 1000);
  EXPECT_GT(refused, 1000);
  EXPECT_GT(fenced, 1000);
  EXPECT_GT(kept_starts, 100);
  EXPECT_GT(moves, 10);
}

}  // namespace
}  // namespace werkplek
