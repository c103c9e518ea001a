// Interrupts as something to wait for, so that a display is closed in order.
#pragma once

namespace werkplek {

// While one exists, SIGINT, SIGTERM and SIGHUP do not end the process but make `descriptor`
// readable. One at a time in a process.
class SignalWatch {
 public:
  SignalWatch();
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  int descriptor() const;
  // Whether one has come.
  bool Came() const;
};

}  // namespace werkplek
