// The broker's decisions: the only thing that changes the fleet.
//
// Pure: no clock, no chance, no I/O, no threads. The same fleet and the same events give the same
// decisions on every machine. Not thread-safe; the node calls it from its loop.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "broker/core/effect.h"
#include "broker/core/event.h"
#include "broker/model/fleet.h"

namespace werkplek {

// Times and limits; the config loader checks them against each other.
struct BrokerSettings {
  absl::Duration heartbeat = absl::Seconds(1);
  absl::Duration suspect_after = absl::Seconds(3);
  absl::Duration down_after = absl::Seconds(10);
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

class Broker {
 public:
  // `fleet` is what the store held; its soft tables are rebuilt. `epoch` goes with every command.
  Broker(const BrokerSettings& settings, Fleet fleet, uint64_t epoch, absl::Time now);

  // Decides. The fleet has the decision's changes already when this returns; a node whose commit
  // fails drops this broker and loads anew.
  Decision Apply(const Event& event, absl::Time now);

  const Fleet& fleet() const { return fleet_; }

 private:
  // (the implementation's own members)
  Fleet fleet_;
};

}  // namespace werkplek
