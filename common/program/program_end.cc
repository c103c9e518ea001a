#include "common/program/program_end.h"

#include <pthread.h>

#include <iostream>

#include "common/program/watchdog.h"

namespace werkplek {

int ExitCode(absl::string_view program, const absl::Status& status) {
  if (status.ok()) return kExitGood;
  std::cerr << program << ": " << status.message() << "\n";
  return kExitFailed;
}

EndSignals::EndSignals() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGTERM);
  sigaddset(&signals_, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

int EndSignals::Wait() const {
  int signal = 0;
  sigwait(&signals_, &signal);
  TellSystemd("STOPPING=1");
  return signal;
}

}  // namespace werkplek
