#include "broker/directory/group_walk.h"

#include <algorithm>
#include <utility>

#include "broker/directory/ldap_text.h"

namespace werkplek {

GroupWalk::GroupWalk(std::string person_dn, size_t max_groups) : max_groups_(max_groups) {
  seen_.insert(LowerCase(person_dn));
  questions_.push_back(std::move(person_dn));
}

std::vector<std::string> GroupWalk::TakeQuestions() {
  unanswered_ += questions_.size();
  return std::exchange(questions_, {});
}

void GroupWalk::Answer(const std::vector<std::string>& groups) {
  --unanswered_;
  for (const std::string& group : groups) {
    if (!seen_.insert(LowerCase(group)).second) continue;
    if (groups_.size() == max_groups_) {
      too_many_ = true;
      return;
    }
    groups_.push_back(group);
    questions_.push_back(group);
  }
}

std::vector<std::string> GroupWalk::Groups() const {
  std::vector<std::string> sorted = groups_;
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

}  // namespace werkplek
