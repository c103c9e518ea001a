#include "tests/unit/broker/program/broker_files.h"

#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "broker/program/commands.h"

namespace werkplek {

BrokerFiles::BrokerFiles(bool init) {
  folder_.Write("bind.password", "hush\n");
  // Any PEM will do as the directory's authority until somebody connects.
  folder_.Write("ldap-ca.pem", "not read here\n");
  folder_.Write("broker.yaml", GoodConfig());
  if (!init) return;
  const auto config = LoadBrokerConfig(config_path(), ConfigCheck::kForm);
  std::ostringstream out;
  const absl::Status status = config.ok() ? InitBroker(*config, out) : config.status();
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::abort();
}

std::string BrokerFiles::GoodConfig() const {
  return "organisation: Gemeente Voorbeeld\n"
         "name: b1\n"
         "data_dir: data\n"
         "log: info\n"
         "listen:\n"
         "  clients: 127.0.0.1:7443\n"
         "  agents: 127.0.0.1:7444\n"
         "  join: 127.0.0.1:7445\n"
         "  metrics: 127.0.0.1:9464\n"
         "tls:\n"
         "  certificate: broker.pem\n"
         "  key: broker.key\n"
         "  ip_addresses: [127.0.0.1]\n"
         "authority:\n"
         "  certificate: ca.pem\n"
         "  key: ca.key\n"
         "  certificate_lifetime: 30d\n"
         "sealing_key_file: sealing.key\n"
         "directory:\n"
         "  servers: [\"ldaps://127.0.0.1:636\"]\n"
         "  ca_file: ldap-ca.pem\n"
         "  bind_dn: cn=werkplek,dc=example\n"
         "  bind_password_file: bind.password\n"
         "  user_base: ou=people,dc=example\n"
         "  group_base: ou=groups,dc=example\n"
         "  answer_timeout: 4s\n"
         "roles:\n"
         "  administrator: [beheer]\n"
         "  helpdesk: [helpdesk]\n"
         "  auditor: [\"cn=controle,ou=groups,dc=example\"]\n"
         "tokens:\n"
         "  required: always\n"
         "  failures_pause: 5\n"
         "  failures_stop: 20\n"
         "times:\n"
         "  heartbeat: 1s\n"
         "  suspect_after: 3s\n"
         "  down_after: 10s\n"
         "limits:\n"
         "  host_starts: 4\n"
         "  site_starts: 32\n";
}

BrokerConfig BrokerFiles::Config() const {
  auto config = LoadBrokerConfig(config_path(), ConfigCheck::kWhole);
  if (!config.ok()) {
    std::fprintf(stderr, "%s\n", config.status().ToString().c_str());
    std::abort();
  }
  return *std::move(config);
}

std::string BrokerBinary() {
  const char* folder = std::getenv("WERKPLEK_BIN_DIR");
  return std::string(folder == nullptr ? "." : folder) + "/werkplek-broker";
}

}  // namespace werkplek
