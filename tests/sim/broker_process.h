// A broker of a simulation: the real node and core, reached over a network that loses messages.
// Killed and started again at will; only the store outlives it.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "broker/node/broker_node.h"
#include "broker/token/token_authority.h"
#include "tests/sim/sim_store.h"
#include "tests/support/fake_directory.h"
#include "tests/support/fake_election.h"

namespace werkplek::sim {

class World;

class BrokerProcess : public AgentLinks {
 public:
  BrokerProcess(World& world, FaultyStore* store, const TokenAuthority* tokens);

  void Start();
  // As by kill -9.
  void Kill();
  bool up() const { return node_ != nullptr; }
  // nullptr: down, or it does not lead.
  Picture picture() const { return node_ == nullptr ? nullptr : node_->picture(); }
  // Of the run that is up; nullptr: none.
  FakeElection* election() { return election_.get(); }
  FakeDirectory& directory() { return *directory_; }
  // Percent of requests, and of answers, that get lost.
  void SetLoss(int percent) { loss_ = percent; }
  // How late a new leader hears of it.
  void SetNewsDelay(absl::Duration delay);

  // What a client calls. `served` sees the answer as the broker gave it, `done` as it reached the
  // client: UNAVAILABLE or DEADLINE_EXCEEDED mean that it may or may not have been done.
  using Answer = absl::StatusOr<MessagePointer>;
  using Served = std::function<void(const Answer&)>;
  using Done = std::function<void(const Answer&)>;
  void SignIn(const Caller& caller, const v1::SignInRequest& request, Served served, Done done);
  void Call(const Caller& caller, MessagePointer request, Served served, Done done);

  // A Connect stream. `update` gets UNAVAILABLE when the stream broke.
  using Update = absl::StatusOr<v1::ConnectUpdate>;
  using ServedUpdate = std::function<void(const Update&)>;
  using OnUpdate = std::function<void(const Update&, bool last)>;
  void Connect(const Caller& caller, const v1::ConnectRequest& request, ServedUpdate served,
               OnUpdate update);

  // What an agent does. Attach gives 0 when the broker is down.
  uint64_t Attach(const std::string& host);
  void Report(const std::string& host, uint64_t link, const v1::AgentReport& report);
  void Detach(const std::string& host, uint64_t link);

  // AgentLinks.
  void Send(const std::string& host, uint64_t link, const v1::AgentCommand& command) override;
  void Close(const std::string& host, uint64_t link, const absl::Status& why) override;

 private:
  // A call on its way; ended once, from whichever side.
  struct Exchange {
    bool ended = false;
    std::function<void(const absl::Status&)> fail;
    CallId call = 0;
  };
  using ExchangePointer = std::shared_ptr<Exchange>;

  ExchangePointer Begin(absl::Duration timeout, std::function<void(const absl::Status&)> fail);
  void Fail(const ExchangePointer& exchange, const absl::Status& why);
  // Sends the request to the broker; `arrive` runs there, if it gets there.
  void Deliver(const ExchangePointer& exchange, std::function<void()> arrive);
  // Sends an answer back; `land` runs at the client, if it gets there.
  void Return(const ExchangePointer& exchange, std::function<void()> land);
  absl::Duration Hop();

  World& world_;
  SimStore store_;
  const TokenAuthority* const tokens_;
  std::unique_ptr<FakeDirectory> directory_;
  std::unique_ptr<FakeElection> election_;
  std::unique_ptr<BrokerNode> node_;
  uint64_t run_ = 0;
  int loss_ = 0;
  absl::Duration news_delay_;
  std::list<std::weak_ptr<Exchange>> exchanges_;
};

}  // namespace werkplek::sim
