// Sites: how they stand, their loss, and the rehearsal of it.
#pragma once

#include <string>

#include "client/ctl/command.h"

namespace werkplek {

// `site list`: hosts, people, loss, and who would wait if the site were lost.
class ListSitesCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;
};

// `site confirm-loss SITE --reason TEXT`: lets the loss go on past the brake.
class ConfirmSiteLossCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  std::string site_;
  std::string reason_;
};

// `site readmit SITE`: a site that is back after its loss takes work again.
class ReadmitSiteCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  std::string site_;
};

// `rebalance SITE [--dry-run]`: moves desktops inside the site until its hosts are even.
class RebalanceCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  std::string site_;
  bool dry_run_ = false;
};

// `failover --dry-run SITE`: who would get a desktop, and who would wait, without the site.
class FailoverCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  std::string site_;
};

}  // namespace werkplek
