// Where people sign in: a machine with a certificate of its own, or a browser's network. Pure;
// thread-safe.
#pragma once

#include <string>

#include "broker/core/event.h"
#include "werkplek/v1/stored.pb.h"

namespace werkplek {

// "client/tc-017"; through a gateway "browser/203.0.113.7" or "browser/2001:db8:0:7::/64".
std::string PlaceOf(const Caller& caller);

// Whether the person has signed in there with a code of this enrolment (TokenEnrolment.places).
bool IsKnownPlace(const v1::TokenEnrolment& token, const std::string& place);

// Puts the place first, and forgets the one that was used longest ago when there are too many.
void RememberPlace(const std::string& place, v1::TokenEnrolment& token);

}  // namespace werkplek
