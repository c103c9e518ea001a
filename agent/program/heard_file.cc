#include "agent/program/heard_file.h"

#include <cerrno>
#include <cstdio>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace werkplek {

HeardState ReadHeardFile(const std::string& path, const std::string& boot_id) {
  std::ifstream file(path);
  std::string boot;
  int64_t heard_at_ns = 0;
  int64_t fence_after_ms = 0;
  std::string end;
  if (!(file >> boot >> heard_at_ns >> fence_after_ms >> end) || end != "end" || boot != boot_id) {
    return {};
  }
  if (fence_after_ms <= 0) return {};
  return {absl::Nanoseconds(heard_at_ns), absl::Milliseconds(fence_after_ms)};
}

absl::Status WriteHeardFile(const std::string& path, const std::string& boot_id,
                            const HeardState& heard) {
  const std::string beside = path + ".new";
  {
    std::ofstream file(beside, std::ios::trunc);
    file << absl::StrCat(boot_id, " ", absl::ToInt64Nanoseconds(heard.heard_at), " ",
                         absl::ToInt64Milliseconds(heard.fence_after), " end\n");
    file.close();
    if (!file) return absl::UnavailableError(absl::StrCat("cannot write ", beside));
  }
  if (std::rename(beside.c_str(), path.c_str()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot replace ", path));
  }
  return absl::OkStatus();
}

}  // namespace werkplek
