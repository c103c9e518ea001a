#include "broker/program/balance_config.h"

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

// Minutes since midnight of "22:00".
std::optional<int> MinuteOf(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
  int hour = 0;
  int minute = 0;
  if (parts.size() != 2 || parts[1].size() != 2 || !absl::SimpleAtoi(parts[0], &hour) ||
      !absl::SimpleAtoi(parts[1], &minute) || hour < 0 || hour > 23 || minute < 0 || minute > 59) {
    return std::nullopt;
  }
  return hour * 60 + minute;
}

std::optional<DailyHours> HoursOf(absl::string_view text) {
  const std::vector<absl::string_view> ends = absl::StrSplit(text, '-');
  if (ends.size() != 2) return std::nullopt;
  const std::optional<int> from = MinuteOf(ends[0]);
  const std::optional<int> until = MinuteOf(ends[1]);
  if (!from || !until || *from == *until) return std::nullopt;
  return DailyHours{*from, *until};
}

absl::Status CheckHours(const std::string& text) {
  if (HoursOf(text)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "must be two different times of the day, for example \"22:00-06:00\"");
}

absl::Status CheckTimeZone(const std::string& text) {
  absl::TimeZone zone;
  if (absl::LoadTimeZone(text, &zone)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "is no time zone of this machine; give one of /usr/share/zoneinfo, for example "
      "Europe/Amsterdam (package tzdata)");
}

// A share that is written in percent.
void ReadPercent(ConfigSection& section, absl::string_view key, int64_t min, int64_t max,
                 double* share) {
  int64_t percent = std::lround(*share * 100);
  if (section.Number(key, &percent, {.min = min, .max = max})) {
    *share = static_cast<double>(percent) / 100;
  }
}

void ReadConsolidation(ConfigSection& section, BalanceSettings& balance) {
  std::string hours;
  std::string zone;
  section.Text("consolidate", &hours, {.max_bytes = 16, .check = CheckHours});
  section.Text("time_zone", &zone, {.max_bytes = 64, .check = CheckTimeZone});
  section.Number("spare_hosts", &balance.spare_hosts, {.min = 0, .max = 1000});
  if (section.Has("consolidate") && !section.Has("time_zone")) {
    section.Complain("consolidate", "needs `time_zone`, whose clocks it means");
  }
  if (section.Has("time_zone") && !section.Has("consolidate")) {
    section.Complain("time_zone", "has no effect without `consolidate`; remove it");
  }
  if (hours.empty() || zone.empty()) return;
  balance.consolidation = HoursOf(hours);
  absl::LoadTimeZone(zone, &balance.consolidation->zone);
}

}  // namespace

void ReadBalancing(ConfigSection section, BalanceSettings& balance) {
  MoveLimits& limits = balance.limits;
  section.Number("moves", &limits.all, {.min = 1, .max = 1000});
  section.Number("moves_per_site", &limits.per_site, {.min = 1, .max = 1000});
  section.Number("moves_per_host", &limits.per_host, {.min = 1, .max = 16});
  ReadPercent(section, "margin_percent", 5, 90, &limits.margin);
  section.Boolean("automatic", &balance.automatic);
  section.Duration("settle", &balance.settle, {.min = absl::Seconds(10), .max = absl::Hours(1)});
  section.Duration("rest", &balance.rest, {.min = absl::Minutes(1), .max = absl::Hours(24)});
  section.Duration("retry", &balance.retry, {.min = absl::Seconds(5), .max = absl::Minutes(30)});
  ReadConsolidation(section, balance);
  if (limits.per_site > limits.all) {
    section.Complain("moves_per_site",
                     absl::StrCat("moves_per_site (", limits.per_site,
                                  ") must not be more than moves (", limits.all, ")"));
  }
  if (limits.per_host > limits.per_site) {
    section.Complain("moves_per_host", absl::StrCat("moves_per_host (", limits.per_host,
                                                    ") must not be more than moves_per_site (",
                                                    limits.per_site, ")"));
  }
}

void ReadSiteLoss(ConfigSection section, SiteLossLimits& limits) {
  // Below half, the hosts that still answer would be given up with the silent ones.
  ReadPercent(section, "lost_percent", 50, 100, &limits.lost_share);
  // At 100 nobody would ever be asked, though it may be this broker that is cut off.
  ReadPercent(section, "brake_percent", 0, 90, &limits.brake_share);
  section.Number("fewest_hosts", &limits.fewest_hosts, {.min = 1, .max = 1000});
}

}  // namespace werkplek
