// Enrolments of one-time tokens, and the help desk's hold on sign-ins.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "broker/core/turn.h"

namespace werkplek {

// What a mutating call is answered with. Not OK: nothing was changed.
using CallAnswer = absl::StatusOr<std::shared_ptr<const google::protobuf::Message>>;

// The answer leaves out the otpauth URI: the node fills it in from the sealed seed after the
// commit.
CallAnswer EnrolToken(Turn& turn, const CallRequested& event, const v1::EnrolTokenRequest& request,
                      const std::string& actor);
CallAnswer ConfirmToken(Turn& turn, const CallRequested& event,
                        const v1::ConfirmTokenRequest& request, const std::string& actor);
CallAnswer RevokeToken(Turn& turn, const CallRequested& event,
                       const v1::RevokeTokenRequest& request, const std::string& actor);
CallAnswer RevokeSignIns(Turn& turn, const CallRequested& event,
                         const v1::RevokeSignInsRequest& request, const std::string& actor);

}  // namespace werkplek
