// Rules for addresses and names in a configuration. Pure.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace werkplek {

// "192.0.2.1:7443", "[2001:db8::1]:7443": what a listener can be given.
absl::Status CheckNumericAddress(const std::string& text);
// As above, and only this machine reaches it: for what is served without TLS.
absl::Status CheckLoopback(const std::string& text);
// The name of a machine or a site.
absl::Status CheckName(const std::string& text);

}  // namespace werkplek
