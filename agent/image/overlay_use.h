// Which images the overlays of a host stand on, read from the overlays themselves.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace werkplek {

struct OverlayUse {
  // Desktops by each file in the backing chains of their overlays.
  std::map<std::string, std::vector<std::string>> desktops_on;
  // Desktops with an overlay whose chain cannot be read: they may stand on anything.
  std::vector<std::string> unreadable;
};

// `folder` holds DESKTOP/*.qcow2. Blocking: about 20 ms for each overlay.
OverlayUse ReadOverlayUse(const std::string& folder);

// Every entry of `folder` with that end, sorted; nothing when there is no such folder.
std::vector<std::string> FilesIn(const std::string& folder, absl::string_view end);

}  // namespace werkplek
