// Signing in at a broker that does not lead: password and code are judged here, the leader decides.
#include <utility>

#include "broker/node/node_loop.h"

namespace werkplek {
namespace {

// A fleet of this one enrolment, or of none.
Fleet FleetOf(const std::shared_ptr<const v1::TokenEnrolment>& enrolment) {
  Fleet fleet;
  if (enrolment != nullptr) fleet.tokens.Put(enrolment->user(), enrolment);
  return fleet;
}

}  // namespace

bool NodeLoop::Follows() const {
  MutexLock lock(mutex_);
  return phase_ == Phase::kFollowing;
}

void NodeLoop::FindEnrolment(const SignInAttempt& attempt, const std::string& user,
                             bool tries_password, EnrolmentCallback done) {
  parts_.leader.get_enrolment(
      attempt.caller, user, tries_password,
      [weak = weak_from_this(), call = attempt.call,
       done = std::move(done)](absl::StatusOr<Enrolment> enrolment) mutable {
        const std::shared_ptr<NodeLoop> self = weak.lock();
        if (self == nullptr) return;
        // From a thread of the transport's to the loop's, which alone may ask the directory.
        self->parts_.executor->Post(self->AsLoop([raw = self.get(), call, done = std::move(done),
                                                  enrolment = std::move(enrolment)]() mutable {
          raw->AssertBusy();
          // Failed meanwhile, or the caller has gone: then the code must not be used up.
          if (!raw->calls_.Waits(call)) return raw->SignInOver();
          if (enrolment.ok()) return done(std::move(enrolment));
          raw->SignInOver();
          raw->calls_.Fail(call, enrolment.status());
        }));
      });
}

void NodeLoop::AskLeaderFirst(SignInAttempt attempt, Secret password) {
  if (parts_.leader.get_enrolment == nullptr) {
    // A broker without others lost the lead after the sign-in was let in.
    SignInOver();
    return calls_.Fail(attempt.call, TryAgain());
  }
  // Before the directory: without a leader no password is tried, so no wrong one is counted.
  const std::string user = attempt.malformed_name ? "" : attempt.typed_user;
  const SignInAttempt& asked = attempt;
  FindEnrolment(
      asked, user, /*tries_password=*/true,
      [this, attempt, password = std::move(password)](absl::StatusOr<Enrolment> enrolment) mutable {
        attempt.enrolment = *std::move(enrolment);
        attempt.remote = true;
        AskDirectory(std::move(attempt), std::move(password));
      });
}

void NodeLoop::JudgeAndSubmit(SignInAttempt attempt, DirectoryAnswer answer) {
  if (!calls_.Waits(attempt.call)) return SignInOver();
  const std::string asked = attempt.malformed_name ? "" : attempt.typed_user;
  const bool known = answer.outcome == DirectoryOutcome::kOk && !attempt.malformed_name;
  if (known && answer.person.user != asked) {
    // The directory spells the name in another way, and enrolments go by that.
    const std::string user = answer.person.user;
    return FindEnrolment(
        attempt, user, /*tries_password=*/false,
        [this, attempt, answer = std::move(answer)](absl::StatusOr<Enrolment> enrolment) mutable {
          AssertBusy();
          attempt.enrolment = *std::move(enrolment);
          Submit(attempt, std::move(answer));
        });
  }
  Submit(attempt, std::move(answer));
}

void NodeLoop::Submit(const SignInAttempt& attempt, DirectoryAnswer answer) {
  SignInOver();
  const absl::Duration began = parts_.executor->Monotonic();
  SignInChecked checked = JudgeSignIn(attempt, std::move(answer), FleetOf(attempt.enrolment),
                                      *parts_.tokens, waived_, settings_.role_groups);
  Observe(StageTook{"token", parts_.executor->Monotonic() - began});
  LogClosedSeal(checked);
  parts_.leader.submit_sign_in(checked, [weak = weak_from_this(), call = attempt.call](
                                            absl::StatusOr<MessagePointer> answer) {
    const std::shared_ptr<NodeLoop> self = weak.lock();
    if (self == nullptr) return;
    self->parts_.executor->Post(
        self->AsLoop([raw = self.get(), call, answer = std::move(answer)]() mutable {
          raw->calls_.Answer(call, std::move(answer));
        }));
  });
}

void NodeLoop::SubmitSignIn(SignInChecked checked, ReplyCallback done) {
  checked.pauses_passwords = PasswordTried(checked.caller, checked.typed_user,
                                           {checked.directory, checked.matched_step >= 0});
  checked.call = calls_.Add(std::move(done));
  const CallId call = checked.call;
  if (const absl::Status status = Enqueue(std::move(checked)); !status.ok()) FailSoon(call, status);
}

}  // namespace werkplek
