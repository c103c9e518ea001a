// The streams of the agents, as the node sees them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "broker/node/ports.h"
#include "common/base/mutex.h"

namespace werkplek {

// One agent's stream. Thread-safe.
class AgentLink {
 public:
  virtual ~AgentLink() = default;
  // Queues the command; of what waits for the same desktop, the older of a kind is dropped.
  virtual void Send(const v1::AgentCommand& command) = 0;
  // Ends the stream without what waits.
  virtual void Close(const absl::Status& why) = 0;
  // Who is at its other end.
  virtual const Caller& caller() const = 0;
};

// The key under which a newer command takes the place of one that waits. Verbs that say what a
// machine should be share one; each other verb has its own.
std::string CoalescingKey(const v1::AgentCommand& command);

// Thread-safe. Outlives the node and the agents' listener.
class GrpcAgentLinks final : public AgentLinks {
 public:
  void Send(const std::string& host, uint64_t link, const v1::AgentCommand& command) override;
  void Close(const std::string& host, uint64_t link, const absl::Status& why) override;

  // The host's stream from now on. Gives the one before, which the caller closes; nullptr: none.
  std::shared_ptr<AgentLink> Register(const std::string& host, uint64_t link,
                                      std::shared_ptr<AgentLink> stream);
  // The stream has ended; nothing when another has taken its place.
  void Unregister(const std::string& host, uint64_t link);

  // Ends each stream for which `judge` is not OK, with what it says.
  void CloseUnwelcome(absl::FunctionRef<absl::Status(const Caller& caller)> judge);

  size_t size() const;

 private:
  struct Entry {
    uint64_t link = 0;
    std::shared_ptr<AgentLink> stream;
  };

  // nullptr: the host has no such stream.
  std::shared_ptr<AgentLink> Find(const std::string& host, uint64_t link) const;

  mutable Mutex mutex_;
  absl::flat_hash_map<std::string, Entry> links_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace werkplek
