// How every unary handler goes: admit, then change (through the node), read (from the picture), or
// something of its own. Nothing here blocks.
#pragma once

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "broker/core/access.h"
#include "broker/core/views.h"
#include "broker/node/broker_node.h"
#include "broker/rpc/forward.h"
#include "broker/rpc/gate.h"
#include "broker/rpc/pending_calls.h"
#include "broker/rpc/unary_call.h"
#include "grpcpp/server_context.h"

namespace werkplek {

// What the services of one listener share. All outlive them.
struct ServiceParts {
  Gate* gate = nullptr;
  PendingCalls* pending = nullptr;
  BrokerNode* node = nullptr;
  // The way to the leader; nullptr: this is the only broker.
  LeaderLink* leader = nullptr;
};

// Admits the call and hands it to `handle(admitted, request, call)`, which answers `call` now or
// later; a call that is not admitted is answered here, and one that another broker is to answer is
// forwarded. `request` is valid until then only.
template <typename Request, typename Response, typename Handle>
grpc::ServerUnaryReactor* HandleUnary(const ServiceParts& parts,
                                      grpc::CallbackServerContext* context, const Request* request,
                                      Response* response, Handle handle) {
  const auto call = UnaryCall<Response>::Begin(parts.pending, context, response);
  const absl::StatusOr<Admitted> admitted = parts.gate->Admit(*context, Request::descriptor());
  if (!admitted.ok()) {
    call->End(admitted.status());
  } else if (admitted->elsewhere) {
    ForwardedUnary<Request, Response>::Begin(parts.leader, *context, *admitted, *request, call);
  } else {
    handle(*admitted, *request, call);
  }
  return call.get();
}

// A call that changes something: a copy goes to the node, whose answer is the call's.
template <typename Request, typename Response>
grpc::ServerUnaryReactor* HandleChange(const ServiceParts& parts,
                                       grpc::CallbackServerContext* context, const Request* request,
                                       Response* response) {
  return HandleUnary(parts, context, request, response,
                     [&parts](const Admitted& admitted, const Request& asked, const auto& call) {
                       parts.node->Call(admitted.caller, std::make_shared<const Request>(asked),
                                        [call](const auto& answer) { call->Answer(answer); });
                     });
}

// Tells the node that the sign-in was used, when the fleet does not know it within the last minute.
void CountUse(const ServiceParts& parts, const Admitted& admitted);

// A call that reads: answered from the picture, on this thread.
template <typename Request, typename Response>
grpc::ServerUnaryReactor* HandleRead(const ServiceParts& parts,
                                     grpc::CallbackServerContext* context, const Request* request,
                                     Response* response) {
  return HandleUnary(parts, context, request, response,
                     [&parts](const Admitted& admitted, const Request& asked, const auto& call) {
                       if (admitted.picture == nullptr) return call->End(NotInCharge());
                       CountUse(parts, admitted);
                       const auto me = SignInOf(*admitted.picture, admitted.caller);
                       call->Answer(View(ViewContext{.fleet = *admitted.picture,
                                                     .settings = parts.gate->settings(),
                                                     .now = parts.gate->Now(),
                                                     .me = me.get()},
                                         asked));
                     });
}

}  // namespace werkplek
