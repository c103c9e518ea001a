#include "broker/rpc/peer_service.h"

#include <utility>

#include "broker/peer/peer_messages.h"

namespace werkplek {
namespace {

// The enrolment of the user, for a caller whose machine may sign people in.
absl::StatusOr<v1::GetEnrolmentResponse> EnrolmentOf(const Admitted& admitted, const Gate& gate,
                                                     const v1::GetEnrolmentRequest& request) {
  const absl::StatusOr<Caller> caller = FromForwarded(request.caller());
  if (!caller.ok()) return caller.status();
  const absl::Status may = Authorize(*admitted.picture, *AccessFor(v1::SignInRequest::descriptor()),
                                     *caller, gate.settings(), gate.Now());
  if (!may.ok()) return may;
  v1::GetEnrolmentResponse response;
  const v1::TokenEnrolment* enrolment = admitted.picture->tokens.Find(request.user());
  if (enrolment == nullptr) return response;
  response.set_enrolled(true);
  response.set_seed_id(enrolment->seed_id());
  response.set_sealed_seed(enrolment->sealed_seed());
  return response;
}

}  // namespace

grpc::ServerUnaryReactor* PeerRpc::Greet(grpc::CallbackServerContext* context,
                                         const v1::GreetRequest* request,
                                         v1::GreetResponse* response) {
  return HandleUnary(parts_, context, request, response,
                     [](const Admitted& admitted, const auto&, const auto& call) {
                       if (admitted.picture == nullptr) return call->End(NotInCharge());
                       call->Answer(v1::GreetResponse());
                     });
}

grpc::ServerUnaryReactor* PeerRpc::GetEnrolment(grpc::CallbackServerContext* context,
                                                const v1::GetEnrolmentRequest* request,
                                                v1::GetEnrolmentResponse* response) {
  return HandleUnary(parts_, context, request, response,
                     [this](const Admitted& admitted, const auto& asked, const auto& call) {
                       if (admitted.picture == nullptr) return call->End(NotInCharge());
                       auto found = EnrolmentOf(admitted, *parts_.gate, asked);
                       if (!found.ok()) {
                         parts_.gate->LogRefusal(admitted, found.status());
                       } else if (asked.tries_password()) {
                         const absl::Status may =
                             parts_.node->TryPassword(*FromForwarded(asked.caller()), asked.user());
                         if (!may.ok()) return call->End(may);
                       }
                       call->Answer(std::move(found));
                     });
}

grpc::ServerUnaryReactor* PeerRpc::SubmitSignIn(grpc::CallbackServerContext* context,
                                                const v1::SubmitSignInRequest* request,
                                                v1::SubmitSignInResponse* response) {
  return HandleUnary(parts_, context, request, response,
                     [this](const Admitted& admitted, const auto& asked, const auto& call) {
                       absl::StatusOr<SignInChecked> checked = FromSubmission(asked);
                       if (!checked.ok()) {
                         parts_.gate->LogRefusal(admitted, checked.status());
                         return call->End(checked.status());
                       }
                       parts_.node->SubmitSignIn(*std::move(checked), [call](const auto& answer) {
                         if (!answer.ok()) return call->End(answer.status());
                         v1::SubmitSignInResponse given;
                         *given.mutable_sign_in() =
                             static_cast<const v1::SignInResponse&>(**answer);
                         call->Answer(std::move(given));
                       });
                     });
}

}  // namespace werkplek
