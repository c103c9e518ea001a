// Two sockets joined.
#pragma once

namespace werkplek {

// Copies bytes both ways until both sides have ended, one fails, or `stop` becomes readable. An end
// on one side is passed on to the other. Makes both non-blocking; closes neither.
void JoinSockets(int a, int b, int stop);

}  // namespace werkplek
