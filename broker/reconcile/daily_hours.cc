#include "broker/reconcile/daily_hours.h"

namespace werkplek {

bool IsWithin(const DailyHours& hours, absl::Time now) {
  const absl::CivilSecond shown = hours.zone.At(now).cs;
  const int minute = shown.hour() * 60 + shown.minute();
  if (hours.from < hours.until) return minute >= hours.from && minute < hours.until;
  return minute >= hours.from || minute < hours.until;
}

}  // namespace werkplek
