#include "common/base/words.h"

#include "absl/strings/str_cat.h"

namespace werkplek {
namespace {

// "2 h 5 min"; the smaller unit only when there is some of it.
std::string TwoUnits(int64_t count, int64_t per_large, absl::string_view large,
                     absl::string_view small) {
  std::string text = absl::StrCat(count / per_large, " ", large);
  if (count % per_large != 0) absl::StrAppend(&text, " ", count % per_large, " ", small);
  return text;
}

}  // namespace

std::string CountOf(uint64_t count, absl::string_view noun) {
  return absl::StrCat(count, " ", noun, count == 1 ? "" : "s");
}

std::string RoughTime(absl::Duration time) {
  if (time == absl::InfiniteDuration()) return "for ever";
  if (time <= absl::ZeroDuration()) return "0 s";
  if (time < absl::Milliseconds(950)) {
    const int64_t tenths = (absl::ToInt64Milliseconds(time) + 50) / 100;
    return absl::StrCat("0.", tenths == 0 ? 1 : tenths, " s");
  }
  const int64_t seconds = absl::ToInt64Seconds(time + absl::Milliseconds(500));
  if (seconds < 60) return absl::StrCat(seconds, " s");
  if (seconds < 3600) return TwoUnits(seconds, 60, "min", "s");
  return TwoUnits((seconds + 30) / 60, 60, "h", "min");
}

}  // namespace werkplek
