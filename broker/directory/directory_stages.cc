// The stages of a directory call: find the person, judge the password, collect the groups.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/directory/directory_loop.h"
#include "broker/directory/ldap_text.h"
#include "broker/directory/person_search.h"

namespace werkplek {
namespace {

// Group searches of one person under way at once, so that one with many groups leaves room.
constexpr size_t kGroupSearchesPerCall = 32;

// RFC 4511 appendix A.1.
constexpr int kSuccess = 0;
constexpr int kSizeLimitExceeded = 4;

}  // namespace

// kPerson and kPassword.
void DirectoryLoop::RunStage(DirectoryCall& call) {
  if (call.stage == Stage::kPerson) {
    if (!joins_searches_ || call.alone) return SearchPeople({&call});
    return gathering_[call.server].Add(call.id, now_);
  }
  auto request = std::make_shared<DirectoryRequest>();
  request->use = ConnectionUse::kBind;
  request->password = call.password;
  if (call.person.has_value()) {
    request->dn = call.person->person.dn;
  } else if (!settings_->decoy_dn.empty()) {
    request->dn = settings_->decoy_dn;
  } else {
    request->dn =
        absl::StrCat(settings_->user_attribute, "=werkplek.nobody,", settings_->user_base);
  }
  Send({&call}, std::move(request));
}

void DirectoryLoop::SearchGathered() {
  for (Gathering& gathering : gathering_) {
    const bool busy = calls_.size() >= kPacedCalls;
    for (std::vector<uint64_t> ids = gathering.Take(now_, busy); !ids.empty();
         ids = gathering.Take(now_, busy)) {
      std::vector<DirectoryCall*> calls;
      for (const uint64_t id : ids) {
        const auto found = calls_.find(id);
        if (found != calls_.end()) calls.push_back(found->second.get());
      }
      if (!calls.empty()) SearchPeople(calls);
    }
  }
}

void DirectoryLoop::SearchPeople(const std::vector<DirectoryCall*>& calls) {
  auto request = std::make_shared<DirectoryRequest>();
  request->use = ConnectionUse::kSearch;
  for (const DirectoryCall* call : calls) request->names.push_back(call->typed);
  request->search = {settings_->user_base, PersonFilter(*settings_, request->names),
                     person_attributes_, kEntriesPerPerson * static_cast<int>(calls.size())};
  Send(calls, std::move(request));
}

void DirectoryLoop::StartGroups(DirectoryCall& call) {
  call.stage = Stage::kGroups;
  call.walk.emplace(call.person->person.dn, static_cast<size_t>(settings_->max_groups));
  call.questions = call.walk->TakeQuestions();
  if (!settings_->member_of_attribute.empty()) {
    call.walk->Answer(call.person->direct_groups);
    call.questions = call.walk->TakeQuestions();
  }
  AskGroups(call);
}

void DirectoryLoop::AskGroups(DirectoryCall& call) {
  GroupWalk& walk = *call.walk;
  while (!call.questions.empty() && !walk.too_many() &&
         call.requests.size() < kGroupSearchesPerCall) {
    const std::string dn = std::move(call.questions.back());
    call.questions.pop_back();
    static const GroupList kNone = std::make_shared<const std::vector<std::string>>();
    const GroupList known = settings_->group_base.empty() ? kNone : group_cache_.Find(dn, now_);
    if (known != nullptr) {
      walk.Answer(*known);
      for (std::string& next : walk.TakeQuestions()) call.questions.push_back(std::move(next));
      continue;
    }
    auto request = std::make_shared<DirectoryRequest>();
    request->use = ConnectionUse::kSearch;
    request->dn = dn;
    // "1.1": no attributes (RFC 4511 section 4.5.1.8); the DN is all that is wanted.
    request->search = {settings_->group_base,
                       FillFilter(settings_->group_filter, "{dn}", dn),
                       {"1.1"},
                       settings_->max_groups + 1};
    Send({&call}, std::move(request));
  }
  if (walk.too_many()) {
    // A part of the groups could be worse than none: a rule may say who must not.
    Finish(call, DirectoryOutcome::kUnavailable,
           absl::StrCat("in more than ", settings_->max_groups, " groups (max_groups)"));
  } else if (walk.done()) {
    call.person->person.groups = walk.Groups();
    Finish(call, DirectoryOutcome::kOk, "");
  }
}

// The calls are at the same server.
void DirectoryLoop::Send(const std::vector<DirectoryCall*>& calls, RequestPointer request) {
  for (DirectoryCall* call : calls) {
    request->calls.push_back(call->id);
    call->requests.push_back(request);
  }
  links_[calls.front()->server]->Send(std::move(request), now_);
}

void DirectoryLoop::HandleJoined(const RequestEnded& ended) {
  DirectoryRequest& request = *ended.request;
  const bool done = ended.end == RequestEnd::kDone;
  std::optional<std::vector<std::vector<LdapEntry>>> shares;
  if (done && request.reply.code == kSuccess) {
    shares = ShareOut(*settings_, request.names, request.entries);
  }
  for (size_t i = 0; i < request.calls.size(); ++i) {
    const auto found = calls_.find(request.calls[i]);
    if (found == calls_.end()) continue;
    DirectoryCall& call = *found->second;
    if (!done) {
      Handle(call, ended);
      continue;
    }
    call.requests.clear();
    if (shares.has_value()) {
      HandlePerson(call, (*shares)[i], request.reply);
    } else {
      call.alone = true;
      RunStage(call);
    }
  }
}

void DirectoryLoop::Handle(DirectoryCall& call, const RequestEnded& ended) {
  call.requests.erase(std::remove(call.requests.begin(), call.requests.end(), ended.request),
                      call.requests.end());
  const DirectoryRequest& request = *ended.request;
  if (ended.end == RequestEnd::kDone) {
    switch (call.stage) {
      case Stage::kPerson:
        return HandlePerson(call, request.entries, request.reply);
      case Stage::kPassword:
        return HandlePassword(call, request);
      case Stage::kGroups:
        return HandleGroups(call, request);
    }
  }
  const bool again =
      ended.end == RequestEnd::kLost && !call.repeated && !links_[call.server]->circuit().open();
  if (!again) {
    NextServer(call, std::string(ended.status.message()));
    return;
  }
  // A server may close an idle connection at the moment that we use it.
  call.repeated = true;
  RepeatStage(call);
}

void DirectoryLoop::RepeatStage(DirectoryCall& call) {
  CancelRequests(call);
  if (call.stage == Stage::kGroups) {
    StartGroups(call);
  } else {
    RunStage(call);
  }
}

void DirectoryLoop::HandlePerson(DirectoryCall& call, const std::vector<LdapEntry>& entries,
                                 const BindReply& reply) {
  if (reply.code != kSuccess && reply.code != kSizeLimitExceeded) {
    NextServer(call,
               absl::StrCat(links_[call.server]->name(), ": searching for a person: LDAP result ",
                            reply.code, " ", reply.diagnostic));
    return;
  }
  call.person.reset();
  call.not_found_detail = "unknown user";
  if (entries.size() > 1 || reply.code == kSizeLimitExceeded) {
    call.not_found_detail = "more than one person has this name";
  } else if (entries.size() == 1) {
    call.person = ReadPerson(*settings_, entries[0], call.typed, executor_->Now());
  }
  if (call.password != nullptr) {
    call.stage = Stage::kPassword;
    call.repeated = false;
    RunStage(call);
  } else if (!call.person.has_value()) {
    Finish(call, DirectoryOutcome::kDenied, call.not_found_detail);
  } else if (!call.person->refusal.empty()) {
    Finish(call, DirectoryOutcome::kDenied, call.person->refusal);
  } else {
    call.repeated = false;
    StartGroups(call);
  }
}

void DirectoryLoop::HandlePassword(DirectoryCall& call, const DirectoryRequest& request) {
  BindVerdict verdict = JudgeBind(request.reply);
  if (verdict.outcome == DirectoryOutcome::kUnavailable) {
    NextServer(call, absl::StrCat(links_[call.server]->name(), ": ", verdict.detail));
  } else if (!call.person.has_value()) {
    // Whatever the decoy's password is.
    Finish(call, DirectoryOutcome::kDenied, call.not_found_detail);
  } else if (!call.person->refusal.empty()) {
    Finish(call, DirectoryOutcome::kDenied, call.person->refusal);
  } else if (verdict.outcome != DirectoryOutcome::kOk) {
    Finish(call, DirectoryOutcome::kDenied, std::move(verdict.detail));
  } else {
    call.notices = std::move(verdict.notices);
    call.repeated = false;
    StartGroups(call);
  }
}

void DirectoryLoop::HandleGroups(DirectoryCall& call, const DirectoryRequest& request) {
  if (request.reply.code == kSizeLimitExceeded) {
    Finish(call, DirectoryOutcome::kUnavailable,
           absl::StrCat("the server gives only ", request.entries.size(),
                        " groups of a search: raise its size limit for the service account, or "
                        "the person is in more than ",
                        settings_->max_groups, " groups"));
    return;
  }
  if (request.reply.code != kSuccess) {
    NextServer(call,
               absl::StrCat(links_[call.server]->name(), ": searching for groups: LDAP result ",
                            request.reply.code, " ", request.reply.diagnostic));
    return;
  }
  std::vector<std::string> groups;
  for (const LdapEntry& entry : request.entries) groups.push_back(entry.dn);
  const auto list = std::make_shared<const std::vector<std::string>>(std::move(groups));
  group_cache_.Put(request.dn, list, request.sent_at);
  call.walk->Answer(*list);
  for (std::string& next : call.walk->TakeQuestions()) call.questions.push_back(std::move(next));
  AskGroups(call);
}

}  // namespace werkplek
