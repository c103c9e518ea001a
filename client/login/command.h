// What a command of `werkplek` is, and what it may use.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/api/broker_client.h"
#include "client/api/client_config.h"
#include "client/api/message_text.h"
#include "client/api/terminal.h"
#include "client/api/token_file.h"
#include "client/login/messages.h"
#include "werkplek/v1/session.grpc.pb.h"

namespace werkplek {

// How a desktop's screen is to be shown.
struct DisplayChoice {
  bool vnc = false;
  // Through the gateways, whatever the configuration says.
  bool outside = false;
  // Print where a viewer can connect instead of opening one.
  bool no_viewer = false;
  // Not empty: save a picture there, and finish.
  std::string screenshot;
};

// Everything a command may use. Made once per run of the program.
struct LoginContext {
  // As given with --config; empty: the usual places.
  std::string config_path;
  // Read and opened on first use. The broker has the kept access token, when there is one.
  std::function<absl::StatusOr<ClientConfig>()> config;
  std::function<absl::StatusOr<BrokerClient*>()> broker;
  std::function<absl::StatusOr<TokenFile>()> token_file;
  // Shows the screen until the viewer or the desktop is done. ABORTED: its gateway was lost.
  std::function<absl::Status(const v1::Ready& ready, const DisplayChoice& choice)> show_display;
  Terminal& terminal;
  // Results, and everything else that is for people.
  std::ostream& out;
  std::ostream& err;
  // Columns of the terminal that `err` is, on which a line can be written over; 0: it is none.
  int live_width = 0;
  Language language = Language::kEnglish;
  OutputFormat output = OutputFormat::kTable;
  std::function<absl::Time()> now;
  // Before a screen that did not open is tried again.
  std::function<void(absl::Duration)> sleep;

  std::string Text(Message message, std::initializer_list<MessageArgument> arguments = {}) const {
    return Say(language, message, arguments);
  }
  absl::Status Fail(absl::StatusCode code, Message message,
                    std::initializer_list<MessageArgument> arguments = {}) const {
    return SayFailure(code, language, message, arguments);
  }
};

// One command; one instance serves one run.
class LoginCommand {
 public:
  virtual ~LoginCommand() = default;
  // Adds the command's own flags and arguments, with help in `language`.
  virtual void Define(CLI::App& app, Language language) = 0;
  virtual absl::Status Run(LoginContext& context) = 0;
};

struct LoginEntry {
  std::string name;
  Message summary;
  std::unique_ptr<LoginCommand> command;
};

// All commands, in the order of the help.
std::vector<LoginEntry> AllLoginCommands();

// The person's sessions; UNAUTHENTICATED when not signed in.
absl::StatusOr<v1::ListPoolsResponse> AskPools(LoginContext& context);

}  // namespace werkplek
