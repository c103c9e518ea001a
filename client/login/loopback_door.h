// A port on 127.0.0.1 that opens once, for the same user alone: for VNC viewers, which know no
// local sockets.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace werkplek {

class LoopbackDoor {
 public:
  static absl::StatusOr<std::unique_ptr<LoopbackDoor>> Open();
  ~LoopbackDoor();
  LoopbackDoor(const LoopbackDoor&) = delete;
  LoopbackDoor& operator=(const LoopbackDoor&) = delete;

  uint16_t port() const { return port_; }

  // The first connection of a process of this user; then the port is closed. Others are turned
  // away. The caller owns the descriptor. CANCELLED: `stop` became readable (or its writer went).
  // DEADLINE_EXCEEDED: nobody came within `timeout`.
  absl::StatusOr<int> Accept(absl::Duration timeout, int stop);

 private:
  LoopbackDoor(int listener, uint16_t port) : listener_(listener), port_(port) {}
  // Whether the peer of `connection` belongs to this user.
  bool IsOwn(int connection) const;

  int listener_;
  const uint16_t port_;
};

// The user id of the socket with this local and remote port on 127.0.0.1, from the text of
// /proc/net/tcp (proc(5)); -1: none. Pure.
int64_t OwnerOfLoopbackSocket(absl::string_view proc_net_tcp, uint16_t local, uint16_t remote);

}  // namespace werkplek
