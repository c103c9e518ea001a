// A picture of a VNC display (libvncclient, libpng).
#pragma once

#include <cstdint>
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
// display, or not all of it within `timeout`.
absl::StatusOr<Picture> TakePicture(const std::string& path, absl::Duration timeout);

// Writes a PNG file (mode 0600: screens are private).
absl::Status SavePng(const Picture& picture, const std::string& file);

}  // namespace werkplek
