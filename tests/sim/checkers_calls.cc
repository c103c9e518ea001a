// Calls that come more than once.
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/core/state.h"
#include "tests/sim/checkers.h"

namespace werkplek::sim {
namespace {

std::string At(absl::Duration at) { return absl::StrCat(absl::FormatDuration(at), ": "); }

// A request makes one sign-in, as long as that stands and the request may be repeated.
void CheckSignInRequests(const History& history, Violations& found) {
  std::map<std::string, v1::SignIn> standing;
  std::map<std::string, std::string> newest;
  for (const CommitSeen& commit : history.commits) {
    for (const v1::Change& change : commit.changes) {
      v1::SignIn sign_in;
      if (change.table() != kSignInTable || !sign_in.ParseFromString(change.value())) continue;
      if (!change.has_value()) {
        standing.erase(change.key());
        continue;
      }
      if (sign_in.request_key().empty()) continue;
      if (!standing.try_emplace(change.key(), sign_in).second) continue;
      const auto other = standing.find(std::exchange(newest[sign_in.request_key()], change.key()));
      if (other == standing.end() ||
          absl::Milliseconds(sign_in.created_unix_ms() - other->second.created_unix_ms()) >=
              kSignInRepeat) {
        continue;
      }
      found.push_back({"I11", absl::StrCat(At(commit.at), sign_in.request_key(), " made ",
                                           change.key(), ", and ", other->first, " stands")});
    }
  }
}

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
      if (!answered.ParseFromString(change.value())) continue;
      if (++done[change.key()] != 2) continue;
      found.push_back({"I11", absl::StrCat(At(commit.at), answered.method(), " ", change.key(),
                                           " was done a second time")});
    }
  }
  CheckSignInRequests(history, found);
  return found;
}

}  // namespace werkplek::sim
