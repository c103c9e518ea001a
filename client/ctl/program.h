// The program `werkplekctl`: its command line, its commands, its exit code.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "client/api/exit_code.h"
#include "client/ctl/command.h"

namespace werkplek {

// What the program is given by main(), and by tests.
struct CtlPorts {
  Terminal& terminal;
  std::ostream& out;
  std::ostream& err;
  // Opens the brokers of the configuration ("" for the usual places).
  std::function<absl::StatusOr<std::vector<BrokerEndpoint>>(const std::string& config)> connect;
  std::function<absl::StatusOr<TokenFile>()> token_file;
  // Renews the machine's certificate when that is due; asked before a sign-in. May be empty.
  std::function<absl::Status(const std::string& config)> renew;
  std::function<absl::Time()> now;
  RetryPolicy retries;
};

// `arguments` without the program's name.
ExitCode RunCtl(const std::vector<std::string>& arguments, const CtlPorts& ports);

// All commands, in the order of the help.
std::vector<CommandEntry> AllCommands();

}  // namespace werkplek
