// Searches for people that wait a moment for others, so that one search asks for all. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace werkplek {

inline constexpr size_t kPeoplePerSearch = 16;
inline constexpr absl::Duration kGatherFor = absl::Microseconds(1500);

class Gathering {
 public:
  void Add(uint64_t call, absl::Duration now);

  // The calls of the next search, at most kPeoplePerSearch; empty: none is due. While it is not
  // `busy` nobody waits, as others are not likely to come.
  std::vector<uint64_t> Take(absl::Duration now, bool busy);

  // How long until a search is due for certain. Infinite: nobody waits.
  absl::Duration Rest(absl::Duration now) const;

 private:
  std::vector<uint64_t> calls_;
  // Since when the first of them waits.
  absl::Duration since_;
};

}  // namespace werkplek
