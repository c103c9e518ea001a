// What the loads have in common: people, measured times, and the one JSON object that each prints.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace werkplek {

// One employee of the made directory.
struct BenchPerson {
  std::string user;
  std::string password;
  // The one-time token's seed, raw; empty before the enrolment.
  std::string seed;
};

// Lines of USER TAB PASSWORD, with more columns that are ignored (`make-directory`), or of USER TAB
// PASSWORD TAB SEED in hexadecimal (`enrol`).
absl::StatusOr<std::vector<BenchPerson>> ReadPeople(const std::string& file);
absl::Status WritePeople(const std::string& file, const std::vector<BenchPerson>& people);

// A clock that never jumps.
absl::Duration BenchClock();

// The smallest value that `share` (0 to 1) of the values do not exceed, in milliseconds. Sorts.
double PercentileMs(std::vector<absl::Duration>& values, double share);

// Processor time, user and system, that this process (0) and the given ones have used so far.
std::map<int, absl::Duration> CpuTimes(const std::vector<int>& pids);

// `{"done": ..., "failed": ..., "seconds": ..., "per_second": ..., "p50_ms": ..., "p99_ms": ...,
// "cpu_us": {"PID": ..., ...}}`; the last for each one done, this process being "0".
struct LoadResult {
  uint64_t done = 0;
  uint64_t failed = 0;
  // The first failure, for people.
  std::string failure;
  absl::Duration took;
  std::vector<absl::Duration> latencies;
  // During the measurement.
  std::map<int, absl::Duration> cpu;
};
// What was used since `before`.
std::map<int, absl::Duration> CpuSince(const std::map<int, absl::Duration>& before);
std::string ToJson(LoadResult result);

}  // namespace werkplek
