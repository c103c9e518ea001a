// A picture of a VNC display (libvncclient, libpng).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace werkplek {

// Red, green, blue; row by row.
struct Picture {
  uint32_t width = 0;
  uint32_t height = 0;
  std::vector<uint8_t> rgb;
};

// Connects to the VNC server at the local socket `path` and gives its whole screen, once it stands
// still for 300 ms and shows more than one colour, or after 5 s as it is then. UNAVAILABLE: no
// display, or not all of it within `timeout`. CANCELLED: `interrupted`, which is asked at least
// every 500 ms once there is a display, has said so.
absl::StatusOr<Picture> TakePicture(const std::string& path, absl::Duration timeout,
                                    const std::function<bool()>& interrupted);

// Writes a PNG file (mode 0600: screens are private).
absl::Status SavePng(const Picture& picture, const std::string& file);

}  // namespace werkplek
