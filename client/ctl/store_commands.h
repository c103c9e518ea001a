// `store export|import`: a whole store, on the broker's own machine while no broker runs.
#pragma once

#include <string>

#include "client/ctl/command.h"

namespace werkplek {

// Runs `werkplek-broker store-export` or `store-import`, which lies beside this program or in PATH:
// only that program reads stores.
class StoreCommand : public Command {
 public:
  enum class Way { kExport, kImport };
  explicit StoreCommand(Way way) : way_(way) {}

  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;
  bool NeedsSignIn() const override { return false; }

 private:
  const Way way_;
  std::string broker_config_;
  std::string file_;
};

}  // namespace werkplek
