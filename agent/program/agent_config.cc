#include "agent/program/agent_config.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/hypervisor/host_network.h"
#include "agent/hypervisor/migration_uri.h"
#include "common/base/status_macros.h"
#include "common/config/address_checks.h"
#include "common/config/config_file.h"

namespace werkplek {
namespace {

absl::Status CheckHypervisor(const std::string& text) {
  if (text == "qemu:///system" || absl::StartsWith(text, "qemu:///embed?root=/") ||
      absl::StartsWith(text, "test:///")) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "must be qemu:///system, or qemu:///embed?root=/A/FOLDER for a host without libvirtd");
}

absl::Status CheckAbsoluteFolder(const std::string& text) {
  if (absl::StartsWith(text, "/") && !absl::StrContains(text, "..")) return absl::OkStatus();
  return absl::InvalidArgumentError("must be an absolute path without '..'");
}

absl::Status CheckUri(const std::string& text) { return CheckMigrationUri(text); }

// It goes into backing chains, which other hosts read: one spelling.
absl::Status CheckStoragePath(const std::string& text) {
  RETURN_IF_ERROR(CheckAbsoluteFolder(text));
  if (text.size() > 1 && !absl::EndsWith(text, "/") && !absl::StrContains(text, "//")) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError("must be a folder below /, without a slash at its end or '//'");
}

void ReadRelay(ConfigSection section, AgentConfig& config) {
  const ListRule listens = {.required = true,
                            .min_items = 1,
                            .max_items = 8,
                            .item = {.max_bytes = 64, .check = CheckNumericAddress}};
  section.TextList("listen", &config.relay_listen, listens);
  section.AddressList("advertise", &config.relay_advertise, {.max_items = 8});
  section.TextList("origins", &config.relay_origins, {.max_items = 32});
  if (!config.relay_advertise.empty()) {
    config.core.relays = config.relay_advertise;
    return;
  }
  for (const std::string& address : config.relay_listen) {
    if (absl::StartsWith(address, "0.0.0.0:") || absl::StartsWith(address, "[::]:")) {
      section.Complain("advertise", absl::StrCat(address,
                                                 " is no address that a client can use; say with "
                                                 "`advertise` which one clients are told"));
    }
  }
  config.core.relays = config.relay_listen;
}

void ReadTls(ConfigSection section, AgentConfigCheck check, AgentConfig& config) {
  section.Path("certificate", &config.tls.certificate, /*required=*/true);
  section.Path("key", &config.tls.key, /*required=*/true);
  section.Path("ca", &config.tls.ca, /*required=*/true);
  if (check == AgentConfigCheck::kForm || config.tls.certificate.empty() ||
      config.tls.key.empty() || config.tls.ca.empty()) {
    return;
  }
  const absl::StatusOr<TlsMaterial> material = LoadTlsFiles(config.tls, absl::Now());
  if (!material.ok()) {
    section.Complain("certificate", material.status().message());
  } else if (material->own.name != PeerName{v1::IDENTITY_HOST, config.host}) {
    section.Complain("certificate",
                     absl::StrCat(config.tls.certificate, " is of ", PeerLabel(material->own.name),
                                  ", not of host/", config.host, "; set `host`, or join again"));
  }
}

void ReadStorages(ConfigSection& root, AgentConfig& config) {
  for (ConfigSection section : root.Sections("storages", {.max_items = 32})) {
    StorageConfig storage;
    const bool named = section.Text("name", &storage.name, {.required = true, .check = CheckName});
    const bool placed =
        section.Text("path", &storage.path, {.required = true, .check = CheckStoragePath});
    section.Boolean("plain_folder", &storage.plain_folder);
    if (!named || !placed) continue;
    for (const StorageConfig& other : config.storages) {
      if (other.name == storage.name) {
        section.Complain("name", absl::StrCat(storage.name, " stands here twice; name each once"));
      }
      if (other.path == storage.path) {
        section.Complain("path", absl::StrCat(storage.path, " is storage ", other.name,
                                              "'s; give each a folder of its own"));
      }
    }
    config.storages.push_back(storage);
  }
  for (const StorageConfig& storage : config.storages) {
    config.core.storages.push_back(storage.name);
  }
  std::sort(config.core.storages.begin(), config.core.storages.end());
}

// What it is made of: `bridge` or `libvirt_network`.
bool ReadNetworkKind(ConfigSection& section, const AgentConfig& config, HostNetwork& network) {
  const bool bridge = section.Has("bridge");
  if (bridge == section.Has("libvirt_network")) {
    section.Complain("bridge", "give either the host's bridge, or `libvirt_network`");
    return false;
  }
  if (bridge) {
    section.Boolean("isolated", &network.isolated);
    return section.Text("bridge", &network.bridge, {.required = true, .check = CheckBridgeName});
  }
  if (section.Has("isolated")) {
    section.Complain("isolated",
                     "of a network of libvirt's, its own definition says it "
                     "(<port isolated='yes'/>)");
  }
  if (config.hypervisor != "qemu:///system") {
    section.Complain("libvirt_network", absl::StrCat("needs `hypervisor: qemu:///system`, not ",
                                                     config.hypervisor, "; name a bridge"));
  }
  return section.Text("libvirt_network", &network.libvirt_network,
                      {.required = true, .check = CheckLibvirtNetworkName});
}

void ReadNetworks(ConfigSection& root, AgentConfig& config) {
  std::vector<HostNetwork>& networks = config.core.networks;
  for (ConfigSection section : root.Sections("networks", {.max_items = 32})) {
    HostNetwork network;
    const bool named = section.Text("name", &network.name, {.required = true, .check = CheckName});
    if (!ReadNetworkKind(section, config, network) || !named) continue;
    for (const HostNetwork& other : networks) {
      if (other.name == network.name) {
        section.Complain("name", absl::StrCat(network.name, " stands here twice; name each once"));
      }
    }
    // A move goes by libvirt's name, which must mean the same on the other host.
    if (!config.core.migration_uri.empty() && network.bridge.empty() &&
        network.libvirt_network != MovingNameOf(network.name)) {
      section.Complain("libvirt_network",
                       absl::StrCat("desktops move here (migration.uri): call it ",
                                    MovingNameOf(network.name), " in libvirt, on every host"));
    }
    networks.push_back(std::move(network));
  }
  std::sort(networks.begin(), networks.end(),
            [](const HostNetwork& a, const HostNetwork& b) { return a.name < b.name; });
}

void ReadMigration(ConfigSection section, AgentConfig& config) {
  section.Text("uri", &config.core.migration_uri, {.max_bytes = 256, .check = CheckUri});
  section.Boolean("tls", &config.migration_tls);
  if (absl::StartsWith(config.core.migration_uri, "qemu+tcp:") && config.migration_tls) {
    section.Complain(
        "uri", "qemu+tcp asks nobody who he is; use qemu+tls, or `tls: false` in a laboratory");
  }
  if (!config.core.migration_uri.empty() && config.hypervisor != "qemu:///system") {
    section.Complain("uri", absl::StrCat("desktops move between hosts with `hypervisor: "
                                         "qemu:///system` only, not ",
                                         config.hypervisor));
  }
}

void ReadLimits(ConfigSection section, AgentSettings& core) {
  section.Number("operations", &core.max_operations, {.min = 1, .max = 64});
  section.Number("light_operations", &core.max_light_operations, {.min = 1, .max = 256});
  section.Number("desktops", &core.max_desktops, {.min = 1, .max = 10'000});
  section.Number("max_moves", &core.max_moves, {.min = 1, .max = 16});
}

void ReadTimes(ConfigSection section, AgentSettings& core) {
  const DurationRule poll = {.min = absl::Milliseconds(100), .max = absl::Minutes(1)};
  section.Duration("list_interval", &core.list_interval, poll);
  section.Duration("guest_poll", &core.guest_poll, poll);
  const DurationRule shutdown = {.min = absl::Seconds(1), .max = absl::Minutes(10)};
  section.Duration("guest_shutdown", &core.guest_shutdown, shutdown);
  section.Duration("acpi_shutdown", &core.acpi_shutdown, shutdown);
}

}  // namespace

absl::StatusOr<AgentConfig> LoadAgentConfig(const std::string& path, AgentConfigCheck check) {
  const std::unique_ptr<ConfigFile> file = ConfigFile::Load(path);
  ConfigSection root = file->Root();
  AgentConfig config;
  config.core.agent_version = WERKPLEK_VERSION;
  root.Text("host", &config.host, {.required = true, .check = CheckName});
  root.AddressList("brokers", &config.brokers, {.required = true, .min_items = 1, .max_items = 16});
  root.Path("data_dir", &config.data_dir, /*required=*/true);
  config.heard_file = config.data_dir + "/heard";
  root.Path("heard_file", &config.heard_file);
  root.Text("hypervisor", &config.hypervisor, {.required = true, .check = CheckHypervisor});
  root.Choice("log", &config.log_severity,
              {{"debug", Severity::kDebug},
               {"info", Severity::kInfo},
               {"warning", Severity::kWarning},
               {"error", Severity::kError}});
  root.Text("metrics", &config.metrics_address, {.max_bytes = 64, .check = CheckLoopback});
  root.TextList("image_folders", &config.core.image_folders,
                {.max_items = 32, .item = {.check = CheckAbsoluteFolder}});
  root.Choice("suspend", &config.core.suspend_to_disk, {{"memory", false}, {"disk", true}});
  ReadRelay(root.Section("relay", /*required=*/true), config);
  ReadTls(root.Section("tls", /*required=*/true), check, config);
  ReadStorages(root, config);
  ReadMigration(root.Section("migration"), config);
  ReadNetworks(root, config);
  ReadLimits(root.Section("limits"), config.core);
  ReadTimes(root.Section("times"), config.core);
  RETURN_IF_ERROR(file->Finish());
  return config;
}

}  // namespace werkplek
