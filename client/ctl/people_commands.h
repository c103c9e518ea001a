// One-time tokens and sign-ins of people, and the admin's own sign-in.
#pragma once

#include <cstdint>
#include <string>

#include "client/ctl/command.h"

namespace werkplek {

// `token enrol USER`: shows the QR code; at a terminal asks for the first code and confirms.
class EnrolTokenCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  absl::Status ConfirmFirstCode(CommandContext& context);

  std::string user_;
  bool no_confirm_ = false;
};

// `token confirm USER`: the first code, asked for or from standard input.
class ConfirmTokenCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  std::string user_;
};

// `token revoke USER`.
class RevokeTokenCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  std::string user_;
};

// `token list`.
class ListTokensCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;
};

// `sign-in list [--user U]`.
class ListSignInsCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  std::string user_;
};

// `sign-in revoke ID | --user U | --all`.
class RevokeSignInsCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;

 private:
  std::string id_;
  std::string user_;
  bool all_ = false;
};

// `sign-in [--user U]`: the admin's own.
class SignInCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;
  bool NeedsSignIn() const override { return false; }

 private:
  std::string user_;
};

// `sign-out`: the admin's own.
class SignOutCommand : public Command {
 public:
  void Define(CLI::App& app) override;
  absl::Status Run(CommandContext& context) override;
  bool NeedsSignIn() const override { return false; }
};

// The `secret=` of an otpauth URI in groups of four, to be typed where a camera is missing.
std::string TypedSeed(absl::string_view otpauth_uri);

}  // namespace werkplek
