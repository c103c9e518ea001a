// Keeps a pool as its policy wants it: people assigned, spares running, the rest reset or removed.
#pragma once

#include <string>

#include "broker/core/turn.h"

namespace werkplek {

// The spare that a person with this home gets: in the home site before others (never in others when
// it is required), running before suspended, on the declared image before an older one, then by id.
// Empty: none that can be given out.
std::string PickSpare(const Turn& turn, const std::string& pool, const Home& home);

// Assigns, resets, makes, resumes, suspends and removes, as far as limits allow now.
// `all_dirty` false: when the pool has many dirty desktops, they are left to the next tick.
void ServePool(Turn& turn, const std::string& pool, bool all_dirty = true);

// Serves every pool that the turn touched, until nothing is left to do.
void ServeTouched(Turn& turn, bool all_dirty = true);

// Whether spares on the host can be given out.
bool HostGivesOut(const Turn& turn, const std::string& host);

// Everything on a draining host that serves nobody goes.
void DrainHost(Turn& turn, const std::string& host);

}  // namespace werkplek
