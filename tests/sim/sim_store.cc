#include "tests/sim/sim_store.h"

#include <algorithm>

#include "tests/sim/world.h"

namespace werkplek::sim {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(3);
constexpr absl::Duration kLongestWrite = absl::Milliseconds(8);

// Calls `done` with the first answer that comes.
template <typename Answer>
std::function<void(Answer)> Once(absl::AnyInvocable<void(Answer)> done) {
  const auto shared = std::make_shared<absl::AnyInvocable<void(Answer)>>(std::move(done));
  return [shared](Answer answer) {
    if (*shared == nullptr) return;
    const auto first = std::make_shared<absl::AnyInvocable<void(Answer)>>(std::move(*shared));
    *shared = nullptr;
    (*first)(std::move(answer));
  };
}

}  // namespace

void SimStore::Spoil(ChangeSet& changes) {
  const Sabotage sabotage = world_.scenario().sabotage;
  if (sabotage == Sabotage::kForgetLastStep) {
    for (v1::Change& change : changes) {
      v1::TokenEnrolment token;
      if (change.table() != std::string(kTokenTable) || !token.ParseFromString(change.value())) {
        continue;
      }
      token.set_last_step(0);
      change.set_value(token.SerializeAsString());
    }
  }
  for (v1::Change& change : changes) {
    v1::Desktop desktop;
    const bool moves = change.table() == std::string(kDesktopTable) &&
                       desktop.ParseFromString(change.value()) && !desktop.moving_to().empty();
    if (!moves) continue;
    if (sabotage == Sabotage::kMovedBeforeReported) desktop.set_host(desktop.moving_to());
    if (sabotage == Sabotage::kMovedBeforeReported || sabotage == Sabotage::kForgetMoves) {
      desktop.clear_moving_to();
      change.set_value(desktop.SerializeAsString());
    }
  }
  const auto lost = [this, sabotage](const v1::Change& change) {
    if (sabotage == Sabotage::kForgetSignOut) {
      return change.table() == std::string(kSignInTable) && !change.has_value();
    }
    if (sabotage == Sabotage::kForgetAudit) {
      return change.table() == std::string(kAuditTable) && world_.chance().Percent(10);
    }
    if (sabotage == Sabotage::kForgetAnswers) {
      return change.table() == std::string(kAnsweredTable);
    }
    return sabotage == Sabotage::kLoseDesktopChanges &&
           change.table() == std::string(kDesktopTable) && world_.chance().Percent(5);
  };
  changes.erase(std::remove_if(changes.begin(), changes.end(), lost), changes.end());
}

void SimStore::Commit(uint64_t epoch, ChangeSet changes,
                      absl::AnyInvocable<void(absl::Status)> done) {
  Spoil(changes);
  if (world_.scenario().sabotage != Sabotage::kAcknowledgeBeforeCommit) {
    return Send(epoch, std::move(changes), Once(std::move(done)));
  }
  executor_->Post([done = std::move(done)]() mutable { done(absl::OkStatus()); });
  executor_->PostAfter(absl::Milliseconds(30),
                       [this, began = run, epoch, changes = std::move(changes)]() mutable {
                         if (began != run) return;
                         Send(epoch, std::move(changes), [](const absl::Status&) {});
                       });
}

void SimStore::Send(uint64_t epoch, ChangeSet changes, std::function<void(absl::Status)> done) {
  executor_->PostAfter(kDeadline, [done] { done(absl::UnknownError("no answer in time")); });
  if (!world_.network().Open(broker_, kStoreNode)) {
    // Either nothing is known, or the connection is known to be down before anything was sent.
    if (world_.chance().Percent(30)) {
      executor_->PostAfter(world_.Hop(), [done] { done(absl::UnavailableError("not sent")); });
    }
    return;
  }
  const absl::Duration takes = world_.chance().Between(absl::Microseconds(200), kLongestWrite);
  world_.After(takes, [&world = world_, broker = broker_, executor = executor_, epoch, done,
                       changes = std::move(changes)] {
    world.store().Commit(epoch, changes, [&world, broker, executor, done](absl::Status status) {
      if (!world.network().Open(kStoreNode, broker)) return;
      executor->PostAfter(world.Hop(), [done, status] { done(status); });
    });
  });
}

void SimStore::Load(uint64_t epoch, absl::AnyInvocable<void(absl::StatusOr<Fleet>)> done) {
  using Loaded = absl::StatusOr<Fleet>;
  const std::function<void(Loaded)> once =
      Once<Loaded>([this, done = std::move(done)](Loaded fleet) mutable {
        const bool early = world_.scenario().sabotage == Sabotage::kJudgeBeforeGrace;
        // As if the time without a leader counted as the hosts' silence.
        if (early) executor_->SetMonotonicOffset(-absl::Minutes(1));
        done(std::move(fleet));
        executor_->SetMonotonicOffset(absl::ZeroDuration());
      });
  executor_->PostAfter(kDeadline, [once] { once(absl::UnavailableError("no answer in time")); });
  if (!world_.network().Open(broker_, kStoreNode)) return;
  const absl::Duration takes = world_.chance().Between(absl::Microseconds(200), kLongestWrite);
  world_.After(takes, [&world = world_, broker = broker_, executor = executor_, epoch, once] {
    world.store().Load(epoch, [&world, broker, executor, once](const Loaded& fleet) {
      if (!world.network().Open(kStoreNode, broker)) return;
      executor->PostAfter(world.Hop(), [once, fleet] { once(fleet); });
    });
  });
}

void SimStore::ReadAudit(
    uint64_t after, uint32_t limit,
    absl::AnyInvocable<void(absl::StatusOr<std::vector<v1::AuditRecord>>)> done) {
  world_.store().memory().ReadAudit(after, limit, std::move(done));
}

}  // namespace werkplek::sim
