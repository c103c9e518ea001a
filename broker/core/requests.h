// Calls: who may, whether it was answered already, and to whom it goes.
#pragma once

#include <string>

#include "broker/core/turn.h"

namespace werkplek {

// Under which the answer to the caller's request is kept: "PEER/REQUEST_ID". A browser repeats its
// request at another gateway, so all gateways are one: "gateway/REQUEST_ID". Who asked is not in
// it: whoever looks an answer up compares the request's hash, which covers the person.
std::string RequestKey(const Caller& caller, const std::string& request_id);

void HandleCall(Turn& turn, const CallRequested& event);

}  // namespace werkplek
