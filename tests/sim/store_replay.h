// Walks through a history's commits, change by change, with the store as it was at each.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "broker/model/fleet.h"
#include "tests/sim/history.h"

namespace werkplek::sim {

class StoreReplay {
 public:
  explicit StoreReplay(const History& history) : history_(history) {}

  // Takes the next change. False: there is none.
  bool NextChange();
  // Takes all changes of the next commit. False: there is none.
  bool NextCommit();

  // How many commits were begun by NextChange, or taken by NextCommit.
  size_t commits() const { return commits_; }
  absl::Duration at() const { return history_.commits[commits_ - 1].at; }
  uint64_t epoch() const { return history_.commits[commits_ - 1].epoch; }
  // The store after the change.
  const Fleet& fleet() const { return fleet_; }
  const v1::Change& change() const { return *change_; }

  // The record before and after the change, if it is of that table. Valid until the next change.
  const v1::Desktop* OldDesktop() const { return old_desktop_.get(); }
  const v1::Desktop* NewDesktop() const { return new_desktop_.get(); }
  const v1::Session* OldSession() const { return old_session_.get(); }
  const v1::Session* NewSession() const { return new_session_.get(); }
  const v1::SignIn* OldSignIn() const { return old_sign_in_.get(); }
  const v1::SignIn* NewSignIn() const { return new_sign_in_.get(); }

  // What the last commit took away that should have stayed: sessions that had not ended, resources
  // whose version fell, a last accepted step that fell.
  const std::vector<std::string>& vanished() const { return vanished_; }

 private:
  void NoteVanished();

  const History& history_;
  size_t commits_ = 0;
  size_t next_change_ = 0;
  Fleet fleet_;
  Fleet before_;
  const v1::Change* change_ = nullptr;
  std::shared_ptr<const v1::Desktop> old_desktop_, new_desktop_;
  std::shared_ptr<const v1::Session> old_session_, new_session_;
  std::shared_ptr<const v1::SignIn> old_sign_in_, new_sign_in_;
  std::vector<std::string> vanished_;
};

}  // namespace werkplek::sim
