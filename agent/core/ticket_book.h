// The tickets of one desktop, and the channels that they opened. Pure; times are monotonic.
//
// A ticket opens once: the first channel that presents it spends it. While that first channel
// lives, further channels of the same viewer and certificate may join (SPICE opens one connection
// for each of display, inputs, cursor, sound, ...).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "agent/core/agent_effect.h"

namespace werkplek {

class TicketBook {
 public:
  static constexpr size_t kMaxChannels = 16;
  // Dead tickets that are remembered, so that they are told from unknown ones and never live again.
  static constexpr size_t kMaxRemembered = 64;

  // Arms a ticket and kills every earlier one. Returns the channels that must be closed. A ticket
  // that this book has seen before changes nothing: a repeated command never re-arms it.
  // `ready` false: it does not open before SetReady.
  std::vector<uint64_t> Grant(const std::string& ticket_sha256,
                              const std::string& certificate_sha256, absl::Duration expires_at,
                              bool ready);

  // Whether this book has seen the ticket, in whatever state it is now.
  bool Knows(const std::string& ticket_sha256) const;

  // The armed ticket may open from now on.
  void SetReady();

  // Judges a presented ticket; kGranted adds the channel.
  agent::TicketAnswer Present(uint64_t channel, const std::string& ticket_sha256,
                              const std::string& certificate_sha256, const std::string& viewer,
                              absl::Duration now);

  // The channel reached the display.
  void Opened(uint64_t channel);
  // The channel ended.
  void Closed(uint64_t channel);
  // Kills all tickets; returns the channels that must be closed.
  std::vector<uint64_t> Revoke();
  // Kills what is late. True when something changed. A ticket that was never ready is forgotten:
  // nobody was given it, and granted again it may still open.
  bool Expire(absl::Duration now);
  // Forgets a ticket that is not ready yet, for the same reason.
  void ForgetUnready();

  // When the armed ticket dies; InfiniteDuration: none is armed.
  absl::Duration next_expiry() const;
  // SHA-256 of tickets that would open now.
  std::vector<std::string> OpenTickets() const;
  bool waits_for_ready() const;
  // At least one channel shows the display.
  bool connected() const;
  bool has_channels() const { return !channels_.empty(); }

 private:
  enum class State { kArmed, kOpen, kUsed, kLate, kReplaced };
  struct Ticket {
    std::string sha256;
    std::string certificate_sha256;
    absl::Duration expires_at;
    bool ready = false;
    State state = State::kArmed;
    std::string viewer;
    uint64_t first_channel = 0;

    // Nobody was given it yet.
    bool unready() const { return state == State::kArmed && !ready; }
  };
  struct Channel {
    std::string ticket_sha256;
    bool open = false;
    // Told to close; counts no longer as a display of the session.
    bool closing = false;
  };

  Ticket* Find(absl::string_view ticket_sha256);
  std::vector<uint64_t> CloseAll();

  std::deque<Ticket> tickets_;  // Oldest first.
  std::map<uint64_t, Channel> channels_;
};

}  // namespace werkplek
