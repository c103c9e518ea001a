// Gives every person of a directory an active one-time token, straight into a broker's store while
// the broker is stopped: what `enrol-first-admin` does for one.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/bench_base.h"

namespace werkplek {

// `config` is the broker's. The seeds are set in the result.
absl::StatusOr<std::vector<BenchPerson>> EnrolPeople(const std::string& config,
                                                     std::vector<BenchPerson> people);

}  // namespace werkplek
