#include "tests/sim/store_server.h"

#include <algorithm>
#include <utility>

#include "tests/sim/world.h"

namespace werkplek::sim {
namespace {

constexpr size_t kCommitsBehind = 40;

}  // namespace

StoreServer::StoreServer(World& world) : world_(world), memory_(&world.executor()) {}

void StoreServer::Commit(uint64_t epoch, ChangeSet changes,
                         std::function<void(absl::Status)> done) {
  const CommitFault fault = commit_fault();
  switch (fault) {
    case CommitFault::kRefused:
      return done(absl::ResourceExhaustedError("the disk is full"));
    case CommitFault::kInDoubt:
      return done(absl::UnknownError("the sync failed"));
    case CommitFault::kLate:
      return world_.After(world_.chance().Between(absl::Milliseconds(500), absl::Seconds(12)),
                          [this, epoch, changes = std::move(changes)] {
                            Write(epoch, changes, [](const absl::Status&) {});
                          });
    case CommitFault::kNoAnswer:
      return Write(epoch, std::move(changes), [](const absl::Status&) {});
    case CommitFault::kAnswerLost:
      return Write(epoch, std::move(changes), [done](const absl::Status& status) {
        done(status.ok() ? absl::UnknownError("the answer was lost") : status);
      });
    case CommitFault::kNone:
      break;
  }
  Write(epoch, std::move(changes), std::move(done));
}

void StoreServer::Write(uint64_t epoch, ChangeSet changes, std::function<void(absl::Status)> done) {
  if (world_.scenario().sabotage == Sabotage::kDropEpochGuard) {
    epoch = std::max(epoch, world_.lease().epoch());
    // The trail's own numbers would betray the old leader.
    changes.erase(
        std::remove_if(changes.begin(), changes.end(),
                       [](const v1::Change& c) { return c.table() == std::string(kAuditTable); }),
        changes.end());
  }
  memory_.Commit(epoch, changes, [this, epoch, changes, done](const absl::Status& status) {
    if (status.ok()) {
      world_.history().commits.push_back({world_.now(), changes, epoch});
      for (const v1::Change& change : changes) {
        world_.Say("store ", change.table(), "/", change.key(),
                   change.has_value() ? " put" : " erased");
      }
    } else {
      world_.Say("store refuses epoch ", epoch, ": ", absl::StatusCodeToString(status.code()));
    }
    done(status);
  });
}

void StoreServer::Load(uint64_t epoch, std::function<void(absl::StatusOr<Fleet>)> done) {
  if (absl::Status status = load_fault(); !status.ok()) return done(status);
  memory_.Load(epoch, [this, done = std::move(done)](absl::StatusOr<Fleet> fleet) {
    const bool stale = world_.scenario().sabotage == Sabotage::kStaleRead;
    if (fleet.ok() && stale) fleet = OldFleet(*fleet);
    done(std::move(fleet));
  });
}

Fleet StoreServer::OldFleet(const Fleet& newest) const {
  const auto& commits = world_.history().commits;
  Fleet fleet;
  for (size_t i = 0; i + kCommitsBehind < commits.size() || i == 0; ++i) {
    for (const v1::Change& change : commits[i].changes) ApplyChange(change, fleet);
  }
  fleet.audit_sequence = newest.audit_sequence;
  return fleet;
}

}  // namespace werkplek::sim
