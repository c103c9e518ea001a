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

// The LDAP directory. Callbacks run on the executor that the directory was made with.
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
