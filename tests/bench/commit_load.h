// The bare load on SQLite: writers that each wait until theirs is durable, one transaction for all
// that wait. What a broker's store could do at most.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "tests/bench/bench_base.h"

namespace werkplek {

// Each commit writes what an assignment writes: changes one of `known` rows, adds one, and appends
// one to a log, `row_bytes` each. `file` must not exist.
struct CommitLoadSettings {
  std::string file;
  int writers = 64;
  int count = 0;
  int known = 8'000;
  size_t row_bytes = 300;
};
absl::StatusOr<LoadResult> RunCommitLoad(const CommitLoadSettings& settings);

}  // namespace werkplek
