// Numbers and times as people read them. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace werkplek {

// "1 desktop", "2 desktops".
std::string CountOf(uint64_t count, absl::string_view noun);

// Rounded to what matters: "0.3 s", "3 s", "2 min", "1 min 30 s", "2 h 5 min". Negative times are
// "0 s", endless ones "for ever".
std::string RoughTime(absl::Duration time);

}  // namespace werkplek
