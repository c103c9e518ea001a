// What a search entry says about a person. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "broker/core/event.h"
#include "broker/directory/directory_settings.h"
#include "broker/directory/ldap_connection.h"

namespace werkplek {

struct FoundPerson {
  // Without groups.
  DirectoryPerson person;
  // Why the account lets nobody in, for the log: an administrator switched it off, or gave it an
  // end that has come. Empty: it does.
  std::string refusal;
  // From member_of_attribute.
  std::vector<std::string> direct_groups;
};

// The attributes that ReadPerson wants.
std::vector<std::string> PersonAttributes(const DirectorySettings& settings);

// nullopt: the entry does not carry `typed` as its name (letters may differ in case), whatever the
// server took the filter to mean. Of several names of one person the first in byte order counts, so
// that a person has one name however it is typed. `now`: for accounts that end at a time.
std::optional<FoundPerson> ReadPerson(const DirectorySettings& settings, const LdapEntry& entry,
                                      absl::string_view typed, absl::Time now);

}  // namespace werkplek
