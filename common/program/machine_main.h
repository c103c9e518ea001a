// The command line of a program that runs as a machine of the fleet, with a certificate of its own:
// the agent and the gateway. It serves until SIGTERM, judges its configuration (`check-config`), or
// gets its first certificate (`join`).
#pragma once

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "werkplek/v1/access.pb.h"

namespace werkplek {

// What runs; it ends when this goes.
using RunningProgram = std::shared_ptr<void>;
using StartProgram = absl::AnyInvocable<absl::StatusOr<RunningProgram>()>;

struct MachineProgram {
  // "agent": the program is `werkplek-agent`, and its events begin with it.
  std::string word;
  // For --help: what it does, and what more there is to know.
  std::string description;
  std::string footer;
  // Who the machine is to be, the command that lets it join, and where its certificate goes.
  v1::Identity identity = v1::IDENTITY_UNSPECIFIED;
  std::string added_with;
  std::string folder;
  // Reads the file and judges it with all that it names; gives what starts the program. An error's
  // message is what the user is told.
  absl::AnyInvocable<absl::StatusOr<StartProgram>(const std::string& file)> load;
};

// Gives the exit code (program_end.h).
int MachineMain(MachineProgram program, int argc, char** argv);

}  // namespace werkplek
