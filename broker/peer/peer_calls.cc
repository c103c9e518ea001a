#include "broker/peer/peer_calls.h"

#include <memory>
#include <string>
#include <utility>

#include "broker/peer/peer_call.h"
#include "broker/peer/peer_messages.h"

namespace werkplek {
namespace {

using Service = v1::PeerService::StubInterface::async_interface;

// The caller's own limit is longer; the link ends calls of a leader that is gone much earlier.
constexpr absl::Duration kLimit = absl::Seconds(9);

template <typename Request, typename Response>
void Ask(LeaderLink* link, typename PeerCall<Request, Response>::Method method, Request request,
         absl::AnyInvocable<void(absl::StatusOr<Response>)> done) {
  // Shared: the call's object takes it only when there is a place for the call.
  const auto shared = std::make_shared<decltype(done)>(std::move(done));
  const auto call = std::make_shared<PeerCall<Request, Response>>(
      std::move(request),
      [shared](absl::StatusOr<Response> answer) { (*shared)(std::move(answer)); });
  absl::StatusOr<LeaderLink::Lease> lease = link->Open(LeaderPort::kAgents, call);
  if (!lease.ok()) return (*shared)(lease.status());
  PeerCall<Request, Response>::Begin(call, *std::move(lease), method, kLimit);
}

}  // namespace

LeaderFunctions AskOverLink(LeaderLink* link) {
  LeaderFunctions functions;
  functions.get_enrolment = [link](const Caller& caller, const std::string& user,
                                   bool tries_password, EnrolmentCallback done) {
    v1::GetEnrolmentRequest request;
    *request.mutable_caller() = ToForwarded(caller);
    request.set_user(user);
    request.set_tries_password(tries_password);
    Ask<v1::GetEnrolmentRequest, v1::GetEnrolmentResponse>(
        link, &Service::GetEnrolment, std::move(request),
        [user, done = std::move(done)](absl::StatusOr<v1::GetEnrolmentResponse> answer) mutable {
          if (!answer.ok()) return done(answer.status());
          if (!answer->enrolled()) return done(nullptr);
          auto enrolment = std::make_shared<v1::TokenEnrolment>();
          enrolment->set_user(user);
          enrolment->set_seed_id(answer->seed_id());
          enrolment->set_sealed_seed(answer->sealed_seed());
          done(std::move(enrolment));
        });
  };
  functions.submit_sign_in = [link](const SignInChecked& checked, ReplyCallback done) {
    Ask<v1::SubmitSignInRequest, v1::SubmitSignInResponse>(
        link, &Service::SubmitSignIn, ToSubmission(checked),
        [done = std::move(done)](absl::StatusOr<v1::SubmitSignInResponse> answer) mutable {
          if (!answer.ok()) return done(answer.status());
          done(MessagePointer(std::make_shared<v1::SignInResponse>(answer->sign_in())));
        });
  };
  return functions;
}

}  // namespace werkplek
