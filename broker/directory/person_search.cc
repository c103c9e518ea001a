#include "broker/directory/person_search.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "broker/directory/found_person.h"
#include "broker/directory/ldap_text.h"

namespace werkplek {
namespace {

constexpr char kHole[] = "{user}";

// Whether the one value list of `user_attribute` is all that the filter can have meant: no second
// one, none with an option, and no attribute that nobody asked for, which may be a subtype.
bool TellsAllItsNames(const LdapEntry& entry, const std::string& user_attribute,
                      const std::vector<std::string>& asked) {
  int lists = 0;
  for (const auto& [name, values] : entry.attributes) {
    const absl::string_view type = absl::string_view(name).substr(0, name.find(';'));
    const bool was_asked = std::any_of(
        asked.begin(), asked.end(),
        [type](const std::string& attribute) { return absl::EqualsIgnoreCase(attribute, type); });
    if (!was_asked) return false;
    if (!absl::EqualsIgnoreCase(type, user_attribute)) continue;
    if (type.size() != name.size() || ++lists > 1) return false;
  }
  return true;
}

bool Carries(const LdapEntry& entry, absl::string_view attribute, absl::string_view name) {
  const std::vector<std::string>* values = entry.Values(attribute);
  return values != nullptr &&
         std::any_of(values->begin(), values->end(), [name](const std::string& value) {
           return absl::EqualsIgnoreCase(value, name);
         });
}

}  // namespace

bool NamesOnlyTheUser(const DirectorySettings& settings) {
  const std::vector<absl::string_view> parts = absl::StrSplit(settings.user_filter, kHole);
  return parts.size() == 2 && absl::StartsWith(parts[1], ")") &&
         absl::EndsWithIgnoreCase(parts[0], absl::StrCat("(", settings.user_attribute, "="));
}

std::string PersonFilter(const DirectorySettings& settings, const std::vector<std::string>& names) {
  std::string filter;
  for (const std::string& name : names) {
    filter += FillFilter(settings.user_filter, kHole, name);
  }
  return names.size() == 1 ? filter : absl::StrCat("(|", filter, ")");
}

std::optional<std::vector<std::vector<LdapEntry>>> ShareOut(const DirectorySettings& settings,
                                                            const std::vector<std::string>& names,
                                                            const std::vector<LdapEntry>& entries) {
  const std::vector<std::string> asked = PersonAttributes(settings);
  std::vector<std::vector<LdapEntry>> shares(names.size());
  for (const LdapEntry& entry : entries) {
    bool for_somebody = false;
    for (size_t i = 0; i < names.size(); ++i) {
      if (!Carries(entry, settings.user_attribute, names[i])) continue;
      shares[i].push_back(entry);
      for_somebody = true;
    }
    if (!for_somebody || !TellsAllItsNames(entry, settings.user_attribute, asked)) {
      return std::nullopt;
    }
  }
  return shares;
}

}  // namespace werkplek
