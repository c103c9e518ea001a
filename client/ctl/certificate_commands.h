// Certificates of machines that must not be used any more.
#pragma once

#include <string>

#include "client/ctl/command.h"

namespace werkplek {

// `certificate revoke PEER --reason TEXT`.
class RevokeCertificatesCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  std::string peer_;
  std::string reason_;
};

// `certificate list`: the machines whose certificates were revoked.
class ListRevocationsCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;
};

}  // namespace werkplek
