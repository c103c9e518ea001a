#include "agent/image/overlay_use.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/image/qemu_img.h"

namespace werkplek {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxNamedDesktops = 10;

// FilesIn; what there is beside an error.
std::vector<std::string> Entries(const std::string& folder, absl::string_view end,
                                 std::error_code& error) {
  std::vector<std::string> paths;
  for (fs::directory_iterator it(folder, error), last; !error && it != last; it.increment(error)) {
    const std::string path = it->path().string();
    if (absl::EndsWith(path, end)) paths.push_back(path);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// Not that it cannot be told.
bool IsGone(const std::string& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() == fs::file_type::not_found;
}

}  // namespace

std::vector<std::string> FilesIn(const std::string& folder, absl::string_view end) {
  std::error_code error;
  return Entries(folder, end, error);
}

absl::Status CheckUnused(const OverlayUse& use, const std::string& sha256, absl::string_view what) {
  std::set<std::string> holders(use.unreadable.begin(), use.unreadable.end());
  for (const auto& [path, desktops] : use.desktops_on) {
    // By the digest alone: another host, or an administrator, may spell the path in another way.
    if (absl::StrContains(path, sha256)) holders.insert(desktops.begin(), desktops.end());
  }
  if (holders.empty()) return absl::OkStatus();
  std::vector<std::string> named(holders.begin(), holders.end());
  named.resize(std::min(named.size(), kMaxNamedDesktops));
  return absl::FailedPreconditionError(absl::StrCat(what, " is in use by ", holders.size(),
                                                    " desktops: ", absl::StrJoin(named, ", "),
                                                    holders.size() > named.size() ? ", ..." : ""));
}

OverlayUse ReadOverlayUse(const std::string& folder, const StopAsked& stop) {
  OverlayUse use;
  std::error_code error;
  const std::vector<std::string> folders = Entries(folder, "", error);
  if (error) use.unreadable.push_back(folder);
  for (const std::string& of_desktop : folders) {
    const std::string desktop = fs::path(of_desktop).filename().string();
    const std::vector<std::string> overlays = Entries(of_desktop, ".qcow2", error);
    if (error && error != std::errc::not_a_directory && !IsGone(of_desktop)) {
      use.unreadable.push_back(desktop);
    }
    for (const std::string& overlay : overlays) {
      if (stop && stop()) {
        use.unreadable.push_back(folder);
        return use;
      }
      const absl::StatusOr<std::vector<DiskInfo>> chain = ReadChain(overlay);
      if (!chain.ok()) {
        // One that goes meanwhile stands on nothing; in a big pool there always is one.
        if (!IsGone(overlay)) use.unreadable.push_back(desktop);
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
