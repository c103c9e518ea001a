// Which images the overlays of a host stand on, read from the overlays themselves.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace werkplek {

struct OverlayUse {
  // Desktops by each file in the backing chains of their overlays.
  std::map<std::string, std::vector<std::string>> desktops_on;
  // Desktops with an overlay whose chain cannot be read, and folders that cannot: they may stand on
  // anything.
  std::vector<std::string> unreadable;
};

// Whether an image of that digest may go. FAILED_PRECONDITION: a file with the digest in its name
// is in an overlay's backing chain, or may be. The message begins with `what` and names desktops.
absl::Status CheckUnused(const OverlayUse& use, const std::string& sha256, absl::string_view what);

// Whether to give up, as the program ends. Empty: never.
using StopAsked = std::function<bool()>;

// `folder` holds DESKTOP/*.qcow2. Blocking: about 20 ms for each overlay. Given up, `folder` itself
// is unreadable.
OverlayUse ReadOverlayUse(const std::string& folder, const StopAsked& stop = {});

// Every entry of `folder` with that end, sorted; nothing when there is no such folder.
std::vector<std::string> FilesIn(const std::string& folder, absl::string_view end);

}  // namespace werkplek
