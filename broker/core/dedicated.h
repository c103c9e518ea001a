// Dedicated pools: one desktop per user, kept. Assigned at the first use or by an administrator;
// off while nobody uses it, with its memory still counted; started where its disk is.
#pragma once

#include <string>

#include "broker/core/turn.h"

namespace werkplek {

// The caller's own desktop in the pool of the call; nullptr: there is none. Good until the next
// write.
const v1::Desktop* OwnDesktop(const Turn& turn, const ConnectCall& call);

// Gives those who wait their own desktop: the one they have, started where that may be, or at the
// first use one that nobody owns. Refuses where it cannot come.
void ServeOwners(Turn& turn, const std::string& pool);

// Tells those who wait for their own desktop what it waits for, when that has changed.
void TellOwners(Turn& turn, const std::string& pool);

// Owned desktops that run for nobody are shut down, after a while or when their host is drained.
void ParkIdle(Turn& turn, const std::string& pool);

// The kept desktop is shut down, or was found off. A session must have ended before.
void ParkDesktop(Turn& turn, v1::Desktop desktop, const std::string& why);

// The host of a kept desktop that was lost is back; `report` is what it says of it.
void ReturnKept(Turn& turn, v1::Desktop desktop, const v1::DesktopReport* report);

// A report shows the kept desktop running.
void KeptRuns(Turn& turn, v1::Desktop desktop);

// Deals with a report of something that the host has and should not have. The disk of a kept
// desktop is removed only when it is sure to be a left-over.
void StopStranger(Turn& turn, const std::string& host, const v1::DesktopReport& report);

// A disk that is somebody's stands where the broker knew a desktop of nobody's: its store went back
// in time. It counts as lost, and with the next report as a stranger.
void ForgetDesktop(Turn& turn, v1::Desktop desktop, const v1::DesktopReport& report);

// How many desktops the pool has, those not counted that are being removed or that nobody misses.
uint32_t Existing(const PoolState& pool);

// The spare is this user's from now on.
void GiveSpare(Turn& turn, const std::string& desktop, const std::string& user);

}  // namespace werkplek
