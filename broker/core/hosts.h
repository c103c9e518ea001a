// Hosts: whether they live, what they report, and what follows from it.
#pragma once

#include <string>

#include "broker/core/turn.h"

namespace werkplek {

void HandleAttached(Turn& turn, const AgentAttached& event);
void HandleDetached(Turn& turn, const AgentDetached& event);
// Compares the full report with what is wanted and acts on each difference.
void HandleReported(Turn& turn, const AgentReported& event);

// Derives the host's liveness from its silence. What follows from it, JudgeSilence (sites.h) does.
void JudgeHost(Turn& turn, const std::string& host);

// Keeps BrokerState::closed_hosts true for the host. The pools are looked at with the next tick: a
// thousand hosts that come at once, as after an election, would else have every pool looked at a
// thousand times.
void RefreshHost(Turn& turn, const std::string& host);

// The start of the desktop may be late.
void DesktopTimerFired(Turn& turn, const std::string& id);

// Asks the host for images that it will need, and lets it drop those that are no longer declared.
void CheckImages(Turn& turn, const std::string& host, const v1::AgentReport& report);

}  // namespace werkplek
