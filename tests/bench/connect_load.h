// The load on the whole way to a screen: broker, agent, a real desktop and its display.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/bench_base.h"

namespace werkplek {

struct ConnectLoadSettings {
  // "127.0.0.1:PORT".
  std::string broker;
  // Folder with certificate.pem, key.pem and ca.pem of a thin client.
  std::string machine;
  std::string pool;
  // Times that each person closes the display and opens it again.
  int reconnects = 0;
};

// Each person signs in, connects, opens the display again and again, and ends the session, one
// person after another. Everybody must get a running spare at once. One JSON object: for "fresh"
// and for "again" a list of milliseconds for each stage ("commit", "prepare", "relay", "display",
// "whole").
absl::StatusOr<std::string> RunConnectLoad(const ConnectLoadSettings& settings,
                                           const std::vector<BenchPerson>& people);

struct DisplayLoadSettings {
  // A folder for libvirt's embedded driver; short, absolute.
  std::string root;
  std::string kernel;
  std::string initrd;
  std::string kernel_arguments;
  int count = 0;
};

// Starts a virtual machine without any part of Werkplek and opens its display, one time after
// another: {"open": [ms...], "display": [ms...]}.
absl::StatusOr<std::string> RunDisplayLoad(const DisplayLoadSettings& settings);

}  // namespace werkplek
