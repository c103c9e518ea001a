// `join URL CODE CA-SHA256 --broker ADDRESS:PORT`: this machine gets its certificate.
#pragma once

#include <string>
#include <vector>

#include "client/login/command.h"

namespace werkplek {

class JoinCommand : public LoginCommand {
 public:
  void Define(CLI::App& app, Language language) override;
  absl::Status Run(LoginContext& context) override;

 private:
  std::string url_;
  std::string code_;
  std::string ca_sha256_;
  std::vector<std::string> brokers_;
  std::string group_;
};

}  // namespace werkplek
