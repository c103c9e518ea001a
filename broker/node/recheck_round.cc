#include "broker/node/recheck_round.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace werkplek {

std::vector<std::string> RecheckRound::Take(const Fleet& fleet, absl::Duration now,
                                            absl::Time wall_now) {
  records_ = fleet.sign_ins.size() + fleet.live_sessions.size();
  const auto records = static_cast<double>(records_);
  const absl::Duration since = now - std::exchange(taken_at_, now);
  // The first call begins a round.
  if (since < length_) owed_ += records * absl::FDivDuration(since, length_);
  owed_ = std::min(owed_, records);
  std::vector<std::string> users;
  for (; owed_ >= 1 && open_.size() < kMostOpen; owed_ -= 1) {
    std::string user = Next(fleet, wall_now);
    if (!user.empty() && open_.insert(user).second) users.push_back(std::move(user));
  }
  return users;
}

std::string RecheckRound::Next(const Fleet& fleet, absl::Time wall_now) {
  // At the end of one table the other one begins; there is a record in one of them.
  for (;;) {
    if (!in_sessions_) {
      const auto at = last_key_.empty() ? fleet.sign_ins.begin() : fleet.sign_ins.After(last_key_);
      if (at != fleet.sign_ins.end()) {
        last_key_ = at->key;
        const absl::Time created = absl::FromUnixMillis(at->record->created_unix_ms());
        return created + length_ > wall_now ? "" : at->record->user();
      }
    } else {
      const auto at =
          last_key_.empty() ? fleet.live_sessions.begin() : fleet.live_sessions.After(last_key_);
      if (at != fleet.live_sessions.end()) {
        last_key_ = at->key;
        const v1::Session* session = fleet.sessions.Find(*at->record);
        return session == nullptr ? "" : session->user();
      }
    }
    last_key_.clear();
    in_sessions_ = !in_sessions_;
  }
}

void RecheckRound::Known(const std::string& user) {
  open_.erase(user);
  gone_.erase(user);
}

bool RecheckRound::Gone(const std::string& user, absl::Duration now) {
  open_.erase(user);
  // Those whose sign-ins have ended are not asked about any more.
  for (auto at = gone_.begin(); at != gone_.end();) {
    at = now - at->second.last > 2 * length_ ? gone_.erase(at) : std::next(at);
  }
  // Who has several sign-ins is asked about several times in one round.
  const auto [at, first] = gone_.try_emplace(user, Absence{now, now});
  at->second.last = now;
  if (first || now - at->second.since < length_ / 2 || Doubts()) return false;
  gone_.erase(at);
  return true;
}

bool RecheckRound::Doubts() const { return gone_.size() > std::max(kMostGone, records_ / 10); }

void RecheckRound::NoAnswer(const std::string& user) { open_.erase(user); }

void RecheckRound::Forget() {
  open_.clear();
  gone_.clear();
}

}  // namespace werkplek
