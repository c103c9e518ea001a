#include "agent/hypervisor/domain_xml.h"

#include <pugixml.hpp>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/hypervisor/host_network.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"

namespace werkplek {
namespace {

constexpr char kNamePrefix[] = "werkplek-";
constexpr char kGuestAgentChannel[] = "org.qemu.guest_agent.0";
constexpr uint64_t kMaxMemoryMib = 16ull << 20;
constexpr uint32_t kMaxVcpus = 512;
constexpr size_t kMaxTextBytes = 4096;

absl::Status Bad(absl::string_view field, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", why));
}

absl::Status CheckText(absl::string_view field, absl::string_view text) {
  if (text.size() > kMaxTextBytes) {
    return Bad(field, absl::StrCat("longer than ", kMaxTextBytes, " bytes"));
  }
  while (!text.empty()) {
    const size_t length = PrintableUnit(text);
    if (length == 0) return Bad(field, "has bytes that are not printable UTF-8");
    text.remove_prefix(length);
  }
  return absl::OkStatus();
}

absl::Status CheckPath(absl::string_view field, const std::string& path) {
  RETURN_IF_ERROR(CheckText(field, path));
  if (!absl::StartsWith(path, "/")) return Bad(field, "must be an absolute path");
  for (const absl::string_view part : absl::StrSplit(path, '/')) {
    if (part == "..") return Bad(field, "must not have '..' in it");
  }
  return absl::OkStatus();
}

bool IsDesktopId(absl::string_view id) {
  if (id.empty() || id.size() > 63) return false;
  for (const char c : id) {
    if (!absl::ascii_islower(c) && !absl::ascii_isdigit(c) && c != '.' && c != '-') return false;
  }
  return absl::ascii_isalnum(id.front()) && absl::ascii_isalnum(id.back());
}

bool IsUuid(absl::string_view uuid) {
  if (uuid.size() != 36) return false;
  for (size_t i = 0; i < uuid.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? uuid[i] != '-' : !absl::ascii_isxdigit(uuid[i])) return false;
  }
  return true;
}

void WriteTag(pugi::xml_node element, const DomainTag& tag) {
  const auto set = [&](const char* name, const std::string& value) {
    element.append_attribute(name).set_value(value.c_str());
  };
  set("id", tag.desktop);
  set("pool", tag.pool);
  set("image", tag.image);
  set("generation", absl::StrCat(tag.generation));
  set("overlay-identity", tag.overlay_identity);
  set("overlay-created", absl::StrCat(tag.overlay_created_unix_ns));
  set("backing-sha256", tag.backing_sha256);
  set("session", tag.session);
  set("used", tag.used ? "yes" : "no");
  // Most desktops are neither kept nor fenced, and older ones do not have these.
  if (tag.kept) set("kept", "yes");
  if (tag.fencing_required) set("fencing-required", "yes");
  if (tag.fenced) set("fenced", "yes");
  if (!tag.storage.empty()) set("storage", tag.storage);
  if (!tag.network.empty()) set("network", tag.network);
}

pugi::xml_node Add(pugi::xml_node parent, const char* name,
                   std::initializer_list<std::pair<const char*, std::string>> attributes = {},
                   const std::string& text = "") {
  pugi::xml_node node = parent.append_child(name);
  for (const auto& [key, value] : attributes) {
    node.append_attribute(key).set_value(value.c_str());
  }
  if (!text.empty()) node.text().set(text.c_str());
  return node;
}

std::string Print(const pugi::xml_document& document) {
  std::ostringstream out;
  document.save(out, "  ", pugi::format_indent | pugi::format_no_declaration);
  return out.str();
}

void AddSystem(pugi::xml_node domain, const DomainSpec& spec) {
  // The guest may read its own name there: dmidecode -s system-serial-number.
  pugi::xml_node system = Add(Add(domain, "sysinfo", {{"type", "smbios"}}), "system");
  Add(system, "entry", {{"name", "manufacturer"}}, "Werkplek");
  Add(system, "entry", {{"name", "serial"}}, spec.tag.desktop);
  pugi::xml_node os = Add(domain, "os");
  Add(os, "type", {{"arch", "x86_64"}, {"machine", "pc"}}, "hvm");
  if (!spec.kernel.empty()) {
    Add(os, "kernel", {}, spec.kernel);
    if (!spec.initrd.empty()) Add(os, "initrd", {}, spec.initrd);
    if (!spec.kernel_arguments.empty()) Add(os, "cmdline", {}, spec.kernel_arguments);
  } else {
    Add(os, "boot", {{"dev", "hd"}});
  }
  Add(os, "smbios", {{"mode", "sysinfo"}});
  pugi::xml_node features = Add(domain, "features");
  Add(features, "acpi");
  Add(features, "apic");
}

// Displays listen nowhere: the agent hands descriptors to QEMU. What a guest could take from the
// viewer's machine is off.
void AddDisplays(pugi::xml_node devices) {
  pugi::xml_node spice = Add(devices, "graphics", {{"type", "spice"}});
  Add(spice, "listen", {{"type", "none"}});
  Add(spice, "clipboard", {{"copypaste", "no"}});
  Add(spice, "filetransfer", {{"enable", "no"}});
  pugi::xml_node vnc = Add(devices, "graphics", {{"type", "vnc"}, {"sharePolicy", "ignore"}});
  Add(vnc, "listen", {{"type", "none"}});
  Add(Add(devices, "video"), "model", {{"type", "vga"}, {"vram", "16384"}});
  Add(devices, "input", {{"type", "tablet"}, {"bus", "virtio"}});
}

void AddCard(pugi::xml_node devices, const DomainSpec& spec, const DomainPlatform& platform) {
  const HostNetwork& network = *spec.network;
  const bool named = platform.names_networks || network.bridge.empty();
  pugi::xml_node card = Add(devices, "interface", {{"type", named ? "network" : "bridge"}});
  Add(card, "mac", {{"address", CardAddressOf(spec.tag.desktop)}});
  if (named) {
    // Whether its ports are isolated is said there: on each host by its own rule.
    Add(card, "source", {{"network", LibvirtNetworkOf(network)}});
  } else {
    Add(card, "source", {{"bridge", network.bridge}});
    if (network.isolated) Add(card, "port", {{"isolated", "yes"}});
  }
  Add(card, "model", {{"type", "virtio"}});
  // Nothing boots from the network, and the firmware is quicker without asking.
  Add(card, "rom", {{"enabled", "no"}});
}

void AddDevices(pugi::xml_node domain, const DomainSpec& spec, const DomainPlatform& platform) {
  pugi::xml_node devices = Add(domain, "devices");
  pugi::xml_node disk = Add(devices, "disk", {{"type", "file"}, {"device", "disk"}});
  pugi::xml_node driver =
      Add(disk, "driver", {{"name", "qemu"}, {"type", "qcow2"}, {"discard", "unmap"}});
  // What one host has in its cache another does not see: libvirt moves no such machine.
  if (spec.shared_disk) driver.append_attribute("cache").set_value("none");
  Add(disk, "source", {{"file", spec.disk}});
  Add(disk, "target", {{"dev", "vda"}, {"bus", "virtio"}});
  if (spec.network.has_value()) AddCard(devices, spec, platform);
  AddDisplays(devices);
  if (spec.guest_agent) {
    pugi::xml_node agent = Add(devices, "channel", {{"type", "unix"}});
    if (!platform.channel_folder.empty()) {
      Add(agent, "source",
          {{"mode", "bind"}, {"path", absl::StrCat(platform.channel_folder, "/", spec.uuid)}});
    }
    Add(agent, "target", {{"type", "virtio"}, {"name", kGuestAgentChannel}});
  }
  // The SPICE agent's channel: screen size and pointer follow the viewer.
  pugi::xml_node viewer = Add(devices, "channel", {{"type", "spicevmc"}});
  Add(viewer, "target", {{"type", "virtio"}, {"name", "com.redhat.spice.0"}});
  pugi::xml_node rng = Add(devices, "rng", {{"model", "virtio"}});
  Add(rng, "backend", {{"model", "random"}}, "/dev/urandom");
  Add(devices, "memballoon", {{"model", "virtio"}, {"freePageReporting", "on"}});
}

}  // namespace

std::string DomainNameOf(absl::string_view desktop) { return absl::StrCat(kNamePrefix, desktop); }

std::optional<std::string> DesktopOf(absl::string_view domain_name) {
  if (!absl::ConsumePrefix(&domain_name, kNamePrefix) || !IsDesktopId(domain_name)) {
    return std::nullopt;
  }
  return std::string(domain_name);
}

absl::Status CheckDomainTag(const DomainTag& tag) {
  if (!IsDesktopId(tag.desktop)) return Bad("desktop", "must be 1 to 63 of [a-z0-9.-]");
  RETURN_IF_ERROR(CheckText("pool", tag.pool));
  RETURN_IF_ERROR(CheckText("image", tag.image));
  RETURN_IF_ERROR(CheckText("overlay_identity", tag.overlay_identity));
  RETURN_IF_ERROR(CheckText("backing_sha256", tag.backing_sha256));
  RETURN_IF_ERROR(CheckText("storage", tag.storage));
  RETURN_IF_ERROR(CheckText("network", tag.network));
  return CheckText("session", tag.session);
}

absl::Status CheckDomainSpec(const DomainSpec& spec) {
  RETURN_IF_ERROR(CheckDomainTag(spec.tag));
  if (!IsUuid(spec.uuid)) return Bad("uuid", "must be a UUID of 36 characters");
  if (spec.memory_mib < 16 || spec.memory_mib > kMaxMemoryMib) {
    return Bad("memory_mib", absl::StrCat("must be 16 to ", kMaxMemoryMib));
  }
  if (spec.vcpus < 1 || spec.vcpus > kMaxVcpus) {
    return Bad("vcpus", absl::StrCat("must be 1 to ", kMaxVcpus));
  }
  if (spec.tag.network != (spec.network.has_value() ? spec.network->name : "")) {
    return Bad("network", absl::StrCat("this host does not know \"", spec.tag.network, "\""));
  }
  if (spec.network.has_value()) RETURN_IF_ERROR(CheckHostNetwork(*spec.network));
  RETURN_IF_ERROR(CheckPath("disk", spec.disk));
  if (!spec.kernel.empty()) RETURN_IF_ERROR(CheckPath("kernel", spec.kernel));
  if (!spec.initrd.empty()) RETURN_IF_ERROR(CheckPath("initrd", spec.initrd));
  if (spec.kernel.empty() && (!spec.initrd.empty() || !spec.kernel_arguments.empty())) {
    return Bad("kernel", "is missing, though an initrd or kernel arguments are given");
  }
  return CheckText("kernel_arguments", spec.kernel_arguments);
}

std::string BuildDomainXml(const DomainSpec& spec, const DomainPlatform& platform) {
  pugi::xml_document document;
  pugi::xml_node domain = Add(document, "domain", {{"type", platform.type}});
  Add(domain, "name", {}, DomainNameOf(spec.tag.desktop));
  Add(domain, "uuid", {}, spec.uuid);
  const std::string element = absl::StrCat(kTagPrefix, ":desktop");
  pugi::xml_node tag =
      Add(Add(domain, "metadata"), element.c_str(), {{"xmlns:werkplek", kTagNamespace}});
  WriteTag(tag, spec.tag);
  Add(domain, "memory", {{"unit", "MiB"}}, absl::StrCat(spec.memory_mib));
  Add(domain, "vcpu", {}, absl::StrCat(spec.vcpus));
  AddSystem(domain, spec);
  if (platform.type == "kvm")
    Add(domain, "cpu", {{"mode", "host-passthrough"}, {"migratable", "on"}});
  Add(domain, "clock", {{"offset", "utc"}});
  Add(domain, "on_poweroff", {}, "destroy");
  Add(domain, "on_reboot", {}, "restart");
  Add(domain, "on_crash", {}, "destroy");
  AddDevices(domain, spec, platform);
  return Print(document);
}

std::string BuildTagXml(const DomainTag& tag) {
  pugi::xml_document document;
  WriteTag(document.append_child("desktop"), tag);
  return Print(document);
}

absl::StatusOr<DomainTag> ParseTagXml(absl::string_view xml) {
  pugi::xml_document document;
  if (!document.load_buffer(xml.data(), xml.size())) {
    return absl::DataLossError("the desktop's metadata is no XML");
  }
  const pugi::xml_node element = document.child("desktop");
  const auto get = [&](const char* name) { return std::string(element.attribute(name).value()); };
  DomainTag tag;
  tag.desktop = get("id");
  tag.pool = get("pool");
  tag.image = get("image");
  tag.overlay_identity = get("overlay-identity");
  tag.backing_sha256 = get("backing-sha256");
  tag.session = get("session");
  // Whoever cannot be shown to be clean was used.
  tag.used = get("used") != "no";
  tag.kept = get("kept") == "yes";
  tag.fencing_required = get("fencing-required") == "yes";
  tag.fenced = get("fenced") == "yes";
  tag.storage = get("storage");
  tag.network = get("network");
  if (!element || !IsDesktopId(tag.desktop) ||
      !absl::SimpleAtoi(get("generation"), &tag.generation) ||
      !absl::SimpleAtoi(get("overlay-created"), &tag.overlay_created_unix_ns)) {
    return absl::DataLossError("the desktop's metadata is damaged");
  }
  return tag;
}

absl::StatusOr<DomainXmlFacts> ParseDomainXml(absl::string_view xml) {
  pugi::xml_document document;
  if (!document.load_buffer(xml.data(), xml.size())) {
    return absl::DataLossError("the domain's description is no XML");
  }
  const pugi::xml_node domain = document.child("domain");
  DomainXmlFacts facts;
  facts.uuid = domain.child_value("uuid");
  facts.memory_mib = domain.child("memory").text().as_ullong() / 1024;  // libvirt answers in KiB.
  facts.vcpus = domain.child("vcpu").text().as_uint();
  const pugi::xml_node devices = domain.child("devices");
  facts.disk = devices.child("disk").child("source").attribute("file").value();
  facts.shared_disk =
      absl::string_view(devices.child("disk").child("driver").attribute("cache").value()) == "none";
  facts.card_address = devices.child("interface").child("mac").attribute("address").value();
  for (const pugi::xml_node channel : devices.children("channel")) {
    const pugi::xml_node target = channel.child("target");
    if (absl::string_view(target.attribute("name").value()) != kGuestAgentChannel) continue;
    facts.guest_agent = true;
    facts.guest_agent_connected =
        absl::string_view(target.attribute("state").value()) == "connected";
  }
  int index = 0;
  for (const pugi::xml_node graphics : devices.children("graphics")) {
    const absl::string_view type = graphics.attribute("type").value();
    if (type == "spice") facts.spice_index = index;
    if (type == "vnc") facts.vnc_index = index;
    ++index;
  }
  if (facts.uuid.empty()) return absl::DataLossError("the domain's description has no uuid");
  return facts;
}

}  // namespace werkplek
