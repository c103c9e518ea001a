// The bare load on a directory: libldap alone, each person looked up by a service account and
// judged by a bind, on kept connections. What no broker can beat.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/bench_base.h"

namespace werkplek {

struct LdapLoadSettings {
  // "ldaps://127.0.0.1:PORT".
  std::string url;
  std::string ca_file;
  std::string bind_dn;
  std::string bind_password;
  std::string user_base;
  // What is read of a person: as the broker does.
  std::vector<std::string> attributes;
  // Pairs under way at once; each has a connection of its own for its binds.
  int in_flight = 64;
  // Connections that the searches share.
  int search_connections = 2;
  // Each has its share of all of the above.
  int threads = 1;
  // Pairs before the measurement, and measured ones.
  int warm_up = 0;
  int count = 0;
  // Processes whose time is told; 0 is this one.
  std::vector<int> pids = {0};
};

absl::StatusOr<LoadResult> RunLdapLoad(const LdapLoadSettings& settings,
                                       const std::vector<BenchPerson>& people);

}  // namespace werkplek
