// Starts listener_server and looks at it from outside.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpcpp/channel.h"
#include "tests/support/pki/test_pki.h"
#include "tests/support/process/child_process.h"

namespace werkplek {

class ListenerProcess {
 public:
  // Ends the test program when the listener does not start.
  ListenerProcess(TestPki& pki, const std::vector<std::string>& options = {});

  int port() const { return port_; }
  // Processor time used so far.
  absl::Duration CpuTime() const;
  int Threads() const;
  int Descriptors() const;
  // Stops it and gives a number it printed at the end: "exhausted".
  int StopAndCount(absl::string_view what);

 private:
  TemporaryFolder folder_;
  std::unique_ptr<ChildProcess> process_;
  int port_ = 0;
};

// One health check over the channel.
grpc::Status CheckHealth(grpc::Channel& channel, absl::Duration timeout = absl::Seconds(10));

}  // namespace werkplek
