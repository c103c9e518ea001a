#include "broker/core/requests.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/core/access.h"
#include "broker/core/balance.h"
#include "broker/core/certificates.h"
#include "broker/core/connect.h"
#include "broker/core/desktop_calls.h"
#include "broker/core/fences.h"
#include "broker/core/resources.h"
#include "broker/core/revocations.h"
#include "broker/core/sessions.h"
#include "broker/core/sign_in.h"
#include "broker/core/sites.h"
#include "broker/core/tokens.h"
#include "broker/model/names.h"
#include "common/base/crypto.h"
#include "google/protobuf/message.h"

namespace werkplek {
namespace {

using google::protobuf::Message;

// The request as the given message, or nullptr when it is another.
template <typename Request>
const Request* As(const Message& request) {
  return request.GetDescriptor() == Request::descriptor() ? static_cast<const Request*>(&request)
                                                          : nullptr;
}

std::string RequestIdOf(const Message& request) {
  const auto* field = request.GetDescriptor()->FindFieldByName("request_id");
  if (field == nullptr || field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_STRING) {
    return "";
  }
  return request.GetReflection()->GetString(request, field);
}

absl::StatusOr<v1::Session> OwnSession(const Turn& turn, const std::string& id,
                                       const v1::SignIn& sign_in) {
  const v1::Session* session = turn.fleet().sessions.Find(id);
  // Somebody else's session is answered like one that is not there.
  if (session == nullptr || OwnerKey(session->user()) != OwnerKey(sign_in.user())) {
    return absl::NotFoundError(absl::StrCat("you have no session \"", id, "\""));
  }
  return *session;
}

CallAnswer Disconnect(Turn& turn, const CallRequested& event, const v1::DisconnectRequest& request,
                      const v1::SignIn& sign_in) {
  const auto session = OwnSession(turn, request.session(), sign_in);
  if (!session.ok()) return session.status();
  if (session->state() != v1::SESSION_STATE_ENDING && session->state() != v1::SESSION_STATE_ENDED) {
    turn.Audit(absl::StrCat("user:", sign_in.user()), "disconnect",
               absl::StrCat("session:", session->id()), "ok", Origin(event.caller));
    CloseDisplay(turn, *session);
  }
  return std::make_shared<const v1::DisconnectResponse>();
}

CallAnswer EndSession(Turn& turn, const CallRequested& event, const v1::EndSessionRequest& request,
                      const v1::SignIn& sign_in) {
  const auto session = OwnSession(turn, request.session(), sign_in);
  if (!session.ok()) return session.status();
  if (session->state() != v1::SESSION_STATE_ENDED) {
    BeginEnding(turn, *session, "user", absl::StrCat("user:", sign_in.user()),
                Origin(event.caller));
  }
  return std::make_shared<const v1::EndSessionResponse>();
}

CallAnswer SignOut(Turn& turn, const CallRequested& event, const v1::SignIn& sign_in) {
  turn.Audit(absl::StrCat("user:", sign_in.user()), "sign-out",
             absl::StrCat("sign-in:", sign_in.id()), "ok", Origin(event.caller));
  EndSignIn(turn, sign_in.id());
  return std::make_shared<const v1::SignOutResponse>();
}

CallAnswer Dispatch(Turn& turn, const CallRequested& event, const v1::SignIn& sign_in) {
  const Message& request = *event.request;
  const std::string actor = absl::StrCat("admin:", sign_in.user());
  if (const auto* r = As<v1::DisconnectRequest>(request)) {
    return Disconnect(turn, event, *r, sign_in);
  }
  if (const auto* r = As<v1::EndSessionRequest>(request)) {
    return EndSession(turn, event, *r, sign_in);
  }
  if (As<v1::SignOutRequest>(request) != nullptr) return SignOut(turn, event, sign_in);
  if (const auto* r = As<v1::CreateResourceRequest>(request)) {
    return CreateResource(turn, event, *r, actor);
  }
  if (const auto* r = As<v1::UpdateResourceRequest>(request)) {
    return UpdateResource(turn, event, *r, actor);
  }
  if (const auto* r = As<v1::DeleteResourceRequest>(request)) {
    return DeleteResource(turn, event, *r, actor);
  }
  if (const auto* r = As<v1::SetSchedulabilityRequest>(request)) {
    return SetSchedulability(turn, event, *r, actor);
  }
  if (const auto* r = As<v1::ResetDesktopRequest>(request)) {
    return ResetDesktopCall(turn, event, *r, actor);
  }
  if (const auto* r = As<v1::EndAnySessionRequest>(request)) {
    return EndAnySession(turn, event, *r, actor);
  }
  if (const auto* r = As<v1::EnrolTokenRequest>(request)) return EnrolToken(turn, event, *r, actor);
  if (const auto* r = As<v1::ConfirmTokenRequest>(request)) {
    return ConfirmToken(turn, event, *r, actor);
  }
  if (const auto* r = As<v1::RevokeTokenRequest>(request)) {
    return RevokeToken(turn, event, *r, actor);
  }
  if (const auto* r = As<v1::RevokeSignInsRequest>(request)) {
    return RevokeSignIns(turn, event, *r, actor);
  }
  if (const auto* r = As<v1::AddJoinCodeRequest>(request)) {
    return AddJoinCode(turn, event, *r, actor);
  }
  if (const auto* r = As<v1::RevokeCertificatesRequest>(request)) {
    return RevokeCertificates(turn, event, *r, actor);
  }
  if (const auto* r = As<v1::ConfirmSiteLossRequest>(request)) {
    return ConfirmSiteLoss(turn, event, *r, actor);
  }
  if (const auto* r = As<v1::AssignDesktopRequest>(request)) {
    return AssignDesktop(turn, event, *r, actor);
  }
  if (const auto* r = As<v1::OverrideFenceRequest>(request)) {
    return OverrideFence(turn, event, *r, actor);
  }
  if (const auto* r = As<v1::ReadmitSiteRequest>(request)) {
    return ReadmitSite(turn, event, *r, actor);
  }
  if (const auto* r = As<v1::RebalanceRequest>(request)) return Rebalance(turn, event, *r, actor);
  return absl::UnimplementedError(
      absl::StrCat(request.GetDescriptor()->name(), " is not decided here"));
}

// What tells one request from another: who, what, and every field.
std::string RequestHash(const CallRequested& event, const MethodInfo& method,
                        const std::string& who) {
  return Sha256(absl::StrCat(who, "\n", method.path, "\n", event.request->SerializeAsString()));
}

// The answer that was given to this request before, or nothing.
std::optional<CallAnswer> Earlier(const Turn& turn, const std::string& key,
                                  const MethodInfo& method, const std::string& hash) {
  const v1::AnsweredRequest* answered = turn.fleet().answered.Find(key);
  const bool of_sign_in = SignInByRequest(turn.state(), key, turn.now()) != nullptr;
  if (answered == nullptr && !of_sign_in) return std::nullopt;
  if (of_sign_in || answered->method() != method.path || answered->request_sha256() != hash) {
    return absl::InvalidArgumentError("request_id: was used for another request; take a new one");
  }
  const Message* prototype = google::protobuf::MessageFactory::generated_factory()->GetPrototype(
      method.method->output_type());
  std::shared_ptr<Message> response(prototype->New());
  if (!response->ParseFromString(answered->response())) {
    return absl::DataLossError("the kept answer cannot be read");
  }
  return std::shared_ptr<const Message>(std::move(response));
}

void Give(Turn& turn, const CallRequested& event, CallAnswer answer) {
  if (answer.ok()) return turn.Answer(event.call, *std::move(answer));
  turn.Answer(event.call, std::move(answer).status());
}

// Not OK: the answer, whoever it is that calls.
absl::Status MayCall(Turn& turn, const CallRequested& event, const MethodInfo& method) {
  if (method.access.identities().empty()) {
    return absl::PermissionDeniedError("nobody may make this call");
  }
  const absl::Status may =
      Authorize(turn.fleet(), method.access, event.caller, turn.settings(), turn.now());
  if (may.ok()) return may;
  const std::string fault = SignInFault(turn.fleet(), event.caller, turn.settings(), turn.now());
  // A token that comes from another machine than it was given to was stolen.
  const bool stolen = fault == "another machine";
  turn.Count("calls", stolen ? "stolen-token" : "denied");
  turn.Note(stolen ? Severity::kError : Severity::kWarning, "call-denied",
            {{"method", method.path},
             {"why", absl::IsUnauthenticated(may) ? fault : std::string(may.message())},
             {"origin", Origin(event.caller)}});
  return may;
}

void Deny(Turn& turn, const CallRequested& event, bool is_connect, absl::Status why) {
  if (is_connect) {
    turn.Emit(ConnectFailed{event.call, std::move(why)});
  } else {
    turn.Answer(event.call, std::move(why));
  }
}

// Not OK: so many answers are kept for this person that a program must be asking without end.
// Signing out is never refused.
absl::Status MayChange(Turn& turn, const CallRequested& event, const MethodInfo& method,
                       const std::string& user) {
  if (As<v1::SignOutRequest>(*event.request) != nullptr) return absl::OkStatus();
  const auto& kept = turn.state().answered_by_user;
  const auto found = kept.find(user);
  const uint32_t most = turn.settings().changes_per_person;
  if (found == kept.end() || found->second < most) return absl::OkStatus();
  turn.Count("calls", "too-many-changes");
  turn.Note(Severity::kWarning, "too-many-changes",
            {{"user", user}, {"method", method.path}, {"origin", Origin(event.caller)}});
  return absl::ResourceExhaustedError(absl::StrCat(
      user, " made ", most, " changes within ", absl::FormatDuration(turn.settings().answered_kept),
      ", the most for one person (limits.changes_per_person); try again later"));
}

void HandleUnary(Turn& turn, const CallRequested& event, const MethodInfo& method,
                 const v1::SignIn& sign_in, const std::string& request_id,
                 const std::string& hash) {
  const std::string key = RequestKey(event.caller, request_id);
  if (auto earlier = Earlier(turn, key, method, hash)) {
    return Give(turn, event, *std::move(earlier));
  }
  if (absl::Status may = MayChange(turn, event, method, sign_in.user()); !may.ok()) {
    return turn.Answer(event.call, std::move(may));
  }
  CallAnswer answer = Dispatch(turn, event, sign_in);
  if (answer.ok()) {
    v1::AnsweredRequest answered;
    answered.set_key(key);
    answered.set_user(sign_in.user());
    answered.set_method(method.path);
    answered.set_request_sha256(hash);
    answered.set_response((*answer)->SerializeAsString());
    answered.set_answered_unix_ms(turn.now_ms());
    turn.Put(std::move(answered));
  }
  Give(turn, event, std::move(answer));
}

}  // namespace

std::string RequestKey(const Caller& caller, const std::string& request_id) {
  // Machines' names have a part more, so none of them can be taken for this.
  if (caller.identity == v1::IDENTITY_GATEWAY) return absl::StrCat("gateway/", request_id);
  return absl::StrCat(caller.peer, "/", request_id);
}

void HandleCall(Turn& turn, const CallRequested& event) {
  if (event.request == nullptr) {
    return turn.Answer(event.call, absl::InternalError("the call came without a request"));
  }
  const Message& request = *event.request;
  const auto* connect = As<v1::ConnectRequest>(request);
  const bool is_connect = connect != nullptr;
  const MethodInfo* method = MethodFor(request.GetDescriptor());
  if (method == nullptr) {
    return Deny(turn, event, is_connect, absl::PermissionDeniedError("there is no such call"));
  }
  const std::string request_id = RequestIdOf(request);
  const bool is_sign_out = As<v1::SignOutRequest>(request) != nullptr;
  if (is_sign_out && IsRequestId(request_id)) {
    // The token of a sign-out is dead when it is repeated; holding it is proof enough to be told
    // so.
    const std::string key = RequestKey(event.caller, request_id);
    const std::string hash = RequestHash(event, *method, event.caller.token_sha256);
    auto earlier = Earlier(turn, key, *method, hash);
    if (earlier && earlier->ok()) return Give(turn, event, *std::move(earlier));
  }
  absl::Status may = MayCall(turn, event, *method);
  if (!may.ok()) return Deny(turn, event, is_connect, std::move(may));
  const auto sign_in = SignInOf(turn.fleet(), event.caller);
  if (sign_in == nullptr) {
    return Deny(turn, event, is_connect, absl::UnauthenticatedError("sign in first"));
  }
  if (!IsRequestId(request_id)) {
    return Deny(turn, event, is_connect,
                absl::InvalidArgumentError("request_id: give 1 to 64 of A-Z, a-z, 0-9, '_' and "
                                           "'-', another one for each request"));
  }
  TouchSignIn(turn, sign_in->id());
  if (is_connect) return HandleConnect(turn, event, *connect, *sign_in);
  const std::string who = is_sign_out ? event.caller.token_sha256 : sign_in->user();
  HandleUnary(turn, event, *method, *sign_in, request_id, RequestHash(event, *method, who));
}

}  // namespace werkplek
