// How an agent's link finds a leader, and how long it bears one that says nothing.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace werkplek {

struct BrokerLinkSettings {
  // "ADDRESS:PORT", tried in turn. A broker that does not lead names the leader, which is then
  // tried first, whether it is of the list or not.
  std::vector<std::string> brokers;
  // The pause after a failed attempt doubles from the first to the last, and is spread by half.
  absl::Duration first_pause = absl::Milliseconds(200);
  absl::Duration last_pause = absl::Seconds(5);
  // A broker that was not heard by then, from the attempt's beginning, is left. Where that came to
  // nothing the next attempts wait longer, as the pauses do.
  absl::Duration answer_limit = absl::Seconds(2);
  // A leader that was heard, and says nothing for so long, is left: it owes a word every two
  // seconds, and another leader must be found before the fence. What it says of the fence and of
  // reports may shorten or prolong this.
  absl::Duration silence_limit = absl::Seconds(4);
  // A connection that answers no ping within the timeout is given up (HTTP/2 keepalive). It tells a
  // dead connection, not a silent leader: one that hangs may still answer pings, and a broker
  // refuses pings that come too often.
  absl::Duration keepalive = absl::Seconds(10);
  absl::Duration keepalive_timeout = absl::Seconds(5);
};

}  // namespace werkplek
