// Domains as XML (https://libvirt.org/formatdomain.html): built from values, read back as values.
// Pure.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/hypervisor/hypervisor.h"

namespace werkplek {

// Our element in a domain's metadata.
inline constexpr char kTagNamespace[] = "urn:werkplek:desktop:1";
inline constexpr char kTagPrefix[] = "werkplek";

// The name of a desktop's domain, and the way back; nullopt: the name is not of that form (whether
// the domain is ours is told by its metadata alone).
std::string DomainNameOf(absl::string_view desktop);
std::optional<std::string> DesktopOf(absl::string_view domain_name);

// INVALID_ARGUMENT naming the field: a desktop id that is not 1 to 63 of [a-z0-9.-], a uuid that is
// none, a path that is not absolute or climbs, a text that XML cannot carry, memory or vcpus out of
// bounds, a network that is not the tag's.
absl::Status CheckDomainSpec(const DomainSpec& spec);
absl::Status CheckDomainTag(const DomainTag& tag);

// What all domains of a host have in common.
struct DomainPlatform {
  // "kvm", "qemu" or "test".
  std::string type;
  // Where the guest agents' sockets are made, one file per UUID; empty: libvirt chooses.
  std::string channel_folder;
  // Cards name libvirt's networks, never a bridge of this host: after a move the other host's
  // libvirt takes its own bridge.
  bool names_networks = false;
};

// The whole domain. The spec was checked.
std::string BuildDomainXml(const DomainSpec& spec, const DomainPlatform& platform);

// The element alone, as virDomainSetMetadata takes it (libvirt adds the namespace).
std::string BuildTagXml(const DomainTag& tag);

// The element as virDomainGetMetadata gives it. DATA_LOSS: not one of ours, or damaged.
absl::StatusOr<DomainTag> ParseTagXml(absl::string_view xml);

// What the rest of a domain's XML says.
struct DomainXmlFacts {
  std::string uuid;
  uint64_t memory_mib = 0;
  uint32_t vcpus = 0;
  std::string disk;
  // As DomainSpec's.
  bool shared_disk = false;
  bool guest_agent = false;
  bool guest_agent_connected = false;
  // Index of the display of each kind among the graphics elements; -1: none.
  int spice_index = -1;
  int vnc_index = -1;
  // The card's; empty: it has none.
  std::string card_address;
};
absl::StatusOr<DomainXmlFacts> ParseDomainXml(absl::string_view xml);

}  // namespace werkplek
