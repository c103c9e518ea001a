// Connect: the own session, else a spare, else a place in the queue, else a refusal with reasons.
#pragma once

#include <string>
#include <vector>

#include "broker/core/turn.h"
#include "broker/placement/placement.h"

namespace werkplek {

// Answers a Connect call whose caller was authorised. `sign_in` is the caller's.
void HandleConnect(Turn& turn, const CallRequested& event, const v1::ConnectRequest& request,
                   const v1::SignIn& sign_in);

// A call whose session was lost goes back to the head of its pool's queue, with a fresh ticket.
void QueueAgain(Turn& turn, ConnectCall call);

// Gives spares of the pool to those who wait, in their order.
void AssignWaiting(Turn& turn, const std::string& pool);

// Tells each who waits what has changed for him or her: position, or the desktop that is starting.
void TellQueue(Turn& turn, const std::string& pool);

// Refuses those whose deadline has passed.
void ExpireQueue(Turn& turn, const std::string& pool);

// Refuses everybody who waits for the pool.
void RefuseQueue(Turn& turn, const std::string& pool, const std::string& rule,
                 const std::string& reason);

// The caller went away: leaves the queue; a session that was assigned stays.
void CancelCall(Turn& turn, CallId call);

// Calls of a sign-in that ended are failed.
void DropCallsOf(Turn& turn, const v1::SignIn& sign_in);

// Ends the call with a refusal: its rule, the reasons for people, what hosts were looked at.
void Refuse(Turn& turn, const ConnectCall& call, const std::string& rule,
            std::vector<std::string> reasons, std::vector<v1::HostVerdict> hosts = {});

// False: the sign-in or the entitlement is gone; the call was answered.
bool StillMay(Turn& turn, const ConnectCall& call);

// The most telling of the verdicts, in the explanation.
void KeepVerdicts(std::vector<v1::HostVerdict> verdicts, v1::Explanation& explanation);

// Whether the person may use the pool.
bool MayUse(const Fleet& fleet, const v1::SignIn& person, const std::string& pool);

}  // namespace werkplek
