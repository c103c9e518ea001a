// The life of a session: assigned, prepared, opened, left, taken over, ended.
#pragma once

#include <string>

#include "absl/functional/function_ref.h"
#include "broker/core/turn.h"

namespace werkplek {

// What the desktop's host said of it last; nullptr: nothing, or the host is not up.
const v1::DesktopReport* ReportOf(const Turn& turn, const v1::Desktop& desktop);

// Binds the spare to the caller and begins to prepare it. `explanation` says why this one.
void Assign(Turn& turn, ConnectCall call, const std::string& desktop_id,
            v1::Explanation explanation);

// The caller's own session once more: the same desktop, a new ticket; an older call for it ends.
void Reconnect(Turn& turn, ConnectCall call, v1::Session session);

// Does the next thing for a pending session: resume, tell the guest, grant the ticket, answer.
void Advance(Turn& turn, const std::string& session_id);

// Acts on what the host reports of a session's desktop, which runs or is suspended.
void ReconcileSession(Turn& turn, const v1::Desktop& desktop, const v1::DesktopReport& report);

// The session is to end: the guest is told, and the desktop released when it was. `actor` and
// `origin` are for the audit.
void BeginEnding(Turn& turn, v1::Session session, const std::string& reason,
                 const std::string& actor, const std::string& origin);

// Ended: the desktop is dirty from here on.
void FinishSession(Turn& turn, const std::string& session_id);

// Ended at once: its desktop is no more, or out of reach. A call that waits for it queues again.
// The desktop's own transition is the caller's.
void LoseSession(Turn& turn, const std::string& session_id, const std::string& reason);

// Closes the display; the session stays, by its pool's policy.
void CloseDisplay(Turn& turn, v1::Session session);

// The same for live sessions of the person ("": of everybody) for which `which` holds.
void CloseDisplays(Turn& turn, const std::string& user,
                   absl::FunctionRef<bool(const v1::Session&)> which);

// A time of the session has come (or a timer fired for nothing).
void SessionTimerFired(Turn& turn, const std::string& session_id);

// Ends the call that waits for this session, if there is one.
void FailOpening(Turn& turn, const std::string& session_id, const absl::Status& why);

}  // namespace werkplek
