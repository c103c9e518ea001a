#include "tests/sim/store_replay.h"

#include "absl/strings/str_cat.h"

namespace werkplek::sim {

bool StoreReplay::NextChange() {
  while (commits_ == 0 || next_change_ >= history_.commits[commits_ - 1].changes.size()) {
    if (commits_ == history_.commits.size()) return false;
    ++commits_;
    next_change_ = 0;
  }
  change_ = &history_.commits[commits_ - 1].changes[next_change_++];
  const std::string& key = change_->key();
  const bool desktop = change_->table() == kDesktopTable;
  const bool session = change_->table() == kSessionTable;
  const bool sign_in = change_->table() == kSignInTable;
  old_desktop_ = desktop ? fleet_.desktops.FindShared(key) : nullptr;
  old_session_ = session ? fleet_.sessions.FindShared(key) : nullptr;
  old_sign_in_ = sign_in ? fleet_.sign_ins.FindShared(key) : nullptr;
  if (!ApplyChange(*change_, fleet_)) vanished_.push_back("a change that nobody can read");
  new_desktop_ = desktop ? fleet_.desktops.FindShared(key) : nullptr;
  new_session_ = session ? fleet_.sessions.FindShared(key) : nullptr;
  new_sign_in_ = sign_in ? fleet_.sign_ins.FindShared(key) : nullptr;
  return true;
}

bool StoreReplay::NextCommit() {
  if (commits_ == history_.commits.size()) return false;
  vanished_.clear();
  before_ = fleet_;
  ++commits_;
  for (const v1::Change& change : history_.commits[commits_ - 1].changes) {
    change_ = &change;
    if (!ApplyChange(change, fleet_)) vanished_.push_back("a change that nobody can read");
  }
  NoteVanished();
  return true;
}

void StoreReplay::NoteVanished() {
  for (const v1::Change& change : history_.commits[commits_ - 1].changes) {
    const std::string& key = change.key();
    if (change.table() == kSessionTable && !change.has_value()) {
      const v1::Session* session = before_.sessions.Find(key);
      if (session != nullptr && session->state() != v1::SESSION_STATE_ENDED) {
        vanished_.push_back(absl::StrCat("session ", key, " vanished without an end"));
      }
    }
    if (change.table() == kTokenTable) {
      const v1::TokenEnrolment* before = before_.tokens.Find(key);
      const v1::TokenEnrolment* after = fleet_.tokens.Find(key);
      if (before != nullptr && after != nullptr && before->seed_id() == after->seed_id() &&
          after->last_step() < before->last_step()) {
        vanished_.push_back(absl::StrCat("the last accepted step of ", key, " fell"));
      }
    }
    if (change.table() == kPoolTable || change.table() == kHostTable) {
      const auto& table = change.table() == kPoolTable ? before_.pools : before_.hosts;
      const auto& now = change.table() == kPoolTable ? fleet_.pools : fleet_.hosts;
      if (table.Find(key) != nullptr && now.Find(key) != nullptr &&
          now.Find(key)->version() < table.Find(key)->version()) {
        vanished_.push_back(absl::StrCat("the version of ", key, " fell"));
      }
    }
  }
}

}  // namespace werkplek::sim
