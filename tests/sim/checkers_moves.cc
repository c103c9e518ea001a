// What must hold while desktops move from host to host.
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/model/kept.h"
#include "tests/sim/checkers.h"
#include "tests/sim/store_replay.h"

namespace werkplek::sim {
namespace {

std::string At(absl::Duration at) { return absl::StrCat(absl::FormatDuration(at), ": "); }

// A desktop's generation on its way to a host.
using Way = std::tuple<std::string, uint64_t, std::string>;

bool Serves(const v1::Desktop& desktop) {
  return desktop.state() == v1::DESKTOP_STATE_READY ||
         desktop.state() == v1::DESKTOP_STATE_ASSIGNED;
}

class MoveChecker {
 public:
  explicit MoveChecker(const History& history) : history_(history), store_(history) {}

  Violations Check() {
    // The store is one change ahead: what the hosts did before it is judged before it is taken in.
    while (store_.NextChange()) {
      JudgeHosts(store_.at());
      const v1::Desktop* after = store_.NewDesktop();
      if (after == nullptr) {
        if (store_.OldDesktop() != nullptr) desktops_.erase(store_.OldDesktop()->id());
        continue;
      }
      if (const v1::Desktop* before = store_.OldDesktop()) JudgeChange(*before, *after);
      if (!after->moving_to().empty()) {
        decided_.emplace(after->id(), after->generation(), after->moving_to());
      }
      desktops_[after->id()] = *after;
    }
    JudgeHosts(absl::InfiniteDuration());
    return std::move(found_);
  }

 private:
  template <typename... Parts>
  void Fail(absl::Duration at, const Parts&... parts) {
    found_.push_back({"move", absl::StrCat(At(at), parts...)});
  }

  // What happened on the hosts before that time.
  void JudgeHosts(absl::Duration until) {
    for (; next_move_ < history_.moves.size() && history_.moves[next_move_].at < until;
         ++next_move_) {
      JudgeMove(history_.moves[next_move_]);
    }
    for (; next_removal_ < history_.removals.size() && history_.removals[next_removal_].at < until;
         ++next_removal_) {
      JudgeRemoval(history_.removals[next_removal_]);
    }
  }

  void JudgeMove(const MoveSeen& move) {
    const Way way(move.desktop, move.generation, move.to);
    if (move.step == MoveSeen::Step::kHandedOver) arrived_.insert(way);
    if (move.step != MoveSeen::Step::kBegun || decided_.count(way) != 0) return;
    Fail(move.at, move.desktop, " generation ", move.generation, " moves from ", move.from, " to ",
         move.to, ", which nobody committed");
  }

  void JudgeRemoval(const RemovalSeen& removal) {
    const auto found = desktops_.find(removal.desktop);
    const v1::Desktop* desktop = found == desktops_.end() ? nullptr : &found->second;
    if (removal.disk) {
      if (!removal.runs_on.empty()) {
        Fail(removal.at, removal.host, " removed the disk of ", removal.desktop, ", which runs on ",
             removal.runs_on);
      }
      return;
    }
    if (desktop == nullptr || !Serves(*desktop)) return;
    if (desktop->generation() != removal.generation) return;
    if (desktop->host() != removal.host && desktop->moving_to() != removal.host) return;
    Fail(removal.at, removal.desktop, " generation ", removal.generation, " was removed from ",
         removal.host, ", where it serves or is on its way to");
  }

  void JudgeChange(const v1::Desktop& before, const v1::Desktop& after) {
    if (before.host() == after.host() || before.host().empty() ||
        before.generation() != after.generation() || before.state() == v1::DESKTOP_STATE_OFF) {
      return;
    }
    // With its source gone it can only be there, whether or not that host is; then it is lost.
    if (!Serves(after)) return;
    if (arrived_.count({after.id(), after.generation(), after.host()}) == 0) {
      Fail(store_.at(), after.id(), " generation ", after.generation(), " is on ", after.host(),
           " in the store, but never came there");
    }
    const bool went_on = before.session().empty() || before.session() == after.session();
    if (after.state() == v1::DESKTOP_STATE_ASSIGNED && !went_on) {
      Fail(store_.at(), after.id(), " left ", before.host(), " with session ", before.session(),
           " and came to ", after.host(), " with ", after.session());
    }
  }

  const History& history_;
  StoreReplay store_;
  Violations found_;
  size_t next_move_ = 0;
  size_t next_removal_ = 0;
  std::set<Way> decided_;
  std::set<Way> arrived_;
  // As durable by then.
  std::map<std::string, v1::Desktop> desktops_;
};

}  // namespace

Violations CheckMoves(const History& history) { return MoveChecker(history).Check(); }

}  // namespace werkplek::sim
