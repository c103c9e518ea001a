#include "broker/node/password_tries.h"

#include <algorithm>

#include "broker/core/state.h"

namespace werkplek {

PasswordLimits LimitsFor(uint32_t locks_after, absl::Duration lock_window) {
  PasswordLimits limits;
  limits.all = std::max<uint32_t>(locks_after, 4) - 2;
  limits.strangers = (limits.all + 1) / 2;
  limits.remembered = lock_window;
  return limits;
}

PasswordTries::Answer PasswordTries::Begin(const std::string& user, const std::string& place,
                                           IsKnown is_known, absl::Duration now) {
  CloseOld(now);
  ForgetOld(now);
  const std::string key = OwnerKey(user);
  const auto found = names_.find(key);
  if (found != names_.end()) {
    const Name& name = found->second;
    const bool known = is_known(place);
    if (!HasRoom(name, known, is_known, 0)) {
      return {Verdict::kPaused, name.failed.back().at + limits_.remembered - now};
    }
    if (!HasRoom(name, known, is_known, name.open.size())) {
      return {Verdict::kOthersFirst, absl::ZeroDuration()};
    }
  } else if (failed_by_age_.size() >= kMostRemembered && !is_known(place)) {
    return {Verdict::kFull, absl::ZeroDuration()};
  }
  names_[key].open.push_back({now, place});
  begun_by_age_.emplace_back(now, key);
  return {};
}

bool PasswordTries::Ended(const std::string& user, const std::string& place,
                          const TryOutcome& outcome, IsKnown is_known, absl::Duration now) {
  const std::string key = OwnerKey(user);
  const auto found = names_.try_emplace(key).first;
  Name& name = found->second;
  // None: begun before this broker led, or closed already. It counts all the same.
  const auto begun = std::find_if(name.open.begin(), name.open.end(),
                                  [&place](const Try& open) { return open.place == place; });
  if (begun != name.open.end()) name.open.erase(begun);
  bool pauses = false;
  if (outcome.said == DirectoryOutcome::kOk) {
    name.right_at = now;
    if (!outcome.code_right && !is_known(place)) AddFailed(key, name, place, now);
  } else if (outcome.said == DirectoryOutcome::kDenied) {
    const bool known = is_known(place);
    const bool had_room = HasRoom(name, known, is_known, 0);
    AddFailed(key, name, place, now);
    pauses = had_room && !HasRoom(name, known, is_known, 0);
  }
  EraseIfEmpty(found);
  return pauses;
}

void PasswordTries::Forget() {
  names_.clear();
  failed_by_age_.clear();
  begun_by_age_.clear();
}

void PasswordTries::AddFailed(const std::string& key, Name& name, const std::string& place,
                              absl::Duration now) {
  name.failed.push_back({now, place});
  failed_by_age_.emplace_back(now, key);
}

void PasswordTries::CloseOld(absl::Duration now) {
  for (; !begun_by_age_.empty() && now - begun_by_age_.front().first >= kLongestTry;
       begun_by_age_.pop_front()) {
    const auto found = names_.find(begun_by_age_.front().second);
    if (found == names_.end()) continue;
    std::vector<Try>& open = found->second.open;
    while (!open.empty() && now - open.front().at >= kLongestTry) {
      AddFailed(found->first, found->second, open.front().place, now);
      open.erase(open.begin());
    }
  }
}

void PasswordTries::ForgetOld(absl::Duration now) {
  for (; !failed_by_age_.empty() && now - failed_by_age_.front().first >= limits_.remembered;
       failed_by_age_.pop_front()) {
    const auto found = names_.find(failed_by_age_.front().second);
    if (found == names_.end()) continue;
    std::vector<Try>& failed = found->second.failed;
    // All together, as the directory may: some count until there was none for so long.
    if (!failed.empty() && now - failed.back().at >= limits_.remembered) failed.clear();
    EraseIfEmpty(found);
  }
}

void PasswordTries::EraseIfEmpty(Names::iterator name) {
  if (name->second.failed.empty() && name->second.open.empty()) names_.erase(name);
}

bool PasswordTries::HasRoom(const Name& name, bool known, IsKnown is_known, size_t more) const {
  size_t all = more;
  size_t strangers = more;
  for (const Try& failed : name.failed) {
    if (failed.at > name.right_at) ++all;
    if (!known && !is_known(failed.place)) ++strangers;
  }
  return all < limits_.all && (known || strangers < limits_.strangers);
}

}  // namespace werkplek
