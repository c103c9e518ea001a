#include "broker/directory/group_cache.h"

#include "broker/directory/ldap_text.h"

namespace werkplek {

GroupCache::GroupCache(absl::Duration keep, size_t max_entries)
    : keep_(keep), max_entries_(max_entries) {}

GroupList GroupCache::Find(absl::string_view dn, absl::Duration now) {
  Forget(now);
  const auto found = entries_.find(LowerCase(dn));
  if (found == entries_.end() || found->second.asked + keep_ <= now) return nullptr;
  return found->second.groups;
}

void GroupCache::Put(absl::string_view dn, GroupList groups, absl::Duration asked) {
  std::string key = LowerCase(dn);
  Entry& entry = entries_[key];
  if (entry.groups != nullptr && entry.asked >= asked) return;
  entry = {std::move(groups), asked};
  order_.emplace_back(asked, std::move(key));
  while (order_.size() > max_entries_) {
    const auto& [oldest, dn_key] = order_.front();
    const auto found = entries_.find(dn_key);
    if (found != entries_.end() && found->second.asked == oldest) entries_.erase(found);
    order_.pop_front();
  }
}

void GroupCache::Forget(absl::Duration now) {
  while (!order_.empty() && order_.front().first + keep_ <= now) {
    const auto found = entries_.find(order_.front().second);
    if (found != entries_.end() && found->second.asked + keep_ <= now) entries_.erase(found);
    order_.pop_front();
  }
}

}  // namespace werkplek
