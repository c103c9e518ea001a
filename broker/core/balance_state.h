// What balancing and moves keep beside the fleet. Soft: a new leader sees from the records which
// desktops are on their way, and begins the rest empty.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/time/time.h"

namespace werkplek {

// A move that is under way (Desktop.moving_to).
struct MoveSoft {
  absl::Time since;
  // When something of it was seen last, or it was begun.
  absl::Time evidence;
  // The source said that it is at it.
  bool seen = false;
  // Since when the source has it no more, and the target not yet.
  absl::Time gone_since = absl::InfiniteFuture();
  // A failure that the source told of before this move was begun.
  std::string old_error;
};

// Moves of a desktop that failed.
struct MoveTrouble {
  uint32_t failures = 0;
  // Not tried again before.
  absl::Time not_before;
  // Where the last one was to go, and why it failed.
  std::string target;
  std::string why;
};

// A site that is being made even.
struct Evening {
  // An administrator asked for it; empty: the policy did.
  std::string actor;
  std::string origin;
};

struct BalanceState {
  // By desktop.
  std::map<std::string, MoveSoft> moves;
  std::map<std::string, MoveTrouble> troubles;
  std::map<std::string, absl::Time> moved_at;
  // By site: those that an administrator wants even, and since when others are uneven.
  std::map<std::string, Evening> evenings;
  std::map<std::string, absl::Time> uneven_since;
  // Hosts that are emptied for the night.
  std::set<std::string> resting;
  // Desktops that a host reports beside their own one, since when: (host, desktop).
  std::map<std::pair<std::string, std::string>, absl::Time> strays;
  // When drains, and when the policies, were looked at last.
  absl::Time looked = absl::InfinitePast();
  absl::Time policies_looked = absl::InfinitePast();
};

}  // namespace werkplek
