// What the node takes in: calls, agents' streams, watches. Any thread.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "broker/core/turn.h"
#include "broker/model/names.h"
#include "broker/node/node_loop.h"
#include "common/base/crypto.h"
#include "common/base/retry_after.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr size_t kTicketBytes = 32;
constexpr size_t kAccessTokenBytes = 32;
constexpr size_t kSignInIdBytes = 10;
constexpr size_t kSeedEntropyBytes = 64;
constexpr absl::Duration kUseToldEvery = absl::Minutes(1);
constexpr size_t kMaxUsed = 4096;

// Puts the access token, which the core does not know, into the answer.
ReplyCallback WithAccessToken(Secret token, ReplyCallback done) {
  return [token = std::move(token),
          done = std::move(done)](absl::StatusOr<MessagePointer> answer) mutable {
    const auto* response =
        answer.ok() ? dynamic_cast<const v1::SignInResponse*>(answer->get()) : nullptr;
    if (response != nullptr) {
      auto complete = std::make_shared<v1::SignInResponse>(*response);
      complete->set_access_token(token.Reveal());
      answer = MessagePointer(std::move(complete));
    }
    done(std::move(answer));
  };
}

// Whether the person has signed in from a place, as PasswordTries asks it.
auto KnownPlacesOf(Picture fleet, const std::string& user) {
  return [fleet = std::move(fleet), user](const std::string& place) {
    return fleet != nullptr && IsKnownPlaceOf(*fleet, user, place);
  };
}

}  // namespace

Picture NodeLoop::picture() const {
  MutexLock lock(mutex_);
  return picture_;
}

void NodeLoop::SignIn(const Caller& caller, const v1::SignInRequest& request, ReplyCallback done) {
  const std::string random = parts_.executor->RandomBytes(kAccessTokenBytes + kSignInIdBytes);
  Secret token(MakeAccessToken(absl::string_view(random).substr(kSignInIdBytes)));
  SignInAttempt attempt;
  attempt.caller = caller;
  attempt.typed_user = request.user();
  attempt.request_id = request.request_id();
  attempt.client = request.client();
  attempt.token_code = request.token_code();
  attempt.access_token_sha256 = Sha256(token.Reveal());
  attempt.came = parts_.executor->Now();
  // The time comes first: new sign-ins then stand beside each other in the store, and one page of
  // it takes all those of a commit.
  attempt.sign_in_id = absl::StrFormat("si-%012x%s", absl::ToUnixMillis(attempt.came),
                                       HexEncode(random.substr(0, kSignInIdBytes)));
  attempt.malformed_name = !IsUserName(request.user());
  attempt.call = calls_.Add(WithAccessToken(std::move(token), std::move(done)));
  if (const absl::Status shape = CheckSignInShape(request); !shape.ok()) {
    return FailSoon(attempt.call, shape);
  }
  if (const absl::Status admitted = AdmitSignIn(attempt); !admitted.ok()) {
    return FailSoon(attempt.call, admitted);
  }
  // From here, and not by way of the loop: it has nothing to say before the directory has.
  if (!Follows()) return AskDirectory(std::move(attempt), Secret(request.password()));
  parts_.executor->Post(
      AsLoop([this, attempt = std::move(attempt), password = Secret(request.password())]() mutable {
        AskLeaderFirst(std::move(attempt), std::move(password));
      }));
}

absl::Status NodeLoop::MayJudgeCodes() const {
  if (parts_.clock_good == nullptr || parts_.clock_good()) return absl::OkStatus();
  return absl::UnavailableError(
      "this broker is temporarily unavailable for sign-ins: its clock differs from the others'");
}

absl::Status NodeLoop::AdmitSignIn(const SignInAttempt& attempt) {
  if (absl::Status clock = MayJudgeCodes(); !clock.ok()) return clock;
  MutexLock lock(mutex_);
  const bool may_ask = phase_ == Phase::kFollowing && parts_.leader.get_enrolment != nullptr;
  if (stopped_ || (phase_ != Phase::kLeading && !may_ask)) return TryAgain();
  if (sign_ins_in_flight_ >= settings_.max_sign_ins_in_flight) {
    return absl::ResourceExhaustedError("too many sign-ins at once; try again in a second");
  }
  // A broker that follows asks the leader, where all wrong passwords are known.
  if (phase_ == Phase::kLeading) {
    RETURN_IF_ERROR(BeginTry(attempt.caller, attempt.typed_user));
  }
  ++sign_ins_in_flight_;
  return absl::OkStatus();
}

absl::Status NodeLoop::TryPassword(const Caller& caller, const std::string& user) {
  MutexLock lock(mutex_);
  if (stopped_ || phase_ != Phase::kLeading) return TryAgain();
  return BeginTry(caller, user);
}

absl::Status NodeLoop::BeginTry(const Caller& caller, const std::string& user) {
  // The directory is not asked about it.
  if (!IsUserName(user)) return absl::OkStatus();
  const absl::Duration now = parts_.executor->Monotonic();
  const PasswordTries::Answer answer =
      passwords_.Begin(user, TryPlaceOf(caller, waived_), KnownPlacesOf(picture_, user), now);
  switch (answer.verdict) {
    case PasswordTries::Verdict::kTry:
      return absl::OkStatus();
    case PasswordTries::Verdict::kOthersFirst:
      return absl::ResourceExhaustedError(
          "too many sign-ins in this name at once; try again in a moment");
    case PasswordTries::Verdict::kFull:
      return absl::ResourceExhaustedError(
          "too many wrong passwords were tried in too many names; try again later, or sign in "
          "where you have done so before");
    case PasswordTries::Verdict::kPaused:
      break;
  }
  pauses_log_.Warn(
      now, "sign-in-paused",
      {{"user", user}, {"origin", Origin(caller)}, {"wait", absl::FormatDuration(answer.wait)}});
  parts_.executor->Post(AsLoop([this] { Observe(Counted{"sign_ins", "paused"}); }));
  // Names that nobody has are paused as well, so this says nothing of the name.
  return WithRetryAfter(absl::UnauthenticatedError("sign-in failed: too many wrong passwords were "
                                                   "tried in this name; wait, or sign in where "
                                                   "you have done so before"),
                        answer.wait);
}

bool NodeLoop::PasswordTried(const Caller& caller, const std::string& user,
                             const TryOutcome& outcome) {
  if (!IsUserName(user)) return false;
  const absl::Duration now = parts_.executor->Monotonic();
  MutexLock lock(mutex_);
  return passwords_.Ended(user, TryPlaceOf(caller, waived_), outcome, KnownPlacesOf(picture_, user),
                          now);
}

void NodeLoop::AskDirectory(SignInAttempt attempt, Secret password) {
  // A malformed name never reaches the directory; a name that nobody has goes in its place, so that
  // the answer comes the same way and as late.
  const std::string name = attempt.malformed_name
                               ? HexEncode(parts_.executor->RandomBytes(kSignInIdBytes))
                               : attempt.typed_user;
  const absl::Duration began = parts_.executor->Monotonic();
  parts_.directory->Authenticate(
      name, password, AsLoop([this, began, attempt = std::move(attempt)](DirectoryAnswer answer) {
        Observe(StageTook{"directory", parts_.executor->Monotonic() - began});
        JudgeAndEnqueue(attempt, std::move(answer));
      }));
}

void NodeLoop::SignInOver() {
  MutexLock lock(mutex_);
  --sign_ins_in_flight_;
}

void NodeLoop::JudgeAndEnqueue(const SignInAttempt& attempt, DirectoryAnswer answer) {
  if (attempt.remote) return JudgeAndSubmit(attempt, std::move(answer));
  SignInOver();
  const Picture fleet = picture();
  // Failed meanwhile, or the caller has gone: then the code must not be used up.
  if (!calls_.Waits(attempt.call) || fleet == nullptr) {
    PasswordTried(attempt.caller, attempt.typed_user, {answer.outcome, /*code_right=*/false});
    return;
  }
  const absl::Duration began = parts_.executor->Monotonic();
  SignInChecked checked = JudgeSignIn(attempt, std::move(answer), *fleet, *parts_.tokens, waived_,
                                      settings_.role_groups);
  checked.pauses_passwords = PasswordTried(attempt.caller, attempt.typed_user,
                                           {checked.directory, checked.matched_step >= 0});
  Observe(StageTook{"token", parts_.executor->Monotonic() - began});
  LogClosedSeal(checked);
  if (const absl::Status status = Enqueue(std::move(checked)); !status.ok()) {
    calls_.Fail(attempt.call, status);
  }
}

void NodeLoop::EnqueueCall(CallRequested requested) {
  const CallId call = requested.call;
  if (const absl::Status status = Enqueue(std::move(requested)); !status.ok()) {
    FailSoon(call, status);
  }
}

void NodeLoop::Call(const Caller& caller, MessagePointer request, ReplyCallback done) {
  if (request->GetDescriptor() == v1::EnrolTokenRequest::descriptor() ||
      request->GetDescriptor() == v1::ConfirmTokenRequest::descriptor()) {
    return CallAboutToken(caller, std::move(request), std::move(done));
  }
  CallRequested requested;
  requested.call = calls_.Add(std::move(done));
  requested.caller = caller;
  requested.request = std::move(request);
  EnqueueCall(std::move(requested));
}

CallId NodeLoop::Connect(const Caller& caller, const v1::ConnectRequest& request,
                         ConnectCallback update) {
  CallRequested requested;
  requested.call = calls_.Add(std::move(update));
  requested.caller = caller;
  requested.request = std::make_shared<v1::ConnectRequest>(request);
  requested.ticket = Base64UrlEncode(parts_.executor->RandomBytes(kTicketBytes));
  const CallId call = requested.call;
  EnqueueCall(std::move(requested));
  return call;
}

void NodeLoop::RecordCertificate(CertificateIssued issued, ReplyCallback done) {
  issued.call = calls_.Add(std::move(done));
  const CallId call = issued.call;
  if (const absl::Status status = Enqueue(std::move(issued)); !status.ok()) {
    FailSoon(call, status);
  }
}

void NodeLoop::CallAboutToken(const Caller& caller, MessagePointer request, ReplyCallback done) {
  const auto* enrol = dynamic_cast<const v1::EnrolTokenRequest*>(request.get());
  const auto* confirm = dynamic_cast<const v1::ConfirmTokenRequest*>(request.get());
  const auto user =
      std::make_shared<std::string>(enrol != nullptr ? enrol->user() : confirm->user());
  if (enrol != nullptr) {
    done = [weak = weak_from_this(), user,
            done = std::move(done)](absl::StatusOr<MessagePointer> answer) mutable {
      const auto self = weak.lock();
      if (answer.ok() && self != nullptr) answer = self->WithOtpauthUri(*user);
      done(std::move(answer));
    };
  }
  CallRequested requested;
  requested.call = calls_.Add(std::move(done));
  requested.caller = caller;
  requested.request = std::move(request);
  const absl::Status clock = confirm == nullptr ? absl::OkStatus() : MayJudgeCodes();
  if (!clock.ok()) return FailSoon(requested.call, clock);
  if (!IsUserName(*user)) {
    return FailSoon(requested.call,
                    absl::InvalidArgumentError("user: must be 1 to 64 of [A-Za-z0-9._@-]"));
  }
  parts_.executor->Post(
      AsLoop([this, user, requested = std::move(requested), enrols = enrol != nullptr,
              came = parts_.executor->Now()]() mutable {
        parts_.directory->Find(
            *user, AsLoop([this, user, requested = std::move(requested), enrols,
                           came](const absl::StatusOr<DirectoryPerson>& person) mutable {
              if (!calls_.Waits(requested.call)) return;
              if (enrols) {
                EnrolFound(std::move(requested), person, user);
              } else {
                ConfirmFound(std::move(requested), person, came);
              }
            }));
      }));
}

void NodeLoop::EnrolFound(CallRequested requested, const absl::StatusOr<DirectoryPerson>& person,
                          const std::shared_ptr<std::string>& user) {
  if (!person.ok()) {
    calls_.Fail(requested.call,
                absl::IsNotFound(person.status())
                    ? absl::NotFoundError(absl::StrCat("user: the directory has no '", *user, "'"))
                    : person.status());
    return;
  }
  *user = person->user;
  auto request = std::make_shared<v1::EnrolTokenRequest>(
      static_cast<const v1::EnrolTokenRequest&>(*requested.request));
  request->set_user(person->user);
  requested.request = std::move(request);
  SealedSeed seed =
      parts_.tokens->NewSeed(person->user, parts_.executor->RandomBytes(kSeedEntropyBytes));
  requested.sealed_seed = std::move(seed.sealed);
  requested.seed_id = std::move(seed.seed_id);
  EnqueueCall(std::move(requested));
}

void NodeLoop::ConfirmFound(CallRequested requested, const absl::StatusOr<DirectoryPerson>& person,
                            absl::Time came) {
  auto request = std::make_shared<v1::ConfirmTokenRequest>(
      static_cast<const v1::ConfirmTokenRequest&>(*requested.request));
  // Without the directory the name counts as it was typed.
  if (person.ok()) request->set_user(person->user);
  const Picture fleet = picture();
  const v1::TokenEnrolment* enrolment =
      fleet == nullptr ? nullptr : fleet->tokens.Find(request->user());
  requested.matched_step = parts_.tokens->MatchedStep(enrolment, request->code(), came);
  if (requested.matched_step == TokenAuthority::kSealClosed) {
    return calls_.Fail(requested.call,
                       absl::FailedPreconditionError(
                           "code: this broker's sealing_key_file is not the one that sealed this "
                           "token; give it that file, or enrol the person again"));
  }
  if (enrolment != nullptr) requested.seed_id = enrolment->seed_id();
  requested.request = std::move(request);
  EnqueueCall(std::move(requested));
}

absl::StatusOr<MessagePointer> NodeLoop::WithOtpauthUri(const std::string& user) const {
  const Picture fleet = picture();
  const v1::TokenEnrolment* enrolment = fleet == nullptr ? nullptr : fleet->tokens.Find(user);
  if (enrolment == nullptr || enrolment->state() != v1::TOKEN_STATE_PENDING) {
    return absl::FailedPreconditionError(
        "this enrolment is not waiting for its first code any more; enrol again");
  }
  absl::StatusOr<Secret> uri = parts_.tokens->OtpauthUri(*enrolment);
  if (!uri.ok()) return uri.status();
  auto response = std::make_shared<v1::EnrolTokenResponse>();
  response->set_otpauth_uri(uri->Reveal());
  return MessagePointer(std::move(response));
}

void NodeLoop::RecheckPeople() {
  if (broker_ == nullptr) return;
  for (const std::string& user :
       rechecks_.Take(broker_->fleet(), parts_.executor->Monotonic(), parts_.executor->Now())) {
    parts_.directory->Find(
        user, AsLoop([this, user, term = term_](absl::StatusOr<DirectoryPerson> person) {
          AssertBusy();
          if (term == term_) Rechecked(user, std::move(person));
        }));
  }
}

void NodeLoop::Rechecked(const std::string& user, absl::StatusOr<DirectoryPerson> person) {
  PersonChecked checked;
  checked.user = user;
  if (person.ok()) {
    rechecks_.Known(user);
    checked.roles = RolesOf(person->groups, settings_.role_groups);
    checked.person = *std::move(person);
  } else if (absl::IsNotFound(person.status())) {
    const absl::Duration now = parts_.executor->Monotonic();
    const bool gone = rechecks_.Gone(user, now);
    if (rechecks_.Doubts()) {
      doubts_log_.Warn(now, "directory-doubted",
                       {{"why", "it does not know so many people who are signed in"},
                        {"until_then", "nobody is signed out for that; see the directory"}});
    }
    if (!gone) return;
    checked.gone = true;
    checked.why = std::string(person.status().message());
  } else {
    // While the directory does not answer, what it said last counts.
    return rechecks_.NoAnswer(user);
  }
  Enqueue(std::move(checked)).IgnoreError();
}

void NodeLoop::Cancel(CallId call) {
  calls_.Forget(call);
  Enqueue(CallCancelled{call}).IgnoreError();
}

void NodeLoop::SignInUsed(const std::string& token_sha256) {
  const absl::Duration now = parts_.executor->Monotonic();
  MutexLock lock(mutex_);
  const auto [at, fresh] = used_.try_emplace(token_sha256, now);
  if (!fresh && now - at->second < kUseToldEvery) return;
  at->second = now;
  EnqueueLocked(werkplek::SignInUsed{token_sha256}).IgnoreError();
  if (used_.size() <= kMaxUsed) return;
  for (auto old = used_.begin(); old != used_.end();) {
    old = now - old->second >= kUseToldEvery ? used_.erase(old) : std::next(old);
  }
}

void NodeLoop::ReadAudit(uint64_t after, uint32_t limit, CallTable::AuditCallback done) {
  const CallId call = calls_.Add(std::move(done));
  if (picture() == nullptr) {
    return FailSoon(call, TryAgain());
  }
  parts_.executor->Post(AsLoop([this, call, after, limit] {
    parts_.store->ReadAudit(
        after, limit, AsLoop([this, call](absl::StatusOr<std::vector<v1::AuditRecord>> records) {
          calls_.AnswerAudit(call, std::move(records));
        }));
  }));
}

uint64_t NodeLoop::Watch(WatchCallback callback) {
  MutexLock lock(mutex_);
  watches_.emplace(next_watch_, std::make_shared<WatchCallback>(std::move(callback)));
  return next_watch_++;
}

void NodeLoop::Unwatch(uint64_t id) {
  {
    MutexLock lock(mutex_);
    watches_.erase(id);
  }
  // Waits out a callback that runs, unless this is that callback.
  if (!OnBusyThread()) BusyLock wait(*this);
}

uint64_t NodeLoop::AgentAttached(const std::string& host) {
  MutexLock lock(mutex_);
  const uint64_t link = next_link_++;
  AgentLink& current = links_[host];
  if (current.number != 0) {
    parts_.executor->Post(AsLoop([this, host, old = current.number] {
      parts_.agents->Close(host, old, absl::AbortedError("the host has opened a newer stream"));
    }));
  }
  current = {link, nullptr};
  EnqueueLocked(werkplek::AgentAttached{host, link}).IgnoreError();
  return link;
}

void NodeLoop::AgentReported(const std::string& host, uint64_t link, v1::AgentReport report) {
  auto shared = std::make_shared<const v1::AgentReport>(std::move(report));
  MutexLock lock(mutex_);
  const auto at = links_.find(host);
  if (at == links_.end() || at->second.number != link) return;
  at->second.report = shared;
  if (const auto waits = waiting_reports_.find(link); waits != waiting_reports_.end()) {
    waits->second->report = std::move(shared);
    return;
  }
  if (!EnqueueLocked(werkplek::AgentReported{host, link, std::move(shared)}).ok()) return;
  waiting_reports_[link] = &std::get<werkplek::AgentReported>(waiting_.back().what);
}

void NodeLoop::AgentDetached(const std::string& host, uint64_t link) {
  MutexLock lock(mutex_);
  const auto at = links_.find(host);
  if (at != links_.end() && at->second.number == link) links_.erase(at);
  EnqueueLocked(werkplek::AgentDetached{host, link}).IgnoreError();
}

}  // namespace werkplek
