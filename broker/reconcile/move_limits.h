// How many moves at a time, and how much one must help.
#pragma once

#include <cstdint>

namespace werkplek {

struct MoveLimits {
  // Moves under way at a time: in all, in a site, and to or from one host.
  uint32_t all = 4;
  uint32_t per_site = 2;
  uint32_t per_host = 1;
  // The loads of two hosts are uneven when they are so far apart, 0 to 1.
  double margin = 0.15;
  // The more loaded of the two must be relieved by so much, 0 to 1.
  double gain = 0.002;
};

}  // namespace werkplek
