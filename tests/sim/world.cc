#include "tests/sim/world.h"

#include <algorithm>
#include <set>
#include <utility>

#include "broker/model/desktop_machine.h"
#include "broker/model/kept.h"
#include "tests/sim/faults.h"
#include "tests/sim/otpauth.h"

namespace werkplek::sim {
namespace {

constexpr absl::Duration kSetUpBound = absl::Seconds(60);
constexpr absl::Duration kAfterHeal = absl::Seconds(30);
// All is well this long after the last fault healed and the last person went home.
constexpr absl::Duration kBound = absl::Seconds(150);
constexpr absl::Duration kProbeBound = absl::Seconds(60);
// Where somebody who does nothing else connects.
constexpr char kProbedPool[] = "pool-0";
constexpr int64_t kStartUnixSeconds = 1'900'000'000;

}  // namespace

World::World(const Scenario& scenario, bool print)
    : scenario_(scenario),
      executor_(scenario.seed, absl::FromUnixSeconds(kStartUnixSeconds)),
      chance_(scenario.seed),
      trace_(print),
      busy_until_(kSetUpBound + scenario.busy) {
  tokens_ = *TokenAuthority::Create(Secret(std::string(32, 'k')), "Werkplek");
  store_ = std::make_unique<StoreServer>(*this);
  lease_ = std::make_unique<LeaseService>(*this, &store_->memory());
  // The store's members stand in both sites and in a third place.
  network_.Place(kStoreNode, "third");
  network_.Place(Admin::kMachine, "a");
  for (int i = 0; i < scenario.brokers; ++i) {
    const std::string name = absl::StrCat("broker-", i);
    network_.Place(name, SiteOfHost(i));
    brokers_.push_back(std::make_unique<BrokerProcess>(*this, i, name));
  }
  MakeMachines();
  MakePeople();
}

void World::MakeMachines() {
  for (int i = 0; i < scenario_.hosts; ++i) {
    machines_.push_back(std::make_unique<Machine>(absl::StrCat("hv-", i), scenario_));
    Machine& machine = *machines_.back();
    network_.Place(machine.name(), SiteOfHost(i));
    machine.clock_permille = chance_.Between(900, 1100);
    if (scenario_.dedicated || scenario_.moves) machine.storages = {&storage_};
    machine.runs_changed = [this, &machine](const std::string& desktop, bool runs) {
      history_.runs.push_back({now(), machine.name(), desktop, runs});
    };
    agents_[machine.name()] = std::make_unique<AgentProcess>(*this, machine);
  }
  for (const auto& from : machines_) {
    for (const auto& to : machines_) {
      if (from != to) from->hypervisor().ConnectTo(to->migration_uri(), &to->hypervisor());
    }
  }
  storage_.removed = [this](const std::string& host, const DiskKey& disk, const std::string& path) {
    NoteDiskRemoved(host, disk, path);
  };
}

void World::NoteDiskRemoved(const std::string& host, const DiskKey& disk, const std::string& path) {
  Say("disk ", path, " is removed by ", host);
  RemovalSeen removal{now(), host, disk.desktop, disk.generation, true, ""};
  for (const auto& machine : machines_) {
    const bool stands = machine->hypervisor().AliveHere().count(disk.desktop) != 0 &&
                        machine->PlaceOf(disk.desktop).overlay == path;
    if (stands) removal.runs_on = machine->name();
  }
  history_.removals.push_back(removal);
}

std::vector<std::string> World::UsedBy(const std::string& overlay) const {
  const auto at = used_by_.find(overlay);
  if (at == used_by_.end()) return {};
  return {at->second.begin(), at->second.end()};
}

Machine* World::MachineOf(const std::string& desktop) {
  for (const auto& machine : machines_) {
    if (machine->hypervisor().AliveHere().count(desktop) != 0) return machine.get();
  }
  return nullptr;
}

World::~World() {
  for (auto& [name, agent] : agents_) agent->Kill();
  for (const auto& broker : brokers_) broker->Kill();
}

std::vector<std::string> World::sites() const {
  return scenario_.sites == 1 ? std::vector<std::string>{"a"} : std::vector<std::string>{"a", "b"};
}

std::vector<BrokerProcess*> World::brokers() {
  std::vector<BrokerProcess*> all;
  for (const auto& broker : brokers_) all.push_back(broker.get());
  return all;
}

BrokerProcess* World::BrokerNamed(const std::string& name) {
  for (const auto& broker : brokers_) {
    if (broker->name() == name) return broker.get();
  }
  return nullptr;
}

Picture World::picture() {
  BrokerProcess* leader = BrokerNamed(lease_->Holder());
  return leader == nullptr ? nullptr : leader->picture();
}

void World::NoteReport(const std::string& host, uint64_t epoch) {
  history_.reports.push_back({now(), host, epoch});
}

void World::BreakDisplaysSoon() {
  for (const auto& [name, agent] : agents_) {
    After(chance_.Between(absl::Seconds(2), absl::Seconds(10)),
          [agent = agent.get()] { agent->BreakDisplays(); });
  }
}

BrokerSettings World::broker_settings() const {
  BrokerSettings settings;
  settings.breaker_probe = absl::Seconds(10);
  settings.ended_session_kept = absl::Minutes(2);
  settings.token_failures_pause = 50;
  settings.token_failures_stop = 200;
  settings.fence_command = scenario_.fence_command;
  BalanceSettings& balance = settings.balance;
  balance.rest = absl::Seconds(20);
  balance.retry = absl::Seconds(3);
  balance.settle = absl::Seconds(3);
  balance.automatic = scenario_.Has(Workload::kEvenPolicy);
  if (scenario_.Has(Workload::kConsolidation)) {
    // A night that begins after two minutes; it is short, or lasts to the end.
    const int began = static_cast<int>(kStartUnixSeconds / 60 % (24 * 60));
    balance.consolidation =
        DailyHours{(began + 2) % 1440, (began + (scenario_.seed % 2 == 0 ? 5 : 300)) % 1440};
    balance.spare_hosts = scenario_.seed % 3 == 0 ? 1 : 0;
  }
  if (scenario_.sabotage == Sabotage::kStartBeforeFence) {
    settings.down_after = absl::Seconds(4);
    settings.fence_after = absl::Milliseconds(1);
    settings.fence_margin = absl::ZeroDuration();
    settings.lease_ttl = absl::ZeroDuration();
  }
  if (scenario_.sabotage == Sabotage::kFenceFromLastLease) {
    settings.down_after = absl::Seconds(4);
    settings.lease_ttl = -absl::Minutes(1);
  }
  return settings;
}

void World::After(absl::Duration delay, std::function<void()> task) {
  executor_.PostAfter(delay, std::move(task));
}

void World::LosePower(const std::string& host, absl::Duration for_long) {
  AgentProcess& lost = agent(host);
  Say("host ", host, " loses power");
  lost.CutLink();
  lost.Kill();
  lost.machine().PowerOff();
  After(for_long, [&lost] {
    lost.HealLink();
    lost.Start();
  });
}

std::vector<AgentProcess*> World::agents() {
  std::vector<AgentProcess*> all;
  for (const auto& [name, agent] : agents_) all.push_back(agent.get());
  return all;
}

std::vector<User*> World::users() {
  std::vector<User*> all;
  for (const auto& user : users_) all.push_back(user.get());
  return all;
}

void World::Enrol(const std::string& user, uint64_t index, v1::Change& change, std::string& seed) {
  ManualExecutor entropy(scenario_.seed * 1000 + index);
  const SealedSeed sealed = tokens_->NewSeed(user, entropy.RandomBytes(64));
  v1::TokenEnrolment token;
  token.set_user(user);
  token.set_seed_id(sealed.seed_id);
  token.set_sealed_seed(sealed.sealed);
  token.set_state(v1::TOKEN_STATE_ACTIVE);
  seed = SeedOfUri(tokens_->OtpauthUri(token)->Reveal());
  change.set_table(std::string(kTokenTable));
  change.set_key(user);
  change.set_value(token.SerializeAsString());
}

void World::MakePeople() {
  ChangeSet enrolments;
  std::string seed;
  Enrol(Admin::kUser, 0, enrolments.emplace_back(), seed);
  admin_ = std::make_unique<Admin>(*this, seed);
  const auto add = [this](const std::string& user, const std::string& password,
                          const std::vector<std::string>& groups) {
    for (const auto& broker : brokers_) {
      broker->directory().AddPerson(user, password, groups);
    }
  };
  add(Admin::kUser, Admin::kPassword, {"admins"});
  const bool everybody = scenario_.sabotage == Sabotage::kSkipEntitlement;
  for (int i = 1; i <= scenario_.users; ++i) {
    // Some work in a team, and one works nowhere yet.
    std::vector<std::string> groups = {"staff"};
    if (i % 2 == 0) groups.push_back("team");
    if (i % 5 == 3) groups = {"visitors"};
    v1::Change& change = enrolments.emplace_back();
    const std::string name = absl::StrCat("user", i);
    Enrol(name, i, change, seed);
    v1::TokenEnrolment token;
    token.ParseFromString(change.value());
    users_.push_back(std::make_unique<User>(*this, i, seed, token.seed_id(), groups));
    const std::vector<std::string> all = {"staff", "team", "visitors"};
    network_.Place(users_.back()->machine(), SiteOfHost(i));
    add(name, users_.back()->password(), everybody ? all : groups);
    std::vector<std::string> dns;
    dns.reserve(groups.size());
    for (const std::string& group : groups) {
      dns.push_back("cn=" + group + ",ou=groups,dc=example,dc=nl");
    }
    truth_.groups.emplace_back(name, dns);
  }
  history_.commits.push_back({now(), enrolments, 0});
  store_->memory().Commit(0, enrolments, [](const absl::Status&) {});
}

void World::NoteLoad(Machine& machine) {
  history_.loads.push_back({now(), machine.name(), machine.RunningMib(), machine.physical_mib()});
}

void World::Complain(const std::string& what) {
  Say("complaint: ", what);
  history_.end.complaints.push_back(what);
}

void World::Run() {
  for (const auto& broker : brokers_) broker->Start();
  for (const auto& [name, agent] : agents_) agent->Start();
  bool ready = false;
  admin_->SetUp([&ready] { ready = true; });
  executor_.Advance(kSetUpBound);
  if (!ready) return Complain("the world was not set up in time");
  PlanFaults(*this);
  const bool storm = scenario_.Has(Workload::kLoginStorm);
  for (const auto& user : users_) {
    user->Begin(chance_.Between(absl::ZeroDuration(), absl::Seconds(storm ? 2 : 60)));
  }
  executor_.Advance(scenario_.busy);
  HealAll();
  executor_.Advance(kAfterHeal);
  for (const auto& user : users_) user->GoHome();
  executor_.Advance(kBound);
  Judge();
  Probe();
  if (scenario_.night) PassNight();
}

void World::PassNight() {
  Say("a night passes");
  executor_.Advance(absl::Minutes(1));
  // Ten minutes later, at the leader of today.
  admin_->RepeatOldCalls(10);
  executor_.Advance(absl::Seconds(30));
  for (const auto& [name, agent] : agents_) agent->Kill();
  for (const auto& broker : brokers_) broker->Kill();
  // Answers are kept for a day by the clock of the broker that gave them; one that jumps is an hour
  // off at most.
  const absl::Duration off = absl::Hours(scenario_.Has(Workload::kClockJump) ? 1 : 0);
  executor_.Advance(absl::Hours(23) + absl::Minutes(45) - off - now());
  for (const auto& broker : brokers_) broker->Start();
  executor_.Advance(absl::Seconds(20));
  admin_->RepeatOldCalls(30);
  executor_.Advance(absl::Seconds(60));
}

void World::NoteAnswer(const Caller& caller, const google::protobuf::Message& request,
                       const BrokerProcess::Answer& answer) {
  const auto* field = request.GetDescriptor()->FindFieldByName("request_id");
  if (field == nullptr) return;
  const std::string key =
      absl::StrCat(caller.peer, "/", request.GetReflection()->GetString(request, field));
  if (answer.ok()) {
    answered_.insert(key);
    // A secret is in no record of answers: it is told anew, of the enrolment that waits by then.
    if (request.GetDescriptor() == v1::EnrolTokenRequest::descriptor()) return;
    history_.answers.push_back(
        {now(), key, request.GetDescriptor()->name(), (*answer)->SerializeAsString()});
    return;
  }
  // Whoever has signed out is told nothing; what nobody leads or has room for is asked again.
  // The secret of a token is told only until its first code was entered.
  const bool secret = request.GetDescriptor() == v1::EnrolTokenRequest::descriptor() &&
                      absl::IsFailedPrecondition(answer.status());
  const bool told =
      !secret && !absl::IsUnauthenticated(answer.status()) && !Client::MayRetry(answer.status());
  if (told && answered_.count(key) != 0) {
    history_.refusals.push_back({now(), key, answer.status().ToString()});
  }
}

void World::RepeatCall(const std::string& machine, const Caller& caller, MessagePointer request) {
  chance_.Pick(brokers())->Call(
      machine, caller, std::move(request), [](const BrokerProcess::Answer&) {},
      [](const BrokerProcess::Answer&) {});
}

void World::HealAll() {
  Say("everything heals");
  network_.HealAll();
  lease_->SetOutlives(false);
  store_->commit_fault = [] { return CommitFault::kNone; };
  store_->load_fault = [] { return absl::OkStatus(); };
  loss_ = 0;
  for (const auto& broker : brokers_) {
    broker->Resume();
    broker->executor().SetWallOffset(absl::ZeroDuration());
    broker->SetNewsDelay(absl::ZeroDuration());
    broker->directory().SetOutage(DirectoryOutcome::kOk);
    broker->directory().SetDelay(absl::Milliseconds(2));
    broker->Start();
  }
  for (const auto& machine : machines_) machine->SetImageBroken(false);
  for (const auto& [name, agent] : agents_) {
    agent->HealLink();
    agent->Start();
  }
  admin_->PutRight();
  if (scenario_.moves) {
    // Somebody repairs this host in the evening.
    drained_ = machines_.front()->name();
    admin_->SetHostOpen(drained_, v1::SCHEDULABILITY_DRAINING);
  }
  // What failed too often waits for the help desk, not for a restart.
  for (int i = 1; i <= 8; ++i) {
    After(absl::Seconds(10 * i), [this] { admin_->ResetSomeDesktop(true); });
  }
}

void World::Judge() {
  for (const auto& user : users_) {
    if (!user->home()) Complain("not home: " + user->Doing());
  }
  const Picture fleet = picture();
  if (fleet == nullptr) return Complain("no broker leads");
  JudgeHosts(*fleet);
  JudgeDesktops(*fleet);
  for (const auto& entry : fleet->sessions) {
    if (entry.record->state() == v1::SESSION_STATE_ENDED) continue;
    Complain(absl::StrCat("session ", entry.key, " of ", entry.record->user(), " still is ",
                          v1::SessionState_Name(entry.record->state())));
  }
}

void World::JudgeHosts(const Fleet& fleet) {
  for (const auto& machine : machines_) {
    const HostSoft* soft = fleet.host_soft.Find(machine->name());
    if (soft == nullptr || soft->liveness != v1::LIVENESS_UP) {
      Complain(machine->name() + " is not up");
    }
    for (const std::string& desktop : machine->Desktops()) {
      const v1::Desktop* known = fleet.desktops.Find(desktop);
      // What is off and was kept elsewhere since then does no harm; of what nobody knows in a
      // dedicated pool no disk is removed.
      const bool dedicated = scenario_.dedicated && desktop.rfind("pool-1-", 0) == 0;
      const bool left = (known != nullptr ? IsKept(*known) : dedicated) &&
                        machine->PlaceOf(desktop).power == DomainPower::kOff;
      if (!left && (known == nullptr || known->host() != machine->name())) {
        Complain(absl::StrCat(machine->name(), " has ", desktop, ", which belongs elsewhere"));
      }
    }
  }
}

void World::JudgeDesktops(const Fleet& fleet) {
  std::map<std::string, uint32_t> ready;
  std::map<std::string, uint32_t> made;
  for (const auto& entry : fleet.desktops) {
    const v1::Desktop& desktop = *entry.record;
    ++made[desktop.pool()];
    if (!desktop.moving_to().empty()) {
      Complain(absl::StrCat("desktop ", entry.key, " still moves from ", desktop.host(), " to ",
                            desktop.moving_to()));
    }
    if (desktop.host() == drained_ && desktop.state() != v1::DESKTOP_STATE_OFF) {
      Complain(
          absl::StrCat("desktop ", entry.key, " is still on ", drained_, ", which is drained"));
    }
    if (desktop.state() == v1::DESKTOP_STATE_READY) {
      ready[desktop.pool()] += desktop.owner().empty() ? 1 : 0;
    } else if (desktop.state() != v1::DESKTOP_STATE_OFF || !IsKept(desktop)) {
      Complain(absl::StrCat("desktop ", entry.key, " on ", desktop.host(), " still is ",
                            StateName(desktop.state()), " (", desktop.last_error(), ")"));
    }
  }
  for (const auto& entry : fleet.pools) {
    const v1::Pool& pool = entry.record->pool();
    if (ready[entry.key] < pool.running_spares() && made[entry.key] < pool.max_desktops() &&
        HasRoom(fleet, pool)) {
      Complain(absl::StrCat(entry.key, " has ", ready[entry.key], " of ", pool.running_spares(),
                            " spares"));
    }
  }
}

bool World::HasRoom(const Fleet& fleet, const v1::Pool& pool) const {
  std::map<std::string, uint64_t> used_mib;
  for (const auto& entry : fleet.desktops) {
    used_mib[entry.record->host()] += entry.record->memory_mib();
  }
  return std::any_of(machines_.begin(), machines_.end(), [&](const auto& machine) {
    if (machine->name() == drained_) return false;
    // A tenth is the host's own when no limit is declared.
    return used_mib[machine->name()] + pool.memory_mib() <= machine->physical_mib() * 9 / 10;
  });
}

bool World::IsFull(const Fleet& fleet, const std::string& pool) const {
  for (const auto& entry : fleet.desktops) {
    const v1::Desktop& desktop = *entry.record;
    if (desktop.pool() == pool && desktop.state() == v1::DESKTOP_STATE_READY) return false;
  }
  const v1::Resource* record = fleet.pools.Find(pool);
  return record != nullptr && !HasRoom(fleet, record->pool());
}

void World::Probe() {
  const Picture fleet = picture();
  // Then waiting is right.
  if (fleet != nullptr && IsFull(*fleet, kProbedPool)) return;
  bool seen = false;
  users_.front()->Probe([&seen](bool ok) { seen = ok; });
  const absl::Duration until = now() + kProbeBound;
  while (!seen && now() < until) executor_.Advance(absl::Seconds(1));
  if (!seen) Complain("the probe saw no desktop: " + users_.front()->Doing());
}

}  // namespace werkplek::sim
