// Calls that come more than once.
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/sim/checkers.h"

namespace werkplek::sim {
namespace {

std::string At(absl::Duration at) { return absl::StrCat(absl::FormatDuration(at), ": "); }

}  // namespace

Violations CheckRepeats(const History& history) {
  Violations found;
  std::map<std::string, const AnswerSeen*> first;
  for (const AnswerSeen& answer : history.answers) {
    const auto [at, fresh] = first.try_emplace(answer.request, &answer);
    if (fresh || at->second->answer == answer.answer) continue;
    found.push_back({"I11", absl::StrCat(At(answer.at), answer.method, " ", answer.request,
                                         " was answered otherwise than at ",
                                         absl::FormatDuration(at->second->at))});
  }
  for (const RefusalSeen& refusal : history.refusals) {
    found.push_back(
        {"I11", absl::StrCat(At(refusal.at), refusal.request,
                             " was answered before, and is refused now: ", refusal.why)});
  }
  // What a call does and that it was answered become durable together; so it was done as often as
  // its answer was written.
  std::map<std::string, size_t> done;
  for (const CommitSeen& commit : history.commits) {
    for (const v1::Change& change : commit.changes) {
      if (change.table() != std::string(kAnsweredTable) || !change.has_value()) continue;
      v1::AnsweredRequest answered;
      // A sign-in may be made anew when it was signed out meanwhile; codes are judged elsewhere.
      if (!answered.ParseFromString(change.value()) || !answered.sign_in().empty()) continue;
      if (++done[change.key()] != 2) continue;
      found.push_back({"I11", absl::StrCat(At(commit.at), answered.method(), " ", change.key(),
                                           " was done a second time")});
    }
  }
  return found;
}

}  // namespace werkplek::sim
