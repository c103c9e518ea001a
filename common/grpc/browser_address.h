// How a gateway tells a broker for which browser it calls.
#pragma once

namespace werkplek {

// Call metadata: the browser's address, "198.51.100.7:51234" or "[2001:db8::7]:51234", once. For
// the audit and the log; nothing is decided from it. Brokers take it from gateways only.
inline constexpr char kBrowserAddressKey[] = "werkplek-browser-address";

}  // namespace werkplek
