#include "client/ctl/store_commands.h"

#include <limits.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/api/exit_code.h"

namespace werkplek {
namespace {

constexpr const char* kProgram = "werkplek-broker";

// Beside this program, when it is there; otherwise its bare name, for PATH.
std::string BrokerProgramPath() {
  char own[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", own, sizeof(own));
  if (size <= 0) return kProgram;
  const std::string path(own, static_cast<size_t>(size));
  const std::string beside = absl::StrCat(path.substr(0, path.rfind('/') + 1), kProgram);
  return access(beside.c_str(), X_OK) == 0 ? beside : kProgram;
}

// Of `werkplek-broker`.
const char* BrokerCommand(StoreCommand::Way way) {
  switch (way) {
    case StoreCommand::Way::kBackup:
      return "store-backup";
    case StoreCommand::Way::kRestore:
      return "store-restore";
    case StoreCommand::Way::kExport:
      return "store-export";
    case StoreCommand::Way::kImport:
      return "store-import";
  }
  return "";
}

bool Writes(StoreCommand::Way way) {
  return way == StoreCommand::Way::kBackup || way == StoreCommand::Way::kExport;
}

}  // namespace

void StoreCommand::Define(CLI::App& app) {
  app.add_option("--broker-config", broker_config_, "The broker's configuration file")->required();
  if (Writes(way_)) {
    app.add_option("--to", file_, "The file to make; it holds secrets")->required();
  } else {
    app.add_option("--from", file_, "A file that an export or a backup made")->required();
  }
  if (way_ == Way::kRestore) {
    app.add_option("--epoch", epoch_, "Above all that hosts have seen; seldom needed");
  }
}

absl::Status StoreCommand::Run(CommandContext&) {
  std::vector<std::string> words = {BrokerProgramPath(),
                                    "--config",
                                    broker_config_,
                                    BrokerCommand(way_),
                                    Writes(way_) ? "--to" : "--from",
                                    file_};
  if (epoch_.has_value()) words.insert(words.end(), {"--epoch", absl::StrCat(*epoch_)});
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int error = posix_spawnp(&child, arguments[0], nullptr, nullptr, arguments.data(), environ);
  if (error != 0) {
    return LocalProblem(absl::ErrnoToStatus(
        error,
        absl::StrCat("cannot run ", words[0], "; use this command on the broker's machine")));
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return LocalProblem(absl::ErrnoToStatus(errno, "waitpid"));
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return LocalProblem(
      absl::FailedPreconditionError(absl::StrCat(kProgram, " refused; what it says stands above")));
}

}  // namespace werkplek
