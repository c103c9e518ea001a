// Things to look at again at a time: one time per key. What is found then decides; a timer is only
// a reminder, so it may fire for nothing.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/time/time.h"

namespace werkplek {

class Timers {
 public:
  // Replaces the key's time; InfiniteFuture takes it away.
  void Arm(const std::string& key, absl::Time at) {
    const auto found = times_.find(key);
    if (found != times_.end()) {
      if (found->second == at) return;
      queue_.erase({found->second, key});
      times_.erase(found);
    }
    if (at == absl::InfiniteFuture()) return;
    times_.emplace(key, at);
    queue_.emplace(at, key);
  }

  // Takes the first key that is due; empty: none.
  std::string PopDue(absl::Time now) {
    if (queue_.empty() || queue_.begin()->first > now) return "";
    std::string key = queue_.begin()->second;
    queue_.erase(queue_.begin());
    times_.erase(key);
    return key;
  }

  size_t size() const { return times_.size(); }

 private:
  std::map<std::string, absl::Time> times_;
  std::set<std::pair<absl::Time, std::string>> queue_;
};

}  // namespace werkplek
