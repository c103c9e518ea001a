// `store backup|restore|export|import`: a whole store, on the broker's own machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "client/ctl/command.h"

namespace werkplek {

// Runs `werkplek-broker store-backup` and so on, which lies beside this program or in PATH: only
// that program reads stores.
class StoreCommand : public Command {
 public:
  enum class Way { kBackup, kRestore, kExport, kImport };
  explicit StoreCommand(Way way) : way_(way) {}

  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;
  bool NeedsSignIn() const override { return false; }

 private:
  const Way way_;
  std::string broker_config_;
  std::string file_;
  std::optional<uint64_t> epoch_;
};

}  // namespace werkplek
