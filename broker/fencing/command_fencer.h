// Switches hosts off by a program that reads its options as Debian's fence agents do: one
// NAME=VALUE a line on standard input, `action=off` and the host's `plug` among them. Exit code 0
// says that the host is off. No secret stands in its arguments, and no shell is in between.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "broker/node/ports.h"
#include "common/base/crypto.h"
#include "common/base/worker_pool.h"

namespace werkplek {

// What differs from host to host.
struct FenceHostSettings {
  // As the device names it; empty: the host's own name.
  std::string plug;
  // Further NAME=VALUE, after those for all.
  std::vector<std::string> options;
};

struct FenceCommandSettings {
  // The program, absolute, and its arguments. Empty: there is none.
  std::vector<std::string> command;
  // NAME=VALUE, one each.
  std::vector<std::string> options;
  // The same, one a line, from a file that is closed to others.
  Secret secret_options;
  std::map<std::string, FenceHostSettings> hosts;
  // It is killed after this long, and nothing is known then.
  absl::Duration timeout = absl::Seconds(60);
  // So many run at once; four times as many may wait.
  int parallel = 4;
};

class CommandFencer : public Fencer {
 public:
  // `executor` outlives it, or is stopped before.
  CommandFencer(FenceCommandSettings settings, Executor* executor);
  // Kills what runs.
  ~CommandFencer() override;

  void Fence(const std::string& host, absl::AnyInvocable<void(absl::Status)> done) override;

  // What the program reads for the host.
  std::string InputFor(const std::string& host) const;

 private:
  absl::Status Run(const std::string& host) const;

  const FenceCommandSettings settings_;
  Executor* const executor_;
  std::atomic<bool> stopping_ = false;
  // Last: its threads use what stands above.
  std::unique_ptr<WorkerPool> workers_;
};

}  // namespace werkplek
