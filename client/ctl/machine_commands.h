// Hosts and other machines: joining, and how the hosts are.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "client/ctl/command.h"
#include "client/ctl/resource_schema.h"

namespace werkplek {

// `host add NAME --site SITE`: creates the host, and prints the join code and what to run there.
// A host that exists already gets a new code.
class AddHostCommand : public Command {
 public:
  AddHostCommand() : flags_(FlagsOf(v1::RESOURCE_KIND_HOST)) {}
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  const std::vector<FieldFlag> flags_;
  std::map<size_t, std::string> values_;
  std::string name_;
};

// `client|admin|gateway add NAME`: a join code for a machine that is no resource.
class AddMachineCommand : public Command {
 public:
  explicit AddMachineCommand(v1::Identity identity) : identity_(identity) {}
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  const v1::Identity identity_;
  std::string name_;
};

// `host list`: liveness and load.
class ListHostsCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;
};

// `join URL CODE CA-SHA256 --broker ADDRESS:PORT`: this machine becomes an admin machine.
class JoinAdminCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;
  bool NeedsSignIn() const override { return false; }

 private:
  std::string url_;
  std::string code_;
  std::string ca_sha256_;
  std::vector<std::string> brokers_;
};

}  // namespace werkplek
