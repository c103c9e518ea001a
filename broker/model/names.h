// What names may look like, and what groups and users mean in an entitlement.
#pragma once

#include <set>
#include <string>

#include "absl/strings/string_view.h"
#include "werkplek/v1/access.pb.h"
#include "werkplek/v1/resources.pb.h"
#include "werkplek/v1/stored.pb.h"

namespace werkplek {

// A resource's name: 1 to 63 of [a-z0-9.-], first and last a letter or digit.
bool IsResourceName(absl::string_view name);

// What a machine is, by its name as certificates give it: IDENTITY_CLIENT for "client/tc-017".
// IDENTITY_UNSPECIFIED: this is no machine's name.
v1::Identity IdentityOfPeer(absl::string_view peer);

// The other way round: "client/tc-017". Empty: there is no such machine's name.
std::string PeerOf(v1::Identity identity, absl::string_view name);

// A sign-in name: 1 to 64 of [A-Za-z0-9._@-].
bool IsUserName(absl::string_view name);

// A request id: 1 to 64 of [A-Za-z0-9_-].
bool IsRequestId(absl::string_view id);

// 64 lower-case hexadecimal digits.
bool IsSha256Hex(absl::string_view text);

v1::ResourceKind KindOf(const v1::Resource& resource);

// "site", "host", "image", "pool", "entitlement"; "resource" for an unknown kind.
absl::string_view KindName(v1::ResourceKind kind);

// Whether the entitlement's group (a DN, or the cn of its first part) is the directory's group
// `dn`. Case does not count, nor do spaces around the commas and equals signs of a DN.
bool GroupIs(absl::string_view group, absl::string_view dn);

// One person's groups, made ready to be asked about many entitlements.
class Entitled {
 public:
  explicit Entitled(const v1::SignIn& person);

  // Whether the entitlement (of whatever pool) is for this person.
  bool By(const v1::Entitlement& entitlement) const;

 private:
  const std::string user_;
  // DNs in normal form, and the cn of each.
  std::set<std::string> groups_;
};

}  // namespace werkplek
