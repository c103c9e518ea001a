#include "broker/directory/found_person.h"

#include <algorithm>
#include <cstdint>
#include <limits>

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

// Active Directory: when the account ends, in 100 ns since 1601; two values mean never.
constexpr char kActiveDirectoryEnd[] = "accountExpires";
constexpr int64_t kUnixEpochIn1601Ticks = 116'444'736'000'000'000;
// OpenLDAP's ppolicy, and FreeIPA: the same as a GeneralizedTime (RFC 4517 section 3.3.13).
constexpr char kOpenLdapEnd[] = "pwdEndTime";
constexpr char kFreeIpaEnd[] = "krbPrincipalExpiration";
constexpr char kGeneralizedTime[] = "%E4Y%m%d%H%M%E*SZ";

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

// A value that is not understood ends nothing: the server judges it at the next bind.
absl::Time EndOf(const LdapEntry& entry) {
  absl::Time end = absl::InfiniteFuture();
  int64_t ticks = 0;
  if (absl::SimpleAtoi(FirstValue(entry, kActiveDirectoryEnd), &ticks) && ticks > 0 &&
      ticks != std::numeric_limits<int64_t>::max()) {
    end = absl::UnixEpoch() + (ticks - kUnixEpochIn1601Ticks) * absl::Nanoseconds(100);
  }
  for (const char* attribute : {kOpenLdapEnd, kFreeIpaEnd}) {
    absl::Time time;
    if (absl::ParseTime(kGeneralizedTime, FirstValue(entry, attribute), &time, nullptr)) {
      end = std::min(end, time);
    }
  }
  return end;
}

std::string RefusalOf(const LdapEntry& entry, absl::Time now) {
  if (IsDisabled(entry)) return "account disabled";
  return EndOf(entry) <= now ? "account expired" : "";
}

}  // namespace

std::vector<std::string> PersonAttributes(const DirectorySettings& settings) {
  std::vector<std::string> attributes = {settings.user_attribute,
                                         settings.name_attribute,
                                         kOpenLdapLock,
                                         kActiveDirectoryControl,
                                         k389Lock,
                                         kActiveDirectoryEnd,
                                         kOpenLdapEnd,
                                         kFreeIpaEnd};
  if (!settings.member_of_attribute.empty()) attributes.push_back(settings.member_of_attribute);
  return attributes;
}

std::optional<FoundPerson> ReadPerson(const DirectorySettings& settings, const LdapEntry& entry,
                                      absl::string_view typed, absl::Time now) {
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
  found.refusal = RefusalOf(entry, now);
  if (!settings.member_of_attribute.empty()) {
    const std::vector<std::string>* groups = entry.Values(settings.member_of_attribute);
    if (groups != nullptr) found.direct_groups = *groups;
  }
  return found;
}

}  // namespace werkplek
