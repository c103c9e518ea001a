// What may go into LDAP filters, names and passwords, and how it is escaped. Pure.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace werkplek {

// RFC 4515 section 3. Everything but printable ASCII is escaped too, which the RFC allows.
std::string EscapeFilterValue(absl::string_view value);

// RFC 4514 section 2.4: for one attribute value in a DN.
std::string EscapeDnValue(absl::string_view value);

// The filter with every `hole` ("{user}") replaced by the escaped value.
std::string FillFilter(absl::string_view filter, absl::string_view hole, absl::string_view value);

// Why a password is not sent to any server, or empty. RFC 4513 section 6.3.1: an empty one asks for
// an anonymous bind, which succeeds; some servers cut at a NUL byte.
absl::string_view PasswordRefusal(absl::string_view password);

// For comparing and remembering DNs as one server spells them; ASCII only.
std::string LowerCase(absl::string_view text);

}  // namespace werkplek
