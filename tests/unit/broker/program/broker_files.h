// A broker's folder for tests: a good configuration, and the files that `init` makes.
#pragma once

#include <string>

#include "broker/program/broker_config.h"
#include "tests/support/process/child_process.h"

namespace werkplek {

class BrokerFiles {
 public:
  // Writes the secrets that an operator provides, and the configuration; runs InitBroker when
  // `init`.
  explicit BrokerFiles(bool init = true);

  // A configuration without a mistake.
  std::string GoodConfig() const;
  // broker.yaml, with GoodConfig.
  std::string config_path() const { return folder_.File("broker.yaml"); }
  const TemporaryFolder& folder() const { return folder_; }
  BrokerConfig Config() const;

 private:
  TemporaryFolder folder_;
};

// build/PRESET/bin/werkplek-broker.
std::string BrokerBinary();

}  // namespace werkplek
