// Sites: whether they take work, their loss as one event, and their return.
#pragma once

#include <string>
#include <vector>

#include "broker/core/tokens.h"
#include "broker/core/turn.h"

namespace werkplek {

// A reason that goes into the audit; INVALID_ARGUMENT says what it must be.
absl::Status CheckReason(const std::string& reason);

// The site's loss in words, when it keeps new work away ("site a is lost: 6 of 6 hosts silent for
// 10s"); empty: it does not.
std::string SiteLossText(const Fleet& fleet, const std::string& site);

// Whether new work may go to the host: by its own record, its site's, and its site's loss (which
// counts as draining: what comes back there is removed, not started anew). DRAINING for a host that
// is not declared.
v1::Schedulability WorkAllowed(const Fleet& fleet, const std::string& host);

// Why the pool's people may have to wait: one line for each site of the pool that is not in order.
std::vector<std::string> SiteTroubles(const Fleet& fleet, const v1::Pool& pool);

// Follows the silence of hosts through: single hosts and lost sites lose their desktops, those of
// the most important pools and the oldest sessions first, some at each tick; a brake that is on or
// off is recorded.
void JudgeSilence(Turn& turn);

// Sites that were lost and answer again: in use again, or waiting for an administrator.
void JudgeReturns(Turn& turn);

// The host answers: its silence is judged anew the next time.
void HostAnswers(Turn& turn, const std::string& host);

// Whether the desktop is on a host that was judged down; it is then lost at once, ahead of its
// turn, with its session.
bool LoseNow(Turn& turn, const std::string& desktop);

// What a person is told whose desktop is on a host that is down, while the brake holds; empty:
// it is not so.
std::string BrakeText(const Turn& turn, const std::string& desktop);

// The site's record, or its hosts' work, was changed by an administrator.
void SiteDeclared(Turn& turn, const std::string& site);

CallAnswer ConfirmSiteLoss(Turn& turn, const CallRequested& event,
                           const v1::ConfirmSiteLossRequest& request, const std::string& actor);
CallAnswer ReadmitSite(Turn& turn, const CallRequested& event,
                       const v1::ReadmitSiteRequest& request, const std::string& actor);

}  // namespace werkplek
