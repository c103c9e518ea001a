#include "broker/model/validate.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "broker/model/kept.h"
#include "broker/model/names.h"
#include "broker/model/pool_sites.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr uint32_t kMaxDesktops = 100'000;
constexpr uint64_t kMaxMemoryMib = 4ull << 20;  // 4 TiB.
constexpr size_t kMaxText = 1024;
// A desktop's name is its pool's, a dash and eight digits, and has at most 63 bytes itself.
constexpr size_t kMaxPoolName = 54;

absl::Status Bad(absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", what));
}

template <typename Number>
absl::Status InRange(absl::string_view field, Number value, Number least, Number most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return Bad(field, absl::StrCat(value, " is not from ", least, " to ", most));
}

absl::Status Text(absl::string_view field, absl::string_view text) {
  if (text.size() > kMaxText) {
    return Bad(field, absl::StrCat("is ", text.size(), " bytes long; give at most ", kMaxText));
  }
  const bool control = std::any_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  return control ? Bad(field, "has control characters; leave them out") : absl::OkStatus();
}

absl::Status AbsolutePath(absl::string_view field, absl::string_view path) {
  RETURN_IF_ERROR(Text(field, path));
  if (!absl::StartsWith(path, "/")) return Bad(field, "is not an absolute path; begin it with /");
  return absl::OkStatus();
}

absl::Status Name(absl::string_view field, absl::string_view name) {
  if (IsResourceName(name)) return absl::OkStatus();
  return Bad(field,
             "is no name; use 1 to 63 of a-z, 0-9, '.' and '-', with a letter or digit first and "
             "last");
}

absl::Status Schedulable(absl::string_view field, int value) {
  if (v1::Schedulability_IsValid(value)) return absl::OkStatus();
  return Bad(field, "give OPEN, DRAINING or MAINTENANCE");
}

absl::Status ValidateSite(const v1::Site& site) {
  RETURN_IF_ERROR(Text("site.description", site.description()));
  return InRange("site.max_starts_in_flight", site.max_starts_in_flight(), 0u, 10'000u);
}

absl::Status ValidateHost(const v1::Host& host) {
  RETURN_IF_ERROR(Name("host.site", host.site()));
  RETURN_IF_ERROR(Schedulable("host.schedulability", host.schedulability()));
  RETURN_IF_ERROR(
      InRange<uint64_t>("host.memory_limit_mib", host.memory_limit_mib(), 0, 64 * kMaxMemoryMib));
  RETURN_IF_ERROR(InRange("host.max_desktops", host.max_desktops(), 0u, 10'000u));
  return InRange("host.max_starts_in_flight", host.max_starts_in_flight(), 0u, 1'000u);
}

absl::Status ValidateImage(const v1::Image& image) {
  const absl::string_view source = image.source();
  RETURN_IF_ERROR(Text("image.source", source));
  if (!absl::StartsWith(source, "/") && !absl::StartsWith(source, "file:///")) {
    return Bad("image.source", "give an absolute path or a file:// URL, as the hosts see it");
  }
  if (!IsSha256Hex(image.sha256())) {
    return Bad("image.sha256", "give the file's SHA-256 as 64 lower-case hexadecimal digits");
  }
  if (image.format() != "qcow2" && image.format() != "raw") {
    return Bad("image.format", "give qcow2 or raw");
  }
  if (!image.kernel().empty()) RETURN_IF_ERROR(AbsolutePath("image.kernel", image.kernel()));
  if (!image.initrd().empty()) {
    RETURN_IF_ERROR(AbsolutePath("image.initrd", image.initrd()));
    if (image.kernel().empty()) return Bad("image.initrd", "needs image.kernel beside it");
  }
  if (!image.kernel_arguments().empty() && image.kernel().empty()) {
    return Bad("image.kernel_arguments", "needs image.kernel beside it");
  }
  return Text("image.kernel_arguments", image.kernel_arguments());
}

absl::Status ValidatePoolSize(const v1::Pool& pool) {
  RETURN_IF_ERROR(InRange("pool.max_desktops", pool.max_desktops(), 1u, kMaxDesktops));
  if (pool.min_desktops() > pool.max_desktops()) {
    return Bad("pool.min_desktops",
               absl::StrCat(pool.min_desktops(), " is more than pool.max_desktops, which is ",
                            pool.max_desktops()));
  }
  if (pool.running_spares() > pool.max_desktops()) {
    return Bad("pool.running_spares",
               absl::StrCat(pool.running_spares(), " is more than pool.max_desktops, which is ",
                            pool.max_desktops()));
  }
  RETURN_IF_ERROR(InRange("pool.vcpus", pool.vcpus(), 1u, 256u));
  return InRange<uint64_t>("pool.memory_mib", pool.memory_mib(), 16, kMaxMemoryMib);
}

absl::Status ValidatePool(const v1::Pool& pool) {
  RETURN_IF_ERROR(Text("pool.description", pool.description()));
  if (pool.kind() != v1::POOL_KIND_FLOATING && pool.kind() != v1::POOL_KIND_DEDICATED) {
    return Bad("pool.kind", "give FLOATING or DEDICATED");
  }
  RETURN_IF_ERROR(Name("pool.image", pool.image()));
  RETURN_IF_ERROR(ValidatePoolSize(pool));
  const v1::DisconnectPolicy& policy = pool.disconnect();
  if (policy.suspend_after_s() != 0 && policy.end_after_s() != 0 &&
      policy.suspend_after_s() >= policy.end_after_s()) {
    return Bad("pool.disconnect.suspend_after_s",
               absl::StrCat(policy.suspend_after_s(),
                            " is not less than pool.disconnect.end_after_s, which is ",
                            policy.end_after_s(), "; the session would end before it"));
  }
  RETURN_IF_ERROR(InRange("pool.queue_deadline_s", pool.queue_deadline_s(), 0u, 86'400u));
  RETURN_IF_ERROR(InRange("pool.queue_limit", pool.queue_limit(), 0u, 100'000u));
  RETURN_IF_ERROR(InRange("pool.start_deadline_s", pool.start_deadline_s(), 0u, 3'600u));
  RETURN_IF_ERROR(InRange("pool.max_failures", pool.max_failures(), 0u, 100u));
  RETURN_IF_ERROR(InRange("pool.breaker_failures", pool.breaker_failures(), 0u, 1'000u));
  RETURN_IF_ERROR(Schedulable("pool.schedulability", pool.schedulability()));
  std::set<std::string> seen;
  for (const std::string& site : pool.sites()) {
    RETURN_IF_ERROR(Name("pool.sites", site));
    if (!seen.insert(site).second) return Bad("pool.sites", absl::StrCat(site, " stands twice"));
  }
  if (!v1::Fencing_IsValid(pool.fencing())) return Bad("pool.fencing", "give NONE or REQUIRED");
  if (!pool.storage().empty()) RETURN_IF_ERROR(Name("pool.storage", pool.storage()));
  if (!pool.network().empty()) RETURN_IF_ERROR(Name("pool.network", pool.network()));
  if (!pool.home_site().empty()) RETURN_IF_ERROR(Name("pool.home_site", pool.home_site()));
  if (pool.home_site().empty() && pool.home_site_rule() != v1::HOME_SITE_RULE_PREFERRED) {
    return Bad("pool.home_site_rule", "says how strictly pool.home_site is meant; give that too");
  }
  return absl::OkStatus();
}

absl::Status ValidateEntitlement(const v1::Entitlement& entitlement) {
  RETURN_IF_ERROR(Name("entitlement.pool", entitlement.pool()));
  if (entitlement.group().empty() == entitlement.user().empty()) {
    return Bad("entitlement", "give either group or user, not both and not neither");
  }
  if (!entitlement.user().empty() && !IsUserName(entitlement.user())) {
    return Bad("entitlement.user",
               "is no sign-in name; use 1 to 64 of A-Z, a-z, 0-9, '.', '_', "
               "'@' and '-'");
  }
  if (!entitlement.home_site().empty()) {
    RETURN_IF_ERROR(Name("entitlement.home_site", entitlement.home_site()));
  } else if (entitlement.home_site_rule() != v1::HOME_SITE_RULE_PREFERRED) {
    return Bad("entitlement.home_site_rule",
               "says how strictly entitlement.home_site is meant; give that too");
  }
  return Text("entitlement.group", entitlement.group());
}

absl::Status MustExist(absl::string_view field, const Table<v1::Resource>& table,
                       const std::string& name, absl::string_view kind) {
  if (table.Find(name) != nullptr) return absl::OkStatus();
  return Bad(field, absl::StrCat("there is no ", kind, " \"", name, "\"; create it first"));
}

// Desktops carry their pool's and host's records with them; moving those under them is refused.
absl::Status HostMayMove(const Fleet& fleet, const v1::Resource& resource) {
  const v1::Resource* before = fleet.hosts.Find(resource.name());
  if (before == nullptr || before->host().site() == resource.host().site()) {
    return absl::OkStatus();
  }
  for (const auto& entry : fleet.desktops) {
    if (entry.record->host() == resource.name()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "host.site: desktop \"", entry.key, "\" is on the host; drain it before it moves"));
    }
  }
  return absl::OkStatus();
}

// Where a disk lies, whose it is, and whether its host stops it in time does not change under a
// desktop.
absl::Status PoolMayChange(const Fleet& fleet, const v1::Resource& resource) {
  const v1::Resource* before = fleet.pools.Find(resource.name());
  if (before == nullptr) return absl::OkStatus();
  absl::string_view changed;
  if (before->pool().kind() != resource.pool().kind()) {
    changed = "pool.kind";
  } else if (before->pool().storage() != resource.pool().storage()) {
    changed = "pool.storage";
  } else if (IsFenced(before->pool()) != IsFenced(resource.pool())) {
    changed = "pool.fencing";
  } else {
    return absl::OkStatus();
  }
  for (const auto& entry : fleet.desktops) {
    if (entry.record->pool() != resource.name()) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(changed, ": desktop \"", entry.key,
                     "\" stands in the pool as it is; make another pool, or empty this one first"));
  }
  return absl::OkStatus();
}

// The sites of a pool are there, and the homes of its people among them.
absl::Status SitesMayBe(const Fleet& fleet, const v1::Resource& resource) {
  const v1::Pool& pool = resource.pool();
  for (const std::string& site : pool.sites()) {
    RETURN_IF_ERROR(MustExist("pool.sites", fleet.sites, site, "site"));
  }
  if (const std::string& home = pool.home_site(); !home.empty()) {
    RETURN_IF_ERROR(MustExist("pool.home_site", fleet.sites, home, "site"));
    if (!MayStandIn(pool, home)) {
      return Bad("pool.home_site",
                 absl::StrCat("site \"", home,
                              "\" is not one of pool.sites; add it there, or name another"));
    }
  }
  for (const auto& entry : fleet.entitlements) {
    const v1::Entitlement& entitlement = entry.record->entitlement();
    const std::string& home = entitlement.home_site();
    if (entitlement.pool() != resource.name() || home.empty()) continue;
    if (MayStandIn(pool, home)) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("pool.sites: site \"", home, "\" is the home site of entitlement \"",
                     entry.key, "\"; leave it in, or give that another home first"));
  }
  return absl::OkStatus();
}

// The home of an entitlement is a site that may carry its pool.
absl::Status HomeMayBe(const Fleet& fleet, const v1::Entitlement& entitlement) {
  const std::string& home = entitlement.home_site();
  if (home.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(MustExist("entitlement.home_site", fleet.sites, home, "site"));
  if (MayStandIn(fleet.pools.Find(entitlement.pool())->pool(), home)) return absl::OkStatus();
  return Bad("entitlement.home_site",
             absl::StrCat("site \"", home, "\" is not one of pool.sites of pool \"",
                          entitlement.pool(), "\"; add it there, or name another"));
}

absl::Status InUse(absl::string_view kind, absl::string_view name, absl::string_view by_kind,
                   absl::string_view by) {
  return absl::FailedPreconditionError(
      absl::StrCat(kind, " \"", name, "\" is used by ", by_kind, " \"", by, "\""));
}

absl::Status DeletePool(const Fleet& fleet, absl::string_view name) {
  for (const auto& entry : fleet.entitlements) {
    if (entry.record->entitlement().pool() == name) {
      return InUse("pool", name, "entitlement", entry.key);
    }
  }
  for (const auto& entry : fleet.desktops) {
    if (entry.record->pool() != name) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("pool \"", name, "\" still has desktop \"", entry.key, "\"; ",
                     IsKept(*entry.record) ? "only `desktop delete` gives up what its owner keeps"
                                           : "drain the pool and wait until it is empty"));
  }
  return absl::OkStatus();
}

// A kept desktop in shared storage that runs nowhere needs no host until it starts.
bool NeedsNoHost(const Fleet& fleet, const v1::Desktop& desktop) {
  const v1::Resource* pool = fleet.pools.Find(desktop.pool());
  return IsKept(desktop) && IsFencedOff(desktop) && pool != nullptr &&
         !pool->pool().storage().empty();
}

absl::Status DeleteHost(const Fleet& fleet, absl::string_view name, bool host_is_down) {
  for (const auto& entry : fleet.desktops) {
    if (entry.record->moving_to() == name) {
      return absl::FailedPreconditionError(absl::StrCat("desktop \"", entry.key,
                                                        "\" is being moved to host \"", name,
                                                        "\"; wait until that is over"));
    }
    if (entry.record->host() != name) continue;
    if (NeedsNoHost(fleet, *entry.record)) continue;
    if (IsKept(*entry.record)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "host \"", name, "\" has desktop \"", entry.key, "\", which ", entry.record->owner(),
          " keeps; it goes elsewhere when it is off in shared storage, and only `desktop delete` "
          "gives it up"));
    }
    const bool left_behind = entry.record->state() == v1::DESKTOP_STATE_LOST ||
                             entry.record->state() == v1::DESKTOP_STATE_STOPPING;
    if (host_is_down && left_behind) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("host \"", name, "\" still has desktop \"", entry.key,
                     "\"; drain the host and wait until it is empty"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateResource(const v1::Resource& resource) {
  RETURN_IF_ERROR(Name("name", resource.name()));
  switch (resource.kind_case()) {
    case v1::Resource::kSite:
      return ValidateSite(resource.site());
    case v1::Resource::kHost:
      return ValidateHost(resource.host());
    case v1::Resource::kImage:
      return ValidateImage(resource.image());
    case v1::Resource::kPool:
      if (resource.name().size() > kMaxPoolName) {
        return Bad("name",
                   absl::StrCat("is ", resource.name().size(), " bytes long; a pool's has at most ",
                                kMaxPoolName, ", so that its desktops' names fit"));
      }
      return ValidatePool(resource.pool());
    case v1::Resource::kEntitlement:
      return ValidateEntitlement(resource.entitlement());
    case v1::Resource::KIND_NOT_SET:
      break;
  }
  return Bad("kind", "give one of site, host, image, pool, entitlement");
}

absl::Status ValidateReferences(const Fleet& fleet, const v1::Resource& resource) {
  switch (resource.kind_case()) {
    case v1::Resource::kHost:
      RETURN_IF_ERROR(MustExist("host.site", fleet.sites, resource.host().site(), "site"));
      return HostMayMove(fleet, resource);
    case v1::Resource::kPool:
      RETURN_IF_ERROR(PoolMayChange(fleet, resource));
      RETURN_IF_ERROR(MustExist("pool.image", fleet.images, resource.pool().image(), "image"));
      return SitesMayBe(fleet, resource);
    case v1::Resource::kEntitlement:
      RETURN_IF_ERROR(
          MustExist("entitlement.pool", fleet.pools, resource.entitlement().pool(), "pool"));
      return HomeMayBe(fleet, resource.entitlement());
    default:
      return absl::OkStatus();
  }
}

absl::Status ValidateDelete(const Fleet& fleet, v1::ResourceKind kind, absl::string_view name,
                            bool host_is_down) {
  switch (kind) {
    case v1::RESOURCE_KIND_SITE:
      for (const auto& entry : fleet.hosts) {
        if (entry.record->host().site() == name) return InUse("site", name, "host", entry.key);
      }
      for (const auto& entry : fleet.pools) {
        const auto& sites = entry.record->pool().sites();
        if (std::find(sites.begin(), sites.end(), name) != sites.end() ||
            entry.record->pool().home_site() == name) {
          return InUse("site", name, "pool", entry.key);
        }
      }
      for (const auto& entry : fleet.entitlements) {
        if (entry.record->entitlement().home_site() == name) {
          return InUse("site", name, "entitlement", entry.key);
        }
      }
      return absl::OkStatus();
    case v1::RESOURCE_KIND_IMAGE:
      for (const auto& entry : fleet.pools) {
        if (entry.record->pool().image() == name) return InUse("image", name, "pool", entry.key);
      }
      // Their disks stand on it for as long as their owners keep them.
      for (const auto& entry : fleet.desktops) {
        if (IsKept(*entry.record) && entry.record->image() == name) {
          return InUse("image", name, "desktop", entry.key);
        }
      }
      return absl::OkStatus();
    case v1::RESOURCE_KIND_POOL:
      return DeletePool(fleet, name);
    case v1::RESOURCE_KIND_HOST:
      return DeleteHost(fleet, name, host_is_down);
    default:
      return absl::OkStatus();
  }
}

}  // namespace werkplek
