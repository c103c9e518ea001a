// What `werkplek-broker` does besides serving: each command runs to its end and returns.
#pragma once

#include <sys/types.h>

#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "broker/program/broker_config.h"

namespace werkplek {

// Makes what the configuration names and is not there yet: data folder, authority, the broker's
// certificate, sealing key, store. What is there is kept. Tells each on `out`, and the authority's
// SHA-256. FAILED_PRECONDITION: half of a pair is there.
absl::Status InitBroker(const BrokerConfig& config, std::ostream& out);

// What to warn of before a command: empty unless `euid` is root's and data_dir belongs to another
// account, the service's. Root's files are closed to it, and root finds everything readable.
std::string WrongAccountWarning(const BrokerConfig& config, uid_t euid);

struct IssueTerms {
  // "client", "host", "gateway", "admin", "broker".
  std::string identity;
  std::string name;
  // Gets certificate.pem, key.pem (0600) and ca.pem; made when it is not there.
  std::string folder;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  // Zero: as the configuration says.
  absl::Duration lifetime = absl::ZeroDuration();
};

// Makes a key and signs for it, without a running broker.
absl::Status IssueCertificate(const BrokerConfig& config, const IssueTerms& terms,
                              std::ostream& out);

// Gives the first administrator a token, in the store of a broker that does not run. Only the
// otpauth URI, a secret, is written to `out`. FAILED_PRECONDITION: somebody else is enrolled
// already, or the user's token was used already: enrolments are then made with `werkplekctl`.
absl::Status EnrolFirstAdmin(const BrokerConfig& config, const std::string& user,
                             std::ostream& out);

}  // namespace werkplek
