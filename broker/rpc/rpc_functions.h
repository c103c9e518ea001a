// What the services need of other parts of the program, as functions that the program gives.
#pragma once

#include <functional>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "broker/core/event.h"
#include "werkplek/v1/admin.pb.h"
#include "werkplek/v1/agent.pb.h"

namespace werkplek {

// They return at once; `done` is called once, from any thread, also before they return.
using AddJoinCodeFunction =
    std::function<void(const Caller& caller, const v1::AddJoinCodeRequest& request,
                       absl::AnyInvocable<void(absl::StatusOr<v1::AddJoinCodeResponse>)> done)>;
using RenewCertificateFunction = std::function<void(
    const Caller& caller, const v1::RenewCertificateRequest& request,
    absl::AnyInvocable<void(absl::StatusOr<v1::RenewCertificateResponse>)> done)>;

}  // namespace werkplek
