// Hears what a program tells systemd (sd_notify(3)).
#pragma once

#include <string>

#include "absl/time/time.h"

namespace werkplek {

class SystemdSocket {
 public:
  // Listens at `path`; programs are told of it by NOTIFY_SOCKET.
  explicit SystemdSocket(const std::string& path);
  ~SystemdSocket();
  SystemdSocket(const SystemdSocket&) = delete;
  SystemdSocket& operator=(const SystemdSocket&) = delete;

  // The next message; empty: none within `limit`.
  std::string Next(absl::Duration limit);
  // Whether `wanted` comes within `limit`; others are passed over.
  bool Hears(const std::string& wanted, absl::Duration limit);

  const std::string& path() const { return path_; }

 private:
  const std::string path_;
  int fd_;
};

}  // namespace werkplek
