// Which broker an agent's link tries, when, and until when it waits for a word. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "agent/link/broker_link_settings.h"
#include "werkplek/v1/agent.pb.h"

namespace werkplek {

class BrokerPlan {
 public:
  // How an attempt, or the stream that it became, ended.
  struct End {
    std::string broker;
    // Where the broker said that the leader is; empty: it did not.
    std::string leader;
    // It was left since it said nothing.
    bool silent = false;
  };

  explicit BrokerPlan(BrokerLinkSettings settings);

  // An attempt begins: the broker to try.
  std::string Begin(absl::Duration now);
  // The broker said something.
  void Heard(const v1::AgentCommand& command, absl::Duration now);
  // How long it may say nothing, and when it is left.
  absl::Duration limit() const;
  absl::Duration silent_at() const { return last_word_ + limit(); }
  // The attempt ended: the pause before the next. `chance` spreads it.
  absl::Duration Ended(const End& end, uint8_t chance);

 private:
  std::string NextOfList();
  // Between half and the whole, so that a thousand hosts do not come back at once.
  static absl::Duration Spread(absl::Duration pause, uint8_t chance);

  const BrokerLinkSettings settings_;
  size_t next_ = 0;
  // Tried before the next one of the list: the leader that a broker named, or once more the broker
  // that was the leader until now. Empty: none.
  std::string first_try_;
  // The last one that ended; the list passes it over once.
  std::string last_;
  int redirects_ = 0;
  absl::Duration pause_ = absl::ZeroDuration();

  // Of the attempt that runs.
  bool heard_ = false;
  // When the broker spoke last, at first when the attempt began.
  absl::Duration last_word_ = absl::ZeroDuration();
  absl::Duration silence_limit_;
};

}  // namespace werkplek
