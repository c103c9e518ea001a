// One desktop on its way to another host of its site, live: begun, followed by what both hosts
// report, over, failed.
//
// `moving_to` is committed before MIGRATE goes out, and says that either host may have the desktop:
// its memory counts on both. It ends by evidence only: the target has it and the source has not, or
// the source has it and is not at it (any more). Where commands came late all the same, a desktop
// is followed to where it is reported.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "broker/core/turn.h"
#include "werkplek/v1/agent.pb.h"

namespace werkplek {

inline bool IsMoving(const v1::Desktop& desktop) { return !desktop.moving_to().empty(); }

// Whether one more move between the two hosts may be under way now.
bool MoveAllowed(const Turn& turn, const std::string& from, const std::string& to);

// Begins to move the desktop to another host of its site. `why` is for people and for the audit;
// `actor` is who asked ("broker", "admin:NAME"). False: limits or room do not allow it now.
bool BeginMove(Turn& turn, const std::string& id, const std::string& to, const std::string& why,
               const std::string& actor);

// Begins a move of a suspended desktop whose person is back, when its host is drained or committed
// beyond its limit. False: it resumes where it is.
bool ResumeElsewhere(Turn& turn, const v1::Desktop& desktop);

// What the desktop's own host reports of it while it moves; nullptr: nothing.
void JudgeSource(Turn& turn, const v1::Desktop& desktop, const v1::DesktopReport* report);

// What another host reports of a desktop. False: it has no business there, and is to be removed.
bool JudgeElsewhere(Turn& turn, const std::string& host, const v1::DesktopReport& report);

// Its own host reports it no more. True: another host has it, and it was followed there.
bool FoundElsewhere(Turn& turn, const v1::Desktop& desktop);

// Its own host is down. True: it had arrived at the other one by then.
bool ArrivedMeanwhile(Turn& turn, const v1::Desktop& desktop);

// Keeps a line for `explain` on the desktop's moves.
void NoteMove(Turn& turn, const std::string& desktop, absl::string_view decision,
              const std::string& step);

}  // namespace werkplek
