// One simulated world: brokers, agents, hosts and people in one thread on virtual time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/token/token_authority.h"
#include "tests/sim/admin.h"
#include "tests/sim/agent_process.h"
#include "tests/sim/broker_process.h"
#include "tests/sim/chance.h"
#include "tests/sim/checkers.h"
#include "tests/sim/history.h"
#include "tests/sim/lease_service.h"
#include "tests/sim/machine.h"
#include "tests/sim/network.h"
#include "tests/sim/scenario.h"
#include "tests/sim/store_server.h"
#include "tests/sim/trace.h"
#include "tests/sim/user.h"
#include "tests/support/fake_shared_storage.h"
#include "tests/support/manual_executor.h"

namespace werkplek::sim {

class World {
 public:
  // `print`: show the trace while it runs.
  World(const Scenario& scenario, bool print);
  ~World();

  // From the first start to the quiet end.
  void Run();

  const Scenario& scenario() const { return scenario_; }
  ManualExecutor& executor() { return executor_; }
  Chance& chance() { return chance_; }
  Trace& trace() { return trace_; }
  History& history() { return history_; }
  const Truth& truth() const { return truth_; }
  BrokerSettings broker_settings() const;
  Network& network() { return network_; }
  StoreServer& store() { return *store_; }
  LeaseService& lease() { return *lease_; }
  std::vector<BrokerProcess*> brokers();
  // nullptr: there is none of that name.
  BrokerProcess* BrokerNamed(const std::string& name);
  // Of the broker that leads; nullptr: none does.
  Picture picture();
  Admin& admin() { return *admin_; }
  AgentProcess& agent(const std::string& host) { return *agents_.at(host); }
  std::vector<AgentProcess*> agents();
  std::vector<User*> users();
  const TokenAuthority& tokens() const { return *tokens_; }

  std::vector<std::string> sites() const;
  std::string SiteOfHost(int index) const { return sites()[index % scenario_.sites]; }
  // The hosts and brokers that stand in a site.
  bool IsIn(const std::string& node, const std::string& site) const {
    return network_.SiteOf(node) == site;
  }
  // How long a message takes.
  absl::Duration Hop() { return chance_.Between(absl::Microseconds(100), absl::Milliseconds(4)); }
  // Percent of requests, and of answers, that get lost.
  int loss() const { return loss_; }
  void SetLoss(int percent) { loss_ = percent; }
  // Viewers that cannot reach their host notice a while from now.
  void BreakDisplaysSoon();

  absl::Duration now() const { return executor_.Monotonic(); }
  int64_t wall_step() const { return absl::ToUnixSeconds(executor_.Now()) / 30; }
  // Things go wrong and people begin new things until then.
  bool busy() const { return now() < busy_until_; }
  void After(absl::Duration delay, std::function<void()> task);
  template <typename... Parts>
  void Say(const Parts&... parts) {
    trace_.Add(now(), absl::StrCat(parts...));
  }

  // Something is not as it should be.
  void Complain(const std::string& what);

  // The power of a host goes, and comes back after that long.
  void LosePower(const std::string& host, absl::Duration for_long);

  // A session saw the display of a desktop on that overlay: its data is on it from now on.
  void Use(const std::string& overlay, const std::string& session) {
    used_by_[overlay].insert(session);
  }
  std::vector<std::string> UsedBy(const std::string& overlay) const;
  // Where the desktop's virtual machine lives now; nullptr: nowhere.
  Machine* MachineOf(const std::string& desktop);

  // A broker answered a call.
  void NoteAnswer(const Caller& caller, const google::protobuf::Message& request,
                  const BrokerProcess::Answer& answer);
  // The same call comes again: from the network, which makes two of one, or from a client that was
  // cut off. Nobody waits for its answer.
  void RepeatCall(const std::string& machine, const Caller& caller, MessagePointer request);

  // At the quiet end an administrator drains a host: whoever wanted it open before does not now.
  bool IsDrained(const std::string& host) const { return host == drained_; }

  // A report reached a leader's machine.
  void NoteReport(const std::string& host, uint64_t epoch);
  // What a host carries after a change there.
  void NoteLoad(Machine& machine);

 private:
  void MakeMachines();
  void NoteDiskRemoved(const std::string& host, const DiskKey& disk, const std::string& path);
  void MakePeople();
  void Enrol(const std::string& user, uint64_t index, v1::Change& change, std::string& seed);
  void HealAll();
  void Judge();
  void JudgeDesktops(const Fleet& fleet);
  void JudgeHosts(const Fleet& fleet);
  // Whether an open host can take one more desktop of the pool.
  bool HasRoom(const Fleet& fleet, const v1::Pool& pool) const;
  // Whether the pool has no desktop for anybody, and no open host has room for one.
  bool IsFull(const Fleet& fleet, const std::string& pool) const;
  void Probe();
  // Everything stands still for most of a day; then old calls come again.
  void PassNight();

  const Scenario scenario_;
  ManualExecutor executor_;
  Chance chance_;
  Trace trace_;
  History history_;
  Truth truth_;
  absl::Duration busy_until_;
  int loss_ = 0;
  Network network_;
  FakeSharedStorage storage_{kSharedStorage};
  std::map<std::string, std::set<std::string>> used_by_;
  // The host that is drained at the quiet end; empty: none.
  std::string drained_;
  // Requests that were answered with OK.
  std::set<std::string> answered_;
  std::unique_ptr<TokenAuthority> tokens_;
  std::unique_ptr<StoreServer> store_;
  std::unique_ptr<LeaseService> lease_;
  std::vector<std::unique_ptr<BrokerProcess>> brokers_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::map<std::string, std::unique_ptr<AgentProcess>> agents_;
  std::unique_ptr<Admin> admin_;
  std::vector<std::unique_ptr<User>> users_;
};

}  // namespace werkplek::sim
