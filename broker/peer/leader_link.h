// The connections of a broker that does not lead to the one that does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/node/ports.h"
#include "common/base/executor.h"
#include "grpcpp/channel.h"
#include "grpcpp/security/credentials.h"

namespace werkplek {

// A call that runs at the leader.
class LeaderCall {
 public:
  virtual ~LeaderCall() = default;
  // The leader went away or does not answer: the call is to end soon. Any thread, at most once.
  virtual void Abandon() = 0;
};

// Which of the leader's two ports.
enum class LeaderPort { kClients, kAgents };

struct LeaderLinkSettings {
  // This broker's own name: calls are never forwarded to itself.
  std::string own_name;
  // How often to see who leads and whether it answers.
  absl::Duration look_interval = absl::Milliseconds(250);
  // A leader that does not answer a greeting within this is given up until it does. With the
  // interval it must stay below the two seconds within which callers are to hear of it.
  absl::Duration answer_limit = absl::Milliseconds(1500);
  // After a greeting that failed it is seen whether the leader's port refuses connections, twice in
  // a row, each time for so long: then the leader has gone.
  absl::Duration knock_limit = absl::Milliseconds(100);
  // Below the listeners' limit of streams per connection; further calls get further connections.
  size_t calls_per_connection = 80;
  size_t max_calls = 4096;
};

struct LeaderLinkParts {
  Executor* executor = nullptr;
  // Election::leader. Any thread.
  std::function<LeaderInfo()> leader;
  // Election::LeaderSeen: a leader that is silent is told of at each look, one that has gone when
  // it is noticed, if it has answered this broker before.
  std::function<void(uint64_t epoch, LeaderSign sign)> seen;
  // Credentials that talk only to the broker of this name.
  std::function<absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>>(const std::string& name)>
      credentials;
};

// Thread-safe. Greets the leader all the time, so that a dead one is known before its calls run out
// of time.
class LeaderLink {
 private:
  class State;
  struct Leader;
  struct Connection;

 public:
  // One call's place on a connection; given back when it goes. In the call's object it stands
  // before the ClientContext and the stub, so that it goes last: a connection must not end on one
  // of gRPC's own threads.
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&& other) noexcept;
    ~Lease();
    const std::shared_ptr<grpc::Channel>& channel() const;

   private:
    friend class State;
    std::shared_ptr<State> state_;
    std::shared_ptr<Leader> leader_;
    Connection* connection_ = nullptr;
    uint64_t id_ = 0;
  };

  LeaderLink(LeaderLinkSettings settings, LeaderLinkParts parts);
  // Stops.
  ~LeaderLink();
  LeaderLink(const LeaderLink&) = delete;
  LeaderLink& operator=(const LeaderLink&) = delete;

  void Start();
  // Abandons every call and waits until all have given back their places. Not from the executor.
  void Stop();

  // A place for `call`. UNAVAILABLE: no leader is known, or it does not answer.
  // RESOURCE_EXHAUSTED: too many calls are under way.
  absl::StatusOr<Lease> Open(LeaderPort port, const std::weak_ptr<LeaderCall>& call);

  // The leader that calls go to; epoch 0: none, or it is this broker.
  LeaderInfo leader() const;
  // Whether it is known and answers.
  bool usable() const;

 private:
  const std::shared_ptr<State> state_;
};

}  // namespace werkplek
