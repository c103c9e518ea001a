// Where etcd is and how to talk to it.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace werkplek {

struct EtcdSettings {
  // "HOST:PORT" of each member. Its certificate must name the host.
  std::vector<std::string> endpoints;
  // PEM files: our client certificate and key, and the authority of etcd's members.
  std::string certificate;
  std::string key;
  std::string ca;
  // All our keys begin with it; "/" first and last.
  std::string prefix = "/werkplek/";
  // How long one member gets to answer before the next one is asked.
  absl::Duration attempt_timeout = absl::Milliseconds(1000);
};

}  // namespace werkplek
