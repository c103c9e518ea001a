#include "tests/bench/rfb.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr int kLimitMs = 20'000;
constexpr size_t kServerInitBytes = 24;
constexpr size_t kNameLengthAt = 20;
constexpr size_t kMaxNameBytes = 4'096;

absl::StatusOr<std::string> Read(int socket, size_t count) {
  std::string bytes(count, '\0');
  size_t have = 0;
  while (have < count) {
    pollfd readable = {socket, POLLIN, 0};
    if (poll(&readable, 1, kLimitMs) != 1) {
      return absl::DeadlineExceededError("the display is silent");
    }
    const ssize_t got = read(socket, bytes.data() + have, count - have);
    if (got <= 0) return absl::UnavailableError("the display was closed");
    have += static_cast<size_t>(got);
  }
  return bytes;
}

absl::Status Write(int socket, absl::string_view bytes) {
  const ssize_t sent = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent == static_cast<ssize_t>(bytes.size())) return absl::OkStatus();
  return absl::UnavailableError("the display was closed");
}

}  // namespace

absl::Status RfbHandshake(int socket) {
  ASSIGN_OR_RETURN(const std::string version, Read(socket, 12));
  if (version.substr(0, 4) != "RFB ") return absl::InternalError("no VNC display");
  RETURN_IF_ERROR(Write(socket, "RFB 003.008\n"));
  ASSIGN_OR_RETURN(const std::string kinds, Read(socket, 1));
  ASSIGN_OR_RETURN(const std::string offered, Read(socket, static_cast<uint8_t>(kinds[0])));
  if (offered.find('\1') == std::string::npos) {
    return absl::InternalError("the display wants a password");
  }
  RETURN_IF_ERROR(Write(socket, "\1"));
  ASSIGN_OR_RETURN(const std::string result, Read(socket, 4));
  if (result != std::string(4, '\0')) return absl::PermissionDeniedError("the display refused");
  RETURN_IF_ERROR(Write(socket, "\1"));
  ASSIGN_OR_RETURN(const std::string init, Read(socket, kServerInitBytes));
  size_t name_bytes = 0;
  for (size_t i = kNameLengthAt; i < kServerInitBytes; ++i) {
    name_bytes = name_bytes << 8 | static_cast<uint8_t>(init[i]);
  }
  if (name_bytes > kMaxNameBytes) return absl::InternalError("the screen's name is too long");
  return Read(socket, name_bytes).status();
}

}  // namespace werkplek
