// How people are asked for: several in one search, when the filter allows it. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "broker/directory/directory_settings.h"
#include "broker/directory/ldap_connection.h"

namespace werkplek {

// Two are enough to see that a name is not unique.
inline constexpr int kEntriesPerPerson = 2;

// Whether the filter asks for the user once, by `user_attribute`. Only then does an entry's
// attribute tell for whom of several people it was found.
bool NamesOnlyTheUser(const DirectorySettings& settings);

// RFC 4515: the filter for one person, or for any of several.
std::string PersonFilter(const DirectorySettings& settings, const std::vector<std::string>& names);

// What each of the names would have found alone, from what a search for all of them found; letters
// may differ in case. nullopt: that cannot be told, and each must be asked for alone. An entry
// carries none of the names (the server may compare in another way), or has more values that the
// filter may have meant: `user_attribute` twice or with an option, or an attribute that is not one
// of PersonAttributes (a subtype).
std::optional<std::vector<std::vector<LdapEntry>>> ShareOut(const DirectorySettings& settings,
                                                            const std::vector<std::string>& names,
                                                            const std::vector<LdapEntry>& entries);

}  // namespace werkplek
