#include "agent/core/ticket_book.h"

#include <algorithm>
#include <utility>

#include "common/base/crypto.h"

namespace werkplek {

using agent::TicketAnswer;

TicketBook::Ticket* TicketBook::Find(absl::string_view ticket_sha256) {
  for (Ticket& ticket : tickets_) {
    if (EqualInConstantTime(ticket.sha256, ticket_sha256)) return &ticket;
  }
  return nullptr;
}

bool TicketBook::Knows(const std::string& ticket_sha256) const {
  return std::any_of(tickets_.begin(), tickets_.end(),
                     [&](const Ticket& ticket) { return ticket.sha256 == ticket_sha256; });
}

std::vector<uint64_t> TicketBook::Grant(const std::string& ticket_sha256,
                                        const std::string& certificate_sha256,
                                        absl::Duration expires_at, bool ready) {
  if (Knows(ticket_sha256)) return {};
  std::vector<uint64_t> closed = Revoke();
  Ticket ticket;
  ticket.sha256 = ticket_sha256;
  ticket.certificate_sha256 = certificate_sha256;
  ticket.expires_at = expires_at;
  ticket.ready = ready;
  tickets_.push_back(std::move(ticket));
  if (tickets_.size() > kMaxRemembered) tickets_.pop_front();
  return closed;
}

void TicketBook::SetReady() {
  for (Ticket& ticket : tickets_) {
    if (ticket.state == State::kArmed) ticket.ready = true;
  }
}

TicketAnswer TicketBook::Present(uint64_t channel, const std::string& ticket_sha256,
                                 const std::string& certificate_sha256, const std::string& viewer,
                                 absl::Duration now) {
  Expire(now);
  Ticket* ticket = Find(ticket_sha256);
  if (ticket == nullptr) return TicketAnswer::kUnknown;
  // Whose it is comes first: nobody else learns what became of a ticket.
  if (!EqualInConstantTime(ticket->certificate_sha256, certificate_sha256)) {
    return TicketAnswer::kOtherCertificate;
  }
  const size_t live = static_cast<size_t>(std::count_if(
      channels_.begin(), channels_.end(), [](const auto& entry) { return !entry.second.closing; }));
  switch (ticket->state) {
    case State::kArmed:
      if (!ticket->ready) return TicketAnswer::kNotRunning;
      ticket->state = State::kOpen;
      ticket->viewer = viewer;
      ticket->first_channel = channel;
      break;
    case State::kOpen:
      if (viewer.empty() || ticket->viewer != viewer) return TicketAnswer::kUsed;
      if (live >= kMaxChannels) return TicketAnswer::kTooManyChannels;
      break;
    case State::kUsed:
    case State::kReplaced:
      return TicketAnswer::kUsed;
    case State::kLate:
      return TicketAnswer::kLate;
  }
  channels_[channel].ticket_sha256 = ticket_sha256;
  return TicketAnswer::kGranted;
}

void TicketBook::Opened(uint64_t channel) {
  const auto found = channels_.find(channel);
  if (found != channels_.end()) found->second.open = true;
}

void TicketBook::Closed(uint64_t channel) {
  channels_.erase(channel);
  for (Ticket& ticket : tickets_) {
    if (ticket.state == State::kOpen && ticket.first_channel == channel) {
      ticket.state = State::kUsed;
    }
  }
}

std::vector<uint64_t> TicketBook::CloseAll() {
  std::vector<uint64_t> closed;
  for (auto& [id, channel] : channels_) {
    if (channel.closing) continue;
    channel.closing = true;
    closed.push_back(id);
  }
  return closed;
}

std::vector<uint64_t> TicketBook::Revoke() {
  for (Ticket& ticket : tickets_) {
    if (ticket.state == State::kArmed) ticket.state = State::kReplaced;
    if (ticket.state == State::kOpen) ticket.state = State::kUsed;
  }
  return CloseAll();
}

bool TicketBook::Expire(absl::Duration now) {
  bool changed = std::erase_if(tickets_, [&](const Ticket& ticket) {
                   return ticket.unready() && now >= ticket.expires_at;
                 }) > 0;
  for (Ticket& ticket : tickets_) {
    if (ticket.state != State::kArmed || now < ticket.expires_at) continue;
    ticket.state = State::kLate;
    changed = true;
  }
  return changed;
}

void TicketBook::ForgetUnready() {
  std::erase_if(tickets_, [](const Ticket& ticket) { return ticket.unready(); });
}

absl::Duration TicketBook::next_expiry() const {
  absl::Duration next = absl::InfiniteDuration();
  for (const Ticket& ticket : tickets_) {
    if (ticket.state == State::kArmed) next = std::min(next, ticket.expires_at);
  }
  return next;
}

std::vector<std::string> TicketBook::OpenTickets() const {
  std::vector<std::string> open;
  for (const Ticket& ticket : tickets_) {
    if (ticket.state == State::kArmed && ticket.ready) open.push_back(ticket.sha256);
  }
  return open;
}

bool TicketBook::waits_for_ready() const {
  return std::any_of(tickets_.begin(), tickets_.end(),
                     [](const Ticket& ticket) { return ticket.unready(); });
}

bool TicketBook::connected() const {
  return std::any_of(channels_.begin(), channels_.end(),
                     [](const auto& entry) { return entry.second.open && !entry.second.closing; });
}

}  // namespace werkplek
