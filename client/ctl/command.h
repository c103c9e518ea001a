// What a command of werkplekctl is: flags, and a run against a broker.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/api/broker_client.h"
#include "client/api/message_text.h"
#include "client/api/table.h"
#include "client/api/terminal.h"
#include "client/api/token_file.h"
#include "werkplek/v1/admin.grpc.pb.h"

namespace werkplek {

// Everything a command may use. Made once per run of the program.
struct CommandContext {
  // As given with --config; empty: the usual places.
  std::string config_path;
  // The connection to the brokers, made on first use: a command that needs none works without
  // configuration.
  std::function<absl::StatusOr<BrokerClient*>()> broker;
  // Where the admin's own access token is kept.
  std::function<absl::StatusOr<TokenFile>()> token_file;
  Terminal& terminal;
  // Results, and everything else that is for people.
  std::ostream& out;
  std::ostream& err;
  OutputFormat output = OutputFormat::kTable;
  // Confirmations were given on the command line.
  bool yes = false;
  std::function<absl::Time()> now;
  // Results printed so far; YAML needs a separator between two.
  int shown = 0;
};

// One command; one instance serves one run.
class Command {
 public:
  virtual ~Command() = default;
  // Adds the command's own flags and arguments.
  virtual void Define(CLI::App& app) = 0;
  virtual absl::Status Run(CommandContext& context) = 0;
  // Whether the broker demands a sign-in for it.
  virtual bool NeedsSignIn() const { return true; }
};

// A command's place on the command line.
struct CommandEntry {
  // "host"; empty for a command without a noun.
  std::string noun;
  // Empty for a noun that is a command itself ("sign-in").
  std::string verb;
  std::string summary;
  std::unique_ptr<Command> command;
};

// Calls the admin service, with the retries of the client.
template <typename Request, typename Response>
absl::StatusOr<Response> CallAdmin(
    CommandContext& context,
    grpc::Status (v1::AdminService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
    const Request& request) {
  absl::StatusOr<BrokerClient*> broker = context.broker();
  if (!broker.ok()) return broker.status();
  return (*broker)->Call(method, request);
}

// Reads all pages of a list: `next` sets what the following page begins after.
template <typename Request, typename Response, typename Next>
absl::StatusOr<Response> CallAllPages(
    CommandContext& context,
    grpc::Status (v1::AdminService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
    Request request, const Next& next) {
  Response all;
  while (true) {
    absl::StatusOr<Response> page = CallAdmin(context, method, request);
    if (!page.ok()) return page.status();
    const std::string before = request.SerializeAsString();
    if (page->more()) next(*page, request);
    all.MergeFrom(*page);
    all.set_more(false);
    // A page that does not lead on would be read for ever.
    if (!page->more() || request.SerializeAsString() == before) return all;
  }
}

// Prints `message` in the format that was asked for; `table` makes the one for people.
void Show(CommandContext& context, const google::protobuf::Message& message,
          absl::FunctionRef<void(std::ostream&, int width)> table);

// A time in a table: to the minute where a terminal has little room, else the whole of it.
std::string TimeCell(CommandContext& context, int64_t unix_ms, int width);

// A line for people that is not the result: nothing when a script asked for JSON or YAML.
void Tell(CommandContext& context, absl::string_view line);

// OK when the person (or --yes) agrees. CANCELLED otherwise.
absl::Status Confirm(CommandContext& context, absl::string_view question);

// `name: value` lines, values under each other; empty values are left out.
using Facts = std::vector<std::pair<std::string, std::string>>;
void ShowFacts(std::ostream& out, const Facts& facts);

}  // namespace werkplek
