// Times and limits of the core.
#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace werkplek {

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
  uint32_t default_host_starts = 4;
  uint32_t default_site_starts = 32;
  uint32_t default_queue_limit = 1000;
  absl::Duration default_queue_deadline = absl::Minutes(5);
  absl::Duration default_start_deadline = absl::Minutes(3);
  uint32_t default_max_failures = 3;
  uint32_t default_breaker_failures = 5;
  // A tripped breaker lets one start through after this long.
  absl::Duration breaker_probe = absl::Seconds(30);
};

}  // namespace werkplek
