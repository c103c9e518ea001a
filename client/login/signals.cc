#include "client/login/signals.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace werkplek {
namespace {

constexpr std::array<int, 3> kSignals = {SIGINT, SIGTERM, SIGHUP};

// Handlers reach nothing but these.
std::array<int, 2> pipe_ends = {-1, -1};
std::array<struct sigaction, kSignals.size()> before;

void OnSignal(int) {
  const int saved = errno;
  const char byte = 0;
  if (write(pipe_ends[1], &byte, 1) < 0) {
    // Full: a signal is waiting already.
  }
  errno = saved;
}

}  // namespace

SignalWatch::SignalWatch() {
  if (pipe2(pipe_ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) pipe_ends = {-1, -1};
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &before[i]);
}

SignalWatch::~SignalWatch() {
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &before[i], nullptr);
  for (int& end : pipe_ends) {
    if (end >= 0) close(end);
    end = -1;
  }
}

int SignalWatch::descriptor() const { return pipe_ends[0]; }

bool SignalWatch::Came() const {
  pollfd watched = {pipe_ends[0], POLLIN, 0};
  return pipe_ends[0] >= 0 && poll(&watched, 1, 0) > 0;
}

}  // namespace werkplek
