// The life of a desktop: made, started, proved, failed, spoiled, reset, removed, lost.
#pragma once

#include <string>

#include "broker/core/homes.h"
#include "broker/core/turn.h"
#include "broker/placement/placement.h"

namespace werkplek {

// Where a new desktop of the pool would go now, with a verdict for each host but `avoid`; for
// people with this home, or for anybody.
Placement PlaceFor(Turn& turn, const v1::Pool& pool, const Home& home,
                   const std::string& avoid = "");
Placement PlaceFor(Turn& turn, const v1::Pool& pool, const std::string& avoid = "");

// What placement thinks of starting the desktop where it stands: as if it were not there yet.
v1::HostVerdict VerdictInPlace(Turn& turn, const v1::Pool& pool, const v1::Desktop& desktop);

// Why no host that is there for the pool can make a desktop of its image; empty: one can, or may
// be asked to, or no host is there.
std::string ImageFault(const Turn& turn, const v1::Pool& pool);

// Makes a desktop on the host, for `owner` (empty: nobody), and commands its first start; its id.
// `failed`: the one that it replaces.
std::string CreateDesktop(Turn& turn, const std::string& pool_name, const v1::Pool& pool,
                          const std::string& host, const std::string& owner = "",
                          const v1::Desktop* failed = nullptr);

// Its start failed: removed, and made anew on another host; what failed so far goes with it.
void MakeElsewhere(Turn& turn, const v1::Desktop& failed, const v1::Pool& pool,
                   const std::string& host);

// Whether its host is up and open, and the limits on starts there and in its site allow one more
// now.
bool StartFits(const Turn& turn, const v1::Desktop& desktop);

// Neither of the next two does anything to a desktop that is being moved.
// Dirty or failed for good -> Resetting with the next generation, on the pool's image and size as
// they are now; removed when that no longer fits its host.
void ResetDesktop(Turn& turn, v1::Desktop desktop);

// Commands its removal. A kept desktop is spared, whoever asks: an administrator's word takes its
// owner away first.
void RemoveDesktop(Turn& turn, v1::Desktop desktop);

// Must be made fresh before it may serve (again). A kept desktop is off instead.
void SpoilDesktop(Turn& turn, v1::Desktop desktop, const std::string& why);

// The same because an administrator says so: a kept desktop, too.
void SpoilOnRequest(Turn& turn, v1::Desktop desktop);

// Its session is over: a floating desktop is to be made fresh, a kept one is shut down.
void ReleaseDesktop(Turn& turn, v1::Desktop desktop);

// A start failed: counted for the desktop, which is given up after some unless the pool's breaker
// is open, and for the breaker. A kept desktop is off then, and says nothing of the pool.
void FailDesktop(Turn& turn, v1::Desktop desktop, const std::string& why);

// A start that began at `since` worked: failures are forgotten, and how long it took is told.
void NoteStarted(Turn& turn, absl::Time since, v1::Desktop& desktop);

// The report proves it: a spare from now on.
void ProveDesktop(Turn& turn, v1::Desktop desktop, const v1::ProofOfCleanness& proof);

// Its host is down. A session there must have ended before.
void LoseDesktop(Turn& turn, v1::Desktop desktop);

// Whether the desktop stands on another image or size than its pool declares.
bool IsStale(const Turn& turn, const v1::Desktop& desktop);

// Tells the pool's breaker in the fleet's soft table.
void ShowPool(Turn& turn, const std::string& pool);

// Closes the pool's breaker: a start worked, or what it rests on was changed. What failed while it
// opened, given up or not, is tried anew.
void CloseBreaker(Turn& turn, const std::string& pool, const std::string& why);

}  // namespace werkplek
