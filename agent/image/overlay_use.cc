#include "agent/image/overlay_use.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "agent/image/qemu_img.h"

namespace werkplek {

namespace fs = std::filesystem;

std::vector<std::string> FilesIn(const std::string& folder, absl::string_view end) {
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), last; !error && it != last; it.increment(error)) {
    const std::string path = it->path().string();
    if (absl::EndsWith(path, end)) paths.push_back(path);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

OverlayUse ReadOverlayUse(const std::string& folder) {
  OverlayUse use;
  for (const std::string& of_desktop : FilesIn(folder, "")) {
    const std::string desktop = fs::path(of_desktop).filename().string();
    for (const std::string& overlay : FilesIn(of_desktop, ".qcow2")) {
      const absl::StatusOr<std::vector<DiskInfo>> chain = ReadChain(overlay);
      if (!chain.ok()) {
        use.unreadable.push_back(desktop);
        continue;
      }
      for (const DiskInfo& disk : *chain) {
        if (disk.backing.empty()) continue;
        std::vector<std::string>& desktops = use.desktops_on[disk.backing];
        if (desktops.empty() || desktops.back() != desktop) desktops.push_back(desktop);
      }
    }
  }
  return use;
}

}  // namespace werkplek
