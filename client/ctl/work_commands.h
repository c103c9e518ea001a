// Desktops and sessions.
#pragma once

#include <string>
#include <vector>

#include "client/ctl/command.h"

namespace werkplek {

// `desktop list [--pool P] [--host H]`.
class ListDesktopsCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  std::string pool_;
  std::string host_;
};

// `desktop get ID`.
class GetDesktopCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  std::string id_;
};

// `desktop reset ID...` and `desktop delete ID...`: says whose session it would end, and whose work
// would be lost, before it asks.
class ResetDesktopCommand : public Command {
 public:
  explicit ResetDesktopCommand(bool remove) : remove_(remove) {}
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  const bool remove_;
  std::vector<std::string> ids_;
};

// `desktop assign USER --pool POOL`.
class AssignDesktopCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  std::string user_;
  std::string pool_;
};

// `desktop override-fence ID --reason TEXT`: says what must be true before it asks.
class OverrideFenceCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  std::string id_;
  std::string reason_;
};

// `session list [--pool P] [--user U] [--ended]`.
class ListSessionsCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  std::string pool_;
  std::string user_;
  bool ended_ = false;
};

// `session get ID`.
class GetSessionCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  std::string id_;
};

// `session end ID... --reason TEXT`.
class EndSessionCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  std::vector<std::string> ids_;
  std::string reason_;
};

}  // namespace werkplek
