// The agent's stream to the leading broker: kept up with back-off, over several addresses.
//
// One stream at a time, left when its broker says nothing: a broker that hangs ends no stream.
// Reports are level-triggered: only the newest waits, so a slow broker costs no memory. Nothing
// here blocks. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "agent/link/broker_link_settings.h"
#include "common/base/executor.h"
#include "grpcpp/channel.h"
#include "grpcpp/security/credentials.h"
#include "werkplek/v1/agent.pb.h"

namespace werkplek {

// Called on the executor, in order. `up` and `down` alternate; `down` says why.
struct BrokerLinkListener {
  std::function<void()> up;
  std::function<void(const absl::Status& why)> down;
  std::function<void(const v1::AgentCommand& command)> command;
};

class BrokerLink {
 public:
  // `executor` outlives the link.
  BrokerLink(BrokerLinkSettings settings, std::shared_ptr<grpc::ChannelCredentials> credentials,
             Executor* executor, BrokerLinkListener listener);
  // Stops. Not from the executor's thread.
  ~BrokerLink();
  BrokerLink(const BrokerLink&) = delete;
  BrokerLink& operator=(const BrokerLink&) = delete;

  void Start();
  // Ends the stream and waits for its end; no callback comes afterwards.
  void Stop();

  // Sends the report when the stream can take it, in place of one that still waits. Dropped while
  // the link is down.
  void Send(v1::AgentReport report);

 private:
  class State;
  std::shared_ptr<State> state_;
  Executor* const executor_;
};

}  // namespace werkplek
