// The broker, built from its parts and taken down again.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/program/broker_config.h"

namespace werkplek {

class BrokerProgram {
 public:
  // Builds the parts in order and serves. Errors say which part and what to do; whatever was built
  // before is then gone again. The process must be hardened (hardening.h) before.
  static absl::StatusOr<std::unique_ptr<BrokerProgram>> Start(BrokerConfig config);
  // Takes no more calls, answers those that wait, and takes the parts down in reverse.
  ~BrokerProgram();

  // Until this broker leads and has loaded, or knows another that leads; at most `limit`. False:
  // neither by then.
  bool WaitUntilLeading(absl::Duration limit);

  BrokerProgram(const BrokerProgram&) = delete;
  BrokerProgram& operator=(const BrokerProgram&) = delete;

 private:
  struct Parts;
  explicit BrokerProgram(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace werkplek
