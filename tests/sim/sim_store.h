// The store as one broker of a simulation reaches it: over a network that loses requests and
// answers, with a deadline after which the outcome is unknown; and, in the sabotaged variants,
// wrong.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "broker/node/ports.h"
#include "tests/sim/process_executor.h"

namespace werkplek::sim {

class World;

class SimStore : public Store {
 public:
  // All outlive the store.
  SimStore(World& world, std::string broker, ProcessExecutor* executor)
      : world_(world), broker_(std::move(broker)), executor_(executor) {}

  // Changes when the broker dies: what it had not sent then is lost.
  uint64_t run = 0;

  void Load(uint64_t epoch, absl::AnyInvocable<void(absl::StatusOr<Fleet>)> done) override;
  void Commit(uint64_t epoch, ChangeSet changes,
              absl::AnyInvocable<void(absl::Status)> done) override;
  void ReadAudit(
      uint64_t after, uint32_t limit,
      absl::AnyInvocable<void(absl::StatusOr<std::vector<v1::AuditRecord>>)> done) override;

 private:
  void Spoil(ChangeSet& changes);
  void Send(uint64_t epoch, ChangeSet changes, std::function<void(absl::Status)> done);

  World& world_;
  const std::string broker_;
  ProcessExecutor* const executor_;
};

}  // namespace werkplek::sim
