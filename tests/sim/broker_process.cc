#include "tests/sim/broker_process.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/election/standalone_election.h"
#include "tests/sim/world.h"

namespace werkplek::sim {
namespace {

constexpr absl::Duration kGreetInterval = absl::Milliseconds(400);

}  // namespace

BrokerProcess::BrokerProcess(World& world, int index, std::string name)
    : world_(world),
      index_(index),
      name_(std::move(name)),
      executor_(&world.executor()),
      store_(world, name_, &executor_),
      directory_(&executor_),
      fencer_(&executor_) {
  fencer_.switch_off = [this](const std::string& host) {
    world_.LosePower(host, world_.chance().Between(absl::Seconds(5), absl::Seconds(40)));
  };
}

void BrokerProcess::SetNewsDelay(absl::Duration delay) {
  news_delay_ = delay;
  if (sim_election_ != nullptr) sim_election_->SetNewsDelay(delay);
}

std::unique_ptr<Election> BrokerProcess::MakeElection() {
  if (world_.scenario().brokers == 1) {
    const auto claim = [this](absl::AnyInvocable<void(absl::StatusOr<uint64_t>)> done) {
      const auto shared = std::make_shared<decltype(done)>(std::move(done));
      world_.lease().Keep(name_, [this, shared](uint64_t epoch) {
        executor_.Post([shared, epoch] { (*shared)(epoch); });
      });
    };
    return std::make_unique<StandaloneElection>(&executor_, claim, LeaderInfo{0, name_, "", ""});
  }
  auto election =
      std::make_unique<SimElection>(world_, name_, &executor_, [this] { LeadershipEnded(); });
  election->SetNewsDelay(news_delay_);
  sim_election_ = election.get();
  return election;
}

void BrokerProcess::Start() {
  if (up()) return;
  ++run_;
  store_.run = run_;
  world_.Say(name_, " starts");
  election_ = MakeElection();
  NodeSettings settings;
  settings.broker = world_.broker_settings();
  if (world_.scenario().sabotage == Sabotage::kSkipToken) {
    settings.token_waived_networks = {"0.0.0.0/0"};
  }
  settings.role_groups = {{v1::ROLE_ADMINISTRATOR, "admins"}, {v1::ROLE_HELPDESK, "admins"}};
  NodeParts parts;
  parts.executor = &executor_;
  parts.store = &store_;
  parts.election = election_.get();
  parts.directory = &directory_;
  parts.agents = this;
  if (world_.scenario().fence_command) {
    fencer_.delay = world_.chance().Between(absl::Milliseconds(50), absl::Seconds(8));
    parts.fencer = &fencer_;
  }
  parts.tokens = &world_.tokens();
  if (sim_election_ != nullptr) parts.leader = AskingLeader();
  node_ = std::make_unique<BrokerNode>(settings, parts);
  node_->Start();
  gone_epoch_ = 0;
  if (sim_election_ != nullptr) GreetLeader();
}

void BrokerProcess::MistakeLeader() {
  if (up() && sim_election_ != nullptr) {
    sim_election_->LeaderSeen(sim_election_->leader().epoch, LeaderSign::kGone);
  }
}

void BrokerProcess::GreetLeader() {
  executor_.PostAfter(kGreetInterval, [this, run = run_] {
    if (up() && run == run_) GreetLeader();
  });
  const LeaderInfo leader = sim_election_->leader();
  const BrokerProcess* other = world_.BrokerNamed(leader.name);
  if (other == nullptr || other == this) return;
  const bool reached = world_.network().OpenBothWays(name_, other->name_);
  if (!reached || (other->up() && other->executor_.paused())) {
    gone_epoch_ = 0;
    sim_election_->LeaderSeen(leader.epoch, LeaderSign::kSilent);
  } else if (!other->up()) {
    // Refused, then refused again.
    const bool again = std::exchange(gone_epoch_, leader.epoch) == leader.epoch;
    if (again) sim_election_->LeaderSeen(leader.epoch, LeaderSign::kGone);
  } else {
    gone_epoch_ = 0;
  }
}

void BrokerProcess::Kill() {
  if (!up()) return;
  world_.Say(name_, " is killed");
  ++run_;
  store_.run = run_;
  executor_.Reset();
  const auto broken = std::exchange(exchanges_, {});
  node_.reset();
  sim_election_ = nullptr;
  election_.reset();
  own_steps_.clear();
  for (const std::weak_ptr<Exchange>& weak : broken) {
    if (const ExchangePointer exchange = weak.lock()) {
      world_.After(
          Hop(), [this, exchange] { Fail(exchange, absl::UnavailableError("connection reset")); });
    }
  }
  for (const auto& [host, link] : std::exchange(links_, {})) world_.agent(host).Closed(link);
}

void BrokerProcess::Pause() {
  if (!up() || executor_.paused()) return;
  world_.Say(name_, " is stopped");
  executor_.Pause();
  // Whoever pings it gets no answer, and gives the stream up after a while.
  for (const auto& [host, link] : links_) {
    world_.After(world_.chance().Between(absl::Seconds(10), absl::Seconds(15)),
                 [this, host = host, link = link, run = run_] {
                   if (run == run_ && executor_.paused()) world_.agent(host).GiveUp(link);
                 });
  }
}

void BrokerProcess::Resume() {
  if (!executor_.paused()) return;
  world_.Say(name_, " goes on");
  executor_.Resume();
}

absl::Duration BrokerProcess::Hop() { return world_.Hop(); }

// A stream belongs to one run of one broker; what is said on it after that run is heard by nobody.
uint64_t BrokerProcess::Attach(const std::string& host, std::string* leader) {
  if (!up()) return 0;
  if (!leads()) {
    *leader = election_->leader().name;
    return 0;
  }
  const uint64_t link =
      static_cast<uint64_t>(index_) << 56 | run_ << 32 | node_->AgentAttached(host);
  links_[host] = link;
  return link;
}

void BrokerProcess::NoteArrival(const std::string& host, uint64_t link) {
  if (up() && Holds(host, link) && leads() && election_->leader().name == name_) {
    world_.NoteReport(host, election_->leader().epoch);
  }
}

void BrokerProcess::Report(const std::string& host, uint64_t link, const v1::AgentReport& report) {
  if (!up() || !Holds(host, link)) return;
  node_->AgentReported(host, link & UINT32_MAX, report);
}

void BrokerProcess::Detach(const std::string& host, uint64_t link) {
  if (!up() || !Holds(host, link)) return;
  links_.erase(host);
  node_->AgentDetached(host, link & UINT32_MAX);
}

void BrokerProcess::Send(const std::string& host, uint64_t link, const v1::AgentCommand& command) {
  const auto at = links_.find(host);
  if (at == links_.end() || (at->second & UINT32_MAX) != link) return;
  world_.agent(host).Deliver(at->second, command);
}

void BrokerProcess::Close(const std::string& host, uint64_t link, const absl::Status&) {
  world_.agent(host).Closed(static_cast<uint64_t>(index_) << 56 | run_ << 32 | link);
}

// The agents are told to look for the leader.
void BrokerProcess::LeadershipEnded() {
  if (!up()) return;
  for (const auto& [host, link] : std::exchange(links_, {})) {
    node_->AgentDetached(host, link & UINT32_MAX);
    world_.agent(host).Closed(link);
  }
}

}  // namespace werkplek::sim
