// A broker of a simulation: the real node and core, reached over a network that loses messages.
// Killed, stopped for a while and started again at will; only the store outlives it.
//
// Any broker takes any call. One that does not lead judges passwords and codes itself, and forwards
// the rest to the leader it has heard of, as the real transport does. A broker that is alone leads
// by the standalone election.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "broker/node/broker_node.h"
#include "tests/sim/process_executor.h"
#include "tests/sim/sim_election.h"
#include "tests/sim/sim_store.h"
#include "tests/support/fake_directory.h"
#include "tests/support/fake_fencer.h"

namespace werkplek::sim {

class World;

class BrokerProcess : public AgentLinks {
 public:
  BrokerProcess(World& world, int index, std::string name);

  void Start();
  // As by kill -9.
  void Kill();
  // As by SIGSTOP and SIGCONT.
  void Pause();
  void Resume();
  bool up() const { return node_ != nullptr; }
  const std::string& name() const { return name_; }
  ProcessExecutor& executor() { return executor_; }
  // nullptr: down, or it does not lead.
  Picture picture() const { return node_ == nullptr ? nullptr : node_->picture(); }
  bool leads() const { return picture() != nullptr; }
  FakeDirectory& directory() { return directory_; }
  // How late a new leader hears of it.
  void SetNewsDelay(absl::Duration delay);
  // Takes a leader that lives for one that has gone.
  void MistakeLeader();

  // What a client calls, from its machine. `served` sees the answer as the broker gave it, `done`
  // as it reached the client: UNAVAILABLE or DEADLINE_EXCEEDED mean that it may or may not have
  // been done.
  using Answer = absl::StatusOr<MessagePointer>;
  using Served = std::function<void(const Answer&)>;
  using Done = std::function<void(const Answer&)>;
  void SignIn(const std::string& machine, const Caller& caller, const v1::SignInRequest& request,
              Served served, Done done);
  void Call(const std::string& machine, const Caller& caller, MessagePointer request, Served served,
            Done done);

  // A Connect stream. `update` gets UNAVAILABLE when the stream broke.
  using Update = absl::StatusOr<v1::ConnectUpdate>;
  using ServedUpdate = std::function<void(const Update&)>;
  using OnUpdate = std::function<void(const Update&, bool last)>;
  void Connect(const std::string& machine, const Caller& caller, const v1::ConnectRequest& request,
               ServedUpdate served, OnUpdate update);

  // What arrives here from an agent, on this process' loop. Attach gives 0 when this broker does
  // not lead, and then `leader` (may be empty) as the place to go.
  uint64_t Attach(const std::string& host, std::string* leader);
  // Whether the stream is still open on this side.
  bool Holds(const std::string& host, uint64_t link) const {
    const auto at = links_.find(host);
    return at != links_.end() && at->second == link;
  }
  // A report is at this machine, before the process looks at it.
  void NoteArrival(const std::string& host, uint64_t link);
  void Report(const std::string& host, uint64_t link, const v1::AgentReport& report);
  void Detach(const std::string& host, uint64_t link);

  // AgentLinks.
  void Send(const std::string& host, uint64_t link, const v1::AgentCommand& command) override;
  void Close(const std::string& host, uint64_t link, const absl::Status& why) override;

 private:
  // A call on its way; ended once, from whichever side.
  struct Exchange {
    std::string machine;
    bool ended = false;
    std::function<void(const absl::Status&)> fail;
    // Where it is served, once it is there.
    BrokerProcess* server = nullptr;
    uint64_t server_run = 0;
    CallId call = 0;
  };
  using ExchangePointer = std::shared_ptr<Exchange>;
  // Runs at the broker that leads.
  using Serve = std::function<void(BrokerProcess& leader)>;

  ExchangePointer Begin(const std::string& machine, absl::Duration timeout,
                        std::function<void(const absl::Status&)> fail);
  void Track(const ExchangePointer& exchange);
  void Fail(const ExchangePointer& exchange, const absl::Status& why);
  void FailLater(const ExchangePointer& exchange, const char* why);
  // Sends a message to a broker; `arrive` runs there, if it gets there.
  void Travel(const ExchangePointer& exchange, const std::string& from, BrokerProcess& to,
              std::function<void()> arrive);
  // Serves it here, or at the leader.
  void ServeOrForward(const ExchangePointer& exchange, Serve serve);
  // Sends an answer back over `entry`; `land` runs at the client, if it gets there.
  void Return(const ExchangePointer& exchange, BrokerProcess& entry, absl::Duration delay,
              std::function<void()> land);
  void ServeConnect(const ExchangePointer& exchange, BrokerProcess& entry, const Caller& caller,
                    const v1::ConnectRequest& request, ServedUpdate served, OnUpdate update);
  Done Landing(const ExchangePointer& exchange, BrokerProcess& entry, Served served, Done done);
  void CountCodeAlone(const ExchangePointer& exchange, const v1::SignInRequest& request,
                      const DirectoryAnswer& judged, const Served& served, const Done& done);
  void LeadershipEnded();
  // What a greeting of the leader would show.
  void GreetLeader();
  std::unique_ptr<Election> MakeElection();
  LeaderFunctions AskingLeader();
  // Runs at the leader, and what it replies here, as far as the network lets them; UNAVAILABLE
  // otherwise, in the end.
  template <typename Answer>
  void AskLeader(
      absl::AnyInvocable<void(absl::StatusOr<Answer>)> done,
      std::function<void(BrokerProcess& leader, std::function<void(absl::StatusOr<Answer>)> reply)>
          there);
  absl::Duration Hop();

  World& world_;
  const int index_;
  const std::string name_;
  ProcessExecutor executor_;
  SimStore store_;
  FakeDirectory directory_;
  FakeFencer fencer_;
  std::unique_ptr<Election> election_;
  // Of the same, when there are several brokers; else nullptr.
  SimElection* sim_election_ = nullptr;
  std::unique_ptr<BrokerNode> node_;
  uint64_t run_ = 0;
  absl::Duration news_delay_;
  // The leader that was seen to be gone at the last greeting; 0: it was not.
  uint64_t gone_epoch_ = 0;
  std::list<std::weak_ptr<Exchange>> exchanges_;
  // The streams that are open here.
  std::map<std::string, uint64_t> links_;
  // Sabotage: the last step of each person, as this broker alone counts.
  std::map<std::string, int64_t> own_steps_;
};

}  // namespace werkplek::sim
