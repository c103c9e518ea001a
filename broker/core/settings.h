// Times and limits of the core.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "broker/reconcile/daily_hours.h"
#include "broker/reconcile/move_limits.h"
#include "broker/reconcile/site_loss.h"

namespace werkplek {

// When desktops are moved by the broker itself, and how many at a time.
struct BalanceSettings {
  MoveLimits limits;
  // A site whose hosts are uneven for `settle` is made even without being asked.
  bool automatic = false;
  absl::Duration settle = absl::Minutes(1);
  // What balancing moved stays where it is for so long; a drain moves it all the same.
  absl::Duration rest = absl::Minutes(10);
  // A move that failed is tried again after this, twice as long after each further failure.
  absl::Duration retry = absl::Seconds(30);
  // A move of which nothing is seen for so long is given up.
  absl::Duration begin_deadline = absl::Seconds(30);
  // Within these hours hosts are emptied that the site can spare. Nothing: never.
  std::optional<DailyHours> consolidation;
  // Hosts that may fail although others were emptied.
  uint32_t spare_hosts = 1;
};

// Times and limits; the config loader checks them against each other.
struct BrokerSettings {
  absl::Duration heartbeat = absl::Seconds(1);
  absl::Duration suspect_after = absl::Seconds(3);
  absl::Duration down_after = absl::Seconds(10);
  // How long the broker that led before may still lead, at most.
  absl::Duration lease_ttl = absl::Seconds(5);
  // After how long without a leader agents stop fenced desktops, and how much longer this broker
  // waits before it counts on that.
  absl::Duration fence_after = absl::Seconds(10);
  absl::Duration fence_margin = absl::Seconds(5);
  // A program can make sure that a silent host is off (FenceHost).
  bool fence_command = false;
  absl::Duration sign_in_lifetime = absl::Hours(12);
  absl::Duration sign_in_idle = absl::Minutes(30);
  absl::Duration ticket_lifetime = absl::Seconds(30);
  // How long the guest may take to be told of a session before the display is opened without.
  absl::Duration prepare_deadline = absl::Seconds(20);
  absl::Duration answered_kept = absl::Hours(24);
  absl::Duration ended_session_kept = absl::Hours(24);
  // Refused codes in a row (with the right password): pause after, and stop for the help desk
  // after.
  uint32_t token_failures_pause = 5;
  absl::Duration token_pause = absl::Minutes(15);
  uint32_t token_failures_stop = 20;
  // Another sign-in of the same person ends the one that was used longest ago.
  uint32_t sign_ins_per_person = 32;
  // Answers of changes that are kept for one person at a time; at that many, further changes are
  // refused.
  uint32_t changes_per_person = 10'000;
  uint32_t default_host_starts = 4;
  uint32_t default_site_starts = 32;
  uint32_t default_queue_limit = 1000;
  absl::Duration default_queue_deadline = absl::Minutes(5);
  absl::Duration default_start_deadline = absl::Minutes(3);
  uint32_t default_max_failures = 3;
  uint32_t default_breaker_failures = 5;
  // A tripped breaker lets one start through after this long.
  absl::Duration breaker_probe = absl::Seconds(30);
  SiteLossLimits site_loss;
  BalanceSettings balance;
};

}  // namespace werkplek
