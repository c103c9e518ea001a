// `connect POOL`: waits for a desktop and shows its screen.
#pragma once

#include <string>

#include "client/login/command.h"

namespace werkplek {

class ConnectCommand : public LoginCommand {
 public:
  void Define(CLI::App& app, Language language) override;
  absl::Status Run(LoginContext& context) override;

 private:
  // `again`: the screen was given to this machine, and is not there (any more). ABORTED: it was
  // taken over elsewhere.
  absl::StatusOr<v1::Ready> WaitForDesktop(LoginContext& context, bool again);

  // Again, through another gateway, when the one that the screen went through is lost.
  absl::Status ShowUntilClosed(LoginContext& context);
  void TellWhatIsLeft(LoginContext& context);

  std::string pool_;
  bool spice_ = false;
  DisplayChoice choice_;
};

}  // namespace werkplek
