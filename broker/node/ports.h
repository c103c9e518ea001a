// The broker's ports: with Executor (common/base/executor.h) the only abstract classes of the
// broker. Each has one fake (tests/support) and a contract suite (tests/contract) that the fake and
// every real one pass.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "broker/core/event.h"
#include "broker/model/fleet.h"
#include "common/base/crypto.h"
#include "common/base/executor.h"
#include "werkplek/v1/agent.pb.h"

namespace werkplek {

// Keeps the hard state. Callbacks run on the executor that the store was made with; calls come from
// its loop thread.
class Store {
 public:
  virtual ~Store() = default;

  // Reads everything (the audit only by its last sequence). `epoch` is the reader's claim:
  // FAILED_PRECONDITION when a higher epoch was seen. DATA_LOSS: damaged, nothing was changed.
  virtual void Load(uint64_t epoch, absl::AnyInvocable<void(absl::StatusOr<Fleet>)> done) = 0;

  // Makes all of `changes` durable, or none. Commits are done in the order of their calls.
  // FAILED_PRECONDITION: `epoch` is not the newest; nothing was written.
  // RESOURCE_EXHAUSTED: too large, or the disk is full; nothing was written.
  // UNKNOWN: it may or may not be durable; the caller must step down and load anew.
  virtual void Commit(uint64_t epoch, ChangeSet changes,
                      absl::AnyInvocable<void(absl::Status)> done) = 0;

  // Audit records with a sequence above `after`, at most `limit`, in order.
  virtual void ReadAudit(
      uint64_t after, uint32_t limit,
      absl::AnyInvocable<void(absl::StatusOr<std::vector<v1::AuditRecord>>)> done) = 0;
};

// The broker that leads, as far as this one has heard. Only a hint: it says where to forward a call
// or to send an agent, never who may decide. It may be late, or of a leader that is gone already.
struct LeaderInfo {
  // 0: no leader is known; the rest is then empty.
  uint64_t epoch = 0;
  // As its certificate says: `werkplek://broker/NAME`.
  std::string name;
  // "HOST:PORT" where it takes the gRPC calls of clients (and of other brokers), and of agents.
  std::string client_address;
  std::string agent_address;

  friend bool operator==(const LeaderInfo& a, const LeaderInfo& b) {
    return a.epoch == b.epoch && a.name == b.name && a.client_address == b.client_address &&
           a.agent_address == b.agent_address;
  }
  friend bool operator!=(const LeaderInfo& a, const LeaderInfo& b) { return !(a == b); }
};

// What a broker that follows has seen of the one that leads.
enum class LeaderSign {
  // It answers no greeting.
  kSilent,
  // Its machine says that nobody listens there any more: the process has gone.
  kGone,
};

// Decides who leads. Callbacks run on the executor that the election was made with.
class Election {
 public:
  virtual ~Election() = default;

  // Campaigns until Stop. `elected(epoch)`: this broker leads from now, with an epoch higher than
  // any before; `lost()`: it leads no longer. The two alternate, `elected` first.
  virtual void Start(absl::AnyInvocable<void(uint64_t epoch)> elected,
                     absl::AnyInvocable<void()> lost) = 0;

  // Steps down and campaigns again: the store gave an unknown outcome.
  virtual void StepDown() = 0;

  // No callback comes after this returns.
  virtual void Stop() = 0;

  // Who leads, this broker too. From any thread.
  virtual LeaderInfo leader() const = 0;
  // `changed` gets each change of leader(), until Stop. At most once, before Start.
  virtual void WatchLeader(absl::AnyInvocable<void(const LeaderInfo&)> changed) = 0;

  // What this broker has seen of the leader under `epoch`. A hint: it may spare the wait for the
  // rest of a lease, so when it is wrong, it costs a change of leader. From any thread.
  virtual void LeaderSeen(uint64_t epoch, LeaderSign sign) = 0;
};

struct DirectoryAnswer {
  DirectoryOutcome outcome = DirectoryOutcome::kDenied;
  // Why, for the log.
  std::string detail;
  // kOk only.
  DirectoryPerson person;
  // For the person: "your password expires in 3 days".
  std::vector<std::string> notices;
};

// The LDAP directory. Thread-safe; callbacks run on the executor that the directory was made with.
class Directory {
 public:
  virtual ~Directory() = default;

  // Judges a name and a password, and reads the person's groups. An empty password is denied
  // without a byte on the wire. Always answers, within the configured deadline. An unknown name
  // takes as long as a known one.
  virtual void Authenticate(const std::string& user, const Secret& password,
                            absl::AnyInvocable<void(DirectoryAnswer)> done) = 0;

  // Finds a person by name, without a password: for enrolments and re-checks. NOT_FOUND;
  // UNAVAILABLE.
  virtual void Find(const std::string& user,
                    absl::AnyInvocable<void(absl::StatusOr<DirectoryPerson>)> done) = 0;
};

// Makes sure that a host is off, by whatever switches machines off. Callbacks run on the executor
// that the fencer was made with.
class Fencer {
 public:
  virtual ~Fencer() = default;

  // OK: the host is off for sure. Anything else: nothing is known; the message says why, for
  // people. Always answers, within a bounded time; RESOURCE_EXHAUSTED: too many are under way.
  virtual void Fence(const std::string& host, absl::AnyInvocable<void(absl::Status)> done) = 0;
};

// The streams of the agents. Called from the loop thread.
class AgentLinks {
 public:
  virtual ~AgentLinks() = default;

  // Queues the command on the host's stream. Dropped when there is none or when its queue is full
  // (the next report shows the difference).
  virtual void Send(const std::string& host, uint64_t link, const v1::AgentCommand& command) = 0;

  // Ends the stream.
  virtual void Close(const std::string& host, uint64_t link, const absl::Status& why) = 0;
};

}  // namespace werkplek
