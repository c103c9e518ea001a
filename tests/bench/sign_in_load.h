// The load on a broker: thin clients with a kept mTLS connection each, that sign people in with
// password and code, one after another.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/bench_base.h"

namespace werkplek {

struct SignInLoadSettings {
  // "127.0.0.1:PORT".
  std::string broker;
  // One folder with certificate.pem, key.pem and ca.pem for each client.
  std::vector<std::string> machines;
  // Sign-ins before the measurement, and measured ones. Together at most twice the people: each
  // has two codes at a time.
  int warm_up = 0;
  int count = 0;
  // Processes whose time is told; 0 is this one.
  std::vector<int> pids = {0};
};

// Every sign-in must succeed; `failed` counts those that did not.
absl::StatusOr<LoadResult> RunSignInLoad(const SignInLoadSettings& settings,
                                         const std::vector<BenchPerson>& people);

}  // namespace werkplek
