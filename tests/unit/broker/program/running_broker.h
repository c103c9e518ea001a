// The real program on free ports, as systemd would run it.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "tests/support/process/child_process.h"
#include "tests/unit/broker/program/broker_files.h"
#include "tests/unit/common/program/systemd_socket.h"

namespace werkplek {

// Longer than anything here takes on a busy machine.
inline constexpr absl::Duration kLong = absl::Seconds(60);

class RunningBroker {
 public:
  // Initialised, not started. `replacements` are made in the good configuration, before the ports
  // become free ones; without any, the directory is out of reach.
  explicit RunningBroker(std::vector<std::pair<std::string, std::string>> replacements = {});

  // False: it was not ready in time.
  bool Start();
  // Ends it, and gives its exit code.
  int Stop(int signal);

  // Runs `werkplek-broker` with these words to its end, and gives what it wrote.
  std::string Command(const std::vector<std::string>& words);
  // The port of "clients", "agents", "join" or "metrics"; 0: not started.
  int Port(const std::string& name) const;
  std::string Log() const { return ReadWholeFile(log_); }
  std::string File(const std::string& name) const { return files_.folder().File(name); }
  TlsFiles own_files() const { return {File("broker.pem"), File("broker.key"), File("ca.pem")}; }
  pid_t pid() const { return broker_->pid(); }
  SystemdSocket& systemd() { return systemd_; }

 private:
  BrokerFiles files_;
  std::string log_ = files_.folder().File("broker.log");
  SystemdSocket systemd_{files_.folder().File("notify")};
  std::unique_ptr<ChildProcess> broker_;
};

}  // namespace werkplek
