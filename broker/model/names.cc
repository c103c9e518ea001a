#include "broker/model/names.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace werkplek {
namespace {

constexpr std::pair<absl::string_view, v1::Identity> kPeerWords[] = {
    {"client/", v1::IDENTITY_CLIENT},
    {"host/", v1::IDENTITY_HOST},
    {"gateway/", v1::IDENTITY_GATEWAY},
    {"admin/", v1::IDENTITY_ADMIN},
    {"broker/", v1::IDENTITY_BROKER}};

bool IsLowerOrDigit(char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c); }

bool AllOf(absl::string_view text, absl::string_view others) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return absl::ascii_isalnum(c) || others.find(c) != absl::string_view::npos;
  });
}

// Lower case, without spaces beside the separators. Escaped characters stay as they are.
std::string NormalDn(absl::string_view dn) {
  std::string normal;
  normal.reserve(dn.size());
  bool separated = true;
  for (size_t i = 0; i < dn.size(); ++i) {
    const char c = dn[i];
    if (c == '\\' && i + 1 < dn.size()) {
      normal.push_back(c);
      normal.push_back(absl::ascii_tolower(dn[++i]));
      separated = false;
    } else if (c == ',' || c == '=') {
      while (!normal.empty() && normal.back() == ' ') normal.pop_back();
      normal.push_back(c);
      separated = true;
    } else if (c != ' ' || !separated) {
      normal.push_back(absl::ascii_tolower(c));
      separated = false;
    }
  }
  return normal;
}

// The first part of a DN, with the comma after it.
absl::string_view FirstPart(absl::string_view dn) {
  size_t i = 0;
  while (i < dn.size() && dn[i] != ',') i += dn[i] == '\\' ? 2 : 1;
  return dn.substr(0, i + 1);
}

// The value of the first part of a normal DN when its attribute is cn, without its escapes.
std::string CommonName(absl::string_view normal_dn) {
  if (!absl::StartsWith(normal_dn, "cn=")) return "";
  std::string name;
  for (size_t i = 3; i < normal_dn.size() && normal_dn[i] != ','; ++i) {
    if (normal_dn[i] == '\\' && i + 1 < normal_dn.size()) ++i;
    name.push_back(normal_dn[i]);
  }
  return name;
}

}  // namespace

bool IsResourceName(absl::string_view name) {
  if (name.empty() || name.size() > 63) return false;
  if (!IsLowerOrDigit(name.front()) || !IsLowerOrDigit(name.back())) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return IsLowerOrDigit(c) || c == '.' || c == '-'; });
}

v1::Identity IdentityOfPeer(absl::string_view peer) {
  for (const auto& [word, identity] : kPeerWords) {
    absl::string_view name = peer;
    if (absl::ConsumePrefix(&name, word)) {
      return IsResourceName(name) ? identity : v1::IDENTITY_UNSPECIFIED;
    }
  }
  return v1::IDENTITY_UNSPECIFIED;
}

std::string PeerOf(v1::Identity identity, absl::string_view name) {
  for (const auto& [word, of_word] : kPeerWords) {
    if (of_word == identity && IsResourceName(name)) return absl::StrCat(word, name);
  }
  return "";
}

bool IsUserName(absl::string_view name) {
  return !name.empty() && name.size() <= 64 && AllOf(name, "._@-");
}

bool IsRequestId(absl::string_view id) { return !id.empty() && id.size() <= 64 && AllOf(id, "_-"); }

bool IsSha256Hex(absl::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
         });
}

v1::ResourceKind KindOf(const v1::Resource& resource) {
  switch (resource.kind_case()) {
    case v1::Resource::kSite:
      return v1::RESOURCE_KIND_SITE;
    case v1::Resource::kHost:
      return v1::RESOURCE_KIND_HOST;
    case v1::Resource::kImage:
      return v1::RESOURCE_KIND_IMAGE;
    case v1::Resource::kPool:
      return v1::RESOURCE_KIND_POOL;
    case v1::Resource::kEntitlement:
      return v1::RESOURCE_KIND_ENTITLEMENT;
    case v1::Resource::KIND_NOT_SET:
      break;
  }
  return v1::RESOURCE_KIND_UNSPECIFIED;
}

absl::string_view KindName(v1::ResourceKind kind) {
  switch (kind) {
    case v1::RESOURCE_KIND_SITE:
      return "site";
    case v1::RESOURCE_KIND_HOST:
      return "host";
    case v1::RESOURCE_KIND_IMAGE:
      return "image";
    case v1::RESOURCE_KIND_POOL:
      return "pool";
    case v1::RESOURCE_KIND_ENTITLEMENT:
      return "entitlement";
    default:
      return "resource";
  }
}

bool GroupIs(absl::string_view group, absl::string_view dn) {
  if (group.empty()) return false;
  if (group.find('=') != absl::string_view::npos) return NormalDn(group) == NormalDn(dn);
  const absl::string_view first = FirstPart(dn);
  if (first.find_first_of("\\ ") == absl::string_view::npos) {
    // Without spaces and escapes the name stands there as it is.
    return absl::StartsWithIgnoreCase(first, "cn=") &&
           absl::EqualsIgnoreCase(absl::StripSuffix(first.substr(3), ","), group);
  }
  return absl::AsciiStrToLower(group) == CommonName(NormalDn(first));
}

Entitled::Entitled(const v1::SignIn& person) : user_(absl::AsciiStrToLower(person.user())) {
  for (const std::string& dn : person.groups()) {
    std::string normal = NormalDn(dn);
    std::string name = CommonName(normal);
    // A cn has no equals sign in front of its value, so the two kinds do not mix.
    if (!name.empty() && name.find('=') == std::string::npos) groups_.insert(std::move(name));
    groups_.insert(std::move(normal));
  }
}

bool Entitled::By(const v1::Entitlement& entitlement) const {
  if (!entitlement.user().empty()) return absl::AsciiStrToLower(entitlement.user()) == user_;
  if (entitlement.group().empty()) return false;
  const bool is_dn = entitlement.group().find('=') != std::string::npos;
  return groups_.count(is_dn ? NormalDn(entitlement.group())
                             : absl::AsciiStrToLower(entitlement.group())) != 0;
}

}  // namespace werkplek
