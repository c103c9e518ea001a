// Fences: when it is sure that no copy of a desktop on a silent host runs any more, and what makes
// it sure.
#pragma once

#include <string>

#include "broker/core/tokens.h"
#include "broker/core/turn.h"
#include "broker/reconcile/fence.h"

namespace werkplek {

// As far as the fleet tells. `last_start` is when a start of its generation was last sent to its
// host by this broker. `epoch` is this broker's; 0: whatever its host has obeyed.
FenceVerdict FenceOf(const Fleet& fleet, const BrokerSettings& settings, const v1::Desktop& desktop,
                     absl::Time last_start, uint64_t epoch, absl::Time now);
FenceVerdict FenceOf(const Turn& turn, const v1::Desktop& desktop);

// What is known of a kept desktop's copies, for people; empty: its host answers, so that is known.
std::string FenceText(const Fleet& fleet, const BrokerSettings& settings,
                      const v1::Desktop& desktop, absl::Time now);

// Commits each fence of the pool's kept desktops that has become sure; asks for hosts to be
// switched off where that would help.
void JudgeFences(Turn& turn, const std::string& pool);

// Whether the loss of a floating desktop must wait: it is fenced, and a copy may still run.
bool LossWaitsForFence(Turn& turn, const v1::Desktop& desktop);

// The desktop may be started on its host from now on: what its agent waits without a leader is
// part of the record.
void StampFenceAfter(const Turn& turn, v1::Desktop& desktop);

// The same for every fenced desktop of the host, before its agent is told of this broker's
// fence_after. `before` is the report that came before this one.
void NoteFenceAfter(Turn& turn, const std::string& host, const v1::AgentReport& before,
                    const v1::AgentReport& report);

void HandleHostFenced(Turn& turn, const HostFenced& event);

CallAnswer OverrideFence(Turn& turn, const CallRequested& event,
                         const v1::OverrideFenceRequest& request, const std::string& actor);

}  // namespace werkplek
