#include "broker/directory/found_person.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "broker/directory/ldap_text.h"
#include "broker/model/names.h"

namespace werkplek {
namespace {

// OpenLDAP's ppolicy: this time means "locked for good, by an administrator".
constexpr char kOpenLdapLock[] = "pwdAccountLockedTime";
constexpr char kLockedForGood[] = "000001010000Z";
// Active Directory: bit 2 is ACCOUNTDISABLE.
constexpr char kActiveDirectoryControl[] = "userAccountControl";
constexpr int64_t kAccountDisable = 2;
// 389 Directory Server.
constexpr char k389Lock[] = "nsAccountLock";

std::string FirstValue(const LdapEntry& entry, absl::string_view attribute) {
  const std::vector<std::string>* values = entry.Values(attribute);
  return values == nullptr || values->empty() ? "" : values->front();
}

bool IsDisabled(const LdapEntry& entry) {
  int64_t control = 0;
  return FirstValue(entry, kOpenLdapLock) == kLockedForGood ||
         absl::EqualsIgnoreCase(FirstValue(entry, k389Lock), "true") ||
         (absl::SimpleAtoi(FirstValue(entry, kActiveDirectoryControl), &control) &&
          (control & kAccountDisable) != 0);
}

}  // namespace

std::vector<std::string> PersonAttributes(const DirectorySettings& settings) {
  std::vector<std::string> attributes = {settings.user_attribute, settings.name_attribute,
                                         kOpenLdapLock, kActiveDirectoryControl, k389Lock};
  if (!settings.member_of_attribute.empty()) attributes.push_back(settings.member_of_attribute);
  return attributes;
}

std::optional<FoundPerson> ReadPerson(const DirectorySettings& settings, const LdapEntry& entry,
                                      absl::string_view typed) {
  const std::vector<std::string>* names = entry.Values(settings.user_attribute);
  if (names == nullptr || std::none_of(names->begin(), names->end(), [&](const std::string& name) {
        return absl::EqualsIgnoreCase(name, typed);
      })) {
    return std::nullopt;
  }
  FoundPerson found;
  found.person.user = *std::min_element(names->begin(), names->end());
  if (!IsUserName(found.person.user)) return std::nullopt;
  found.person.dn = entry.dn;
  found.person.display_name = FirstValue(entry, settings.name_attribute);
  if (found.person.display_name.empty()) found.person.display_name = found.person.user;
  found.disabled = IsDisabled(entry);
  if (!settings.member_of_attribute.empty()) {
    const std::vector<std::string>* groups = entry.Values(settings.member_of_attribute);
    if (groups != nullptr) found.direct_groups = *groups;
  }
  return found;
}

}  // namespace werkplek
