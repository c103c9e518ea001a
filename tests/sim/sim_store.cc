#include "tests/sim/sim_store.h"

#include <algorithm>

namespace werkplek::sim {

void SimStore::Spoil(ChangeSet& changes) {
  if (sabotage_ == Sabotage::kForgetLastStep) {
    for (v1::Change& change : changes) {
      v1::TokenEnrolment token;
      if (change.table() != std::string(kTokenTable) || !token.ParseFromString(change.value())) {
        continue;
      }
      token.set_last_step(0);
      change.set_value(token.SerializeAsString());
    }
  }
  const auto lost = [this](const v1::Change& change) {
    if (sabotage_ == Sabotage::kForgetSignOut) {
      return change.table() == std::string(kSignInTable) && !change.has_value();
    }
    return sabotage_ == Sabotage::kLoseDesktopChanges &&
           change.table() == std::string(kDesktopTable) && chance_->Percent(5);
  };
  changes.erase(std::remove_if(changes.begin(), changes.end(), lost), changes.end());
}

void SimStore::Commit(uint64_t epoch, ChangeSet changes,
                      absl::AnyInvocable<void(absl::Status)> done) {
  Spoil(changes);
  if (sabotage_ != Sabotage::kAcknowledgeBeforeCommit) {
    store_->Commit(epoch, std::move(changes), std::move(done));
    return;
  }
  executor_->Post([done = std::move(done)]() mutable { done(absl::OkStatus()); });
  executor_->PostAfter(absl::Milliseconds(30),
                       [this, began = run, epoch, changes = std::move(changes)]() mutable {
                         if (began != run) return;
                         store_->Commit(epoch, std::move(changes), [](const absl::Status&) {});
                       });
}

}  // namespace werkplek::sim
