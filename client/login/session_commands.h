// sign-in, sign-out, list, disconnect, end, status.
#pragma once

#include <string>

#include "client/login/command.h"

namespace werkplek {

// `sign-in [--user NAME]`.
class EmployeeSignIn : public LoginCommand {
 public:
  void Define(CLI::App& app, Language language) override;
  absl::Status Run(LoginContext& context) override;

 private:
  std::string user_;
};

// `sign-out`.
class EmployeeSignOut : public LoginCommand {
 public:
  void Define(CLI::App& app, Language language) override;
  absl::Status Run(LoginContext& context) override;
};

// `list`.
class ListOwnPools : public LoginCommand {
 public:
  void Define(CLI::App& app, Language language) override;
  absl::Status Run(LoginContext& context) override;
};

// `disconnect [POOL]`.
class DisconnectOwn : public LoginCommand {
 public:
  void Define(CLI::App& app, Language language) override;
  absl::Status Run(LoginContext& context) override;

 private:
  std::string pool_;
};

// `end [POOL] [--yes]`.
class EndOwn : public LoginCommand {
 public:
  void Define(CLI::App& app, Language language) override;
  absl::Status Run(LoginContext& context) override;

 private:
  std::string pool_;
  bool yes_ = false;
};

// `status`: each broker, this machine, the sign-in.
class ShowStatus : public LoginCommand {
 public:
  void Define(CLI::App& app, Language language) override;
  absl::Status Run(LoginContext& context) override;
};

}  // namespace werkplek
