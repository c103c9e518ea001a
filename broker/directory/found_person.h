// What a search entry says about a person. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "broker/core/event.h"
#include "broker/directory/directory_settings.h"
#include "broker/directory/ldap_connection.h"

namespace werkplek {

struct FoundPerson {
  // Without groups.
  DirectoryPerson person;
  // An administrator switched the account off.
  bool disabled = false;
  // From member_of_attribute.
  std::vector<std::string> direct_groups;
};

// The attributes that ReadPerson wants.
std::vector<std::string> PersonAttributes(const DirectorySettings& settings);

// nullopt: the entry does not carry `typed` as its name (letters may differ in case), whatever the
// server took the filter to mean. Of several names of one person the first in byte order counts, so
// that a person has one name however it is typed.
std::optional<FoundPerson> ReadPerson(const DirectorySettings& settings, const LdapEntry& entry,
                                      absl::string_view typed);

}  // namespace werkplek
