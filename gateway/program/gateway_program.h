// The gateway, built from its parts and taken down again.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/program/gateway_config.h"

namespace werkplek {

class GatewayProgram {
 public:
  // Builds the parts in order and serves. Errors say which part and what to do. The process must be
  // hardened (common/program/hardening.h) before.
  static absl::StatusOr<std::unique_ptr<GatewayProgram>> Start(GatewayConfig config);
  // Cuts every display that goes through; the desktops and their sessions stay.
  ~GatewayProgram();
  GatewayProgram(const GatewayProgram&) = delete;
  GatewayProgram& operator=(const GatewayProgram&) = delete;

  // For clients, in the order of the configuration.
  std::vector<int> ports() const;

 private:
  struct Parts;
  explicit GatewayProgram(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace werkplek
