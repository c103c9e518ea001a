// The one store of all brokers of a simulation: keeps records with epochs, answers late, loses what
// it should say, and tells the history what became durable.
#pragma once

#include <functional>

#include "broker/store/memory_store.h"
#include "tests/sim/history.h"

namespace werkplek::sim {

class World;

// What becomes of a commit that has reached the store.
enum class CommitFault {
  kNone,
  // Nothing is written, and the answer says so.
  kRefused,
  // Nothing is written; the answer is UNKNOWN.
  kInDoubt,
  // It is written; the answer is UNKNOWN.
  kAnswerLost,
  // It is written long after; by then nobody waits for it.
  kLate,
  // It is written; no answer comes at all.
  kNoAnswer,
};
inline constexpr int kCommitFaults = static_cast<int>(CommitFault::kNoAnswer) + 1;

class StoreServer {
 public:
  explicit StoreServer(World& world);

  MemoryStore& memory() { return memory_; }

  std::function<CommitFault()> commit_fault = [] { return CommitFault::kNone; };
  // Fails a load when it is not OK.
  std::function<absl::Status()> load_fault = [] { return absl::OkStatus(); };

  // As at the moment at which the request arrives.
  void Commit(uint64_t epoch, ChangeSet changes, std::function<void(absl::Status)> done);
  void Load(uint64_t epoch, std::function<void(absl::StatusOr<Fleet>)> done);

 private:
  void Write(uint64_t epoch, ChangeSet changes, std::function<void(absl::Status)> done);
  // The fleet as it was some commits ago.
  Fleet OldFleet(const Fleet& newest) const;

  World& world_;
  MemoryStore memory_;
};

}  // namespace werkplek::sim
