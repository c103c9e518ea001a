// Where the broker keeps the fleet: its part of the configuration.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "broker/etcd/etcd_settings.h"
#include "broker/node/ports.h"
#include "broker/store/etcd_session.h"
#include "common/config/config_file.h"

namespace werkplek {

struct StoreConfig {
  // Otherwise the file below, and this broker alone.
  bool in_etcd = false;
  // The newest that a running broker keeps.
  uint64_t audit_records = 1'000'000;
  // data_dir/fleet.sqlite.
  std::string sqlite_file;

  EtcdSettings etcd;
  EtcdStoreSettings etcd_store;
  absl::Duration lease_ttl = absl::Seconds(5);
  // What others are told of this broker while it leads.
  LeaderInfo own;
};

// Reads the section `store` of the file. `files`: whether the files that it names must be there and
// good.
void ReadStore(ConfigSection section, bool files, StoreConfig& config);

// Reads `listen.advertise_clients` and `advertise_agents`; without them what this broker listens on
// is told, unless that is every address.
void ReadAdvertised(ConfigSection listen, const std::string& clients, const std::string& agents,
                    StoreConfig& config);

}  // namespace werkplek
