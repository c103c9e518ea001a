// The program `werkplek`: its command line, its language, its exit code.
#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "client/api/exit_code.h"
#include "client/login/command.h"

namespace werkplek {

// What the program is given by main(), and by tests.
struct LoginPorts {
  Terminal& terminal;
  std::ostream& out;
  std::ostream& err;
  // As LoginContext::live_width.
  int live_width = 0;
  // A variable of the environment; empty: not set.
  std::function<std::string(const char* name)> variable;
  // Reads the configuration at a path ("" for the usual places).
  std::function<absl::StatusOr<ClientConfig>(const std::string& path)> config;
  std::function<absl::StatusOr<std::vector<BrokerEndpoint>>(const ClientConfig&)> connect;
  std::function<absl::StatusOr<TokenFile>()> token_file;
  // Renews the machine's certificate when that is due; asked before a sign-in. May be empty.
  std::function<absl::Status(const ClientConfig&)> renew;
  // Shows the screen; as LoginContext::show_display.
  std::function<absl::Status(const ClientConfig& config, Language language, const v1::Ready& ready,
                             const DisplayChoice& choice)>
      show_display;
  std::function<absl::Time()> now;
  // As LoginContext::sleep.
  std::function<void(absl::Duration)> sleep;
  RetryPolicy retries;
};

// `arguments` without the program's name.
ExitCode RunLogin(const std::vector<std::string>& arguments, const LoginPorts& ports);

// The language of the messages: --language, the configuration's, or the environment's (LC_ALL,
// LC_MESSAGES, LANG), the first that is there.
Language ChooseLanguage(const std::vector<std::string>& arguments, const LoginPorts& ports);

}  // namespace werkplek
