// Finds all groups of a person, nested ones too, by asking for the direct groups of one DN after
// another. Pure: whoever holds it does the asking.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

namespace werkplek {

class GroupWalk {
 public:
  GroupWalk(std::string person_dn, size_t max_groups);

  // The DNs whose direct groups are wanted and were not handed out before. A group is asked for
  // once, however many ways lead to it, so circles end.
  std::vector<std::string> TakeQuestions();

  // The direct groups of one DN that was handed out.
  void Answer(const std::vector<std::string>& groups);

  // Every question was answered.
  bool done() const { return questions_.empty() && unanswered_ == 0; }
  // More than max_groups: there is no result.
  bool too_many() const { return too_many_; }
  // In byte order, as the directory spells them.
  std::vector<std::string> Groups() const;

 private:
  const size_t max_groups_;
  std::vector<std::string> questions_;
  size_t unanswered_ = 0;
  bool too_many_ = false;
  // Lower case; the person too.
  std::set<std::string> seen_;
  std::vector<std::string> groups_;
};

}  // namespace werkplek
