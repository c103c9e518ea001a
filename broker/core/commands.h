// Commands to agents. Each carries the epoch and the desktop's generation, and may be repeated.
#pragma once

#include "broker/core/turn.h"
#include "werkplek/v1/agent.pb.h"

namespace werkplek {

// Sends `verb` for the desktop now. START and RESET carry what it is made of.
void Send(Turn& turn, const v1::Desktop& desktop, v1::CommandVerb verb);

// BEGIN_SESSION, END_SESSION, CLOSE_DISPLAY for the session.
void SendSession(Turn& turn, const v1::Desktop& desktop, const v1::Session& session,
                 v1::CommandVerb verb);

// GRANT_TICKET for the call.
void SendTicket(Turn& turn, const v1::Desktop& desktop, const v1::Session& session,
                const ConnectCall& call);

// MIGRATE to the host that the desktop is to move to, whose libvirt is at `uri`.
void SendMigrate(Turn& turn, const v1::Desktop& desktop, const std::string& uri);

// REMOVE for something on the host that the broker does not know (or knows elsewhere).
void SendRemove(Turn& turn, const std::string& host, const std::string& desktop,
                uint64_t generation);

// STOP for the same, where its disk must stay.
void SendStop(Turn& turn, const std::string& host, const std::string& desktop, uint64_t generation);

// END_SESSION for a session that the desktop should not know of.
void SendEnd(Turn& turn, const v1::Desktop& desktop, const std::string& session);

// HEARD for the report of this sequence, under `epoch`.
v1::AgentCommand HeardCommand(const BrokerSettings& settings, uint64_t epoch, uint64_t sequence);

// Whether `verb` went to this generation less than a heartbeat ago: its report may not be here yet.
bool SentLately(const Turn& turn, const v1::Desktop& desktop, v1::CommandVerb verb);

}  // namespace werkplek
