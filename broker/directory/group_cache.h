// Remembers the direct groups of DNs for a short time. Pure: time is an argument, from any clock
// that never jumps.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace werkplek {

using GroupList = std::shared_ptr<const std::vector<std::string>>;

class GroupCache {
 public:
  // The oldest go when there are more than `max_entries`.
  GroupCache(absl::Duration keep, size_t max_entries);

  // nullptr: not known, or asked for longer than `keep` ago.
  GroupList Find(absl::string_view dn, absl::Duration now);
  // `asked` is when the question was sent: the answer is at most that old.
  void Put(absl::string_view dn, GroupList groups, absl::Duration asked);
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    GroupList groups;
    absl::Duration asked;
  };
  void Forget(absl::Duration now);

  const absl::Duration keep_;
  const size_t max_entries_;
  // By lower-case DN.
  std::map<std::string, Entry> entries_;
  // In the order of Put; an entry that was put again is skipped here.
  std::deque<std::pair<absl::Duration, std::string>> order_;
};

}  // namespace werkplek
