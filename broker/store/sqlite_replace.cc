#include "broker/store/sqlite_replace.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/folder.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

std::string LogOf(const std::string& file) { return file + "-wal"; }

std::string KeptName(const std::string& file, const std::string& aside) {
  return absl::StrCat(aside, "/", std::filesystem::path(file).filename().string());
}

bool IsThere(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

bool IsEmpty(const std::string& path) {
  struct stat facts;
  return stat(path.c_str(), &facts) == 0 && facts.st_size == 0;
}

// Two names of one file.
bool IsSame(const std::string& one, const std::string& other) {
  std::error_code error;
  return std::filesystem::equivalent(one, other, error);
}

absl::Status Failed(absl::string_view what, const std::string& name) {
  return absl::ErrnoToStatus(errno, absl::StrCat(what, " ", name));
}

absl::Status KeptAlready(const std::string& aside) {
  return absl::FailedPreconditionError(absl::StrCat(
      aside, " is there already: it holds the store of before an earlier restore; move it away"));
}

// Gives `file` and its log second names in `aside`.
absl::Status Keep(const std::string& file, const std::string& aside) {
  const std::string kept = KeptName(file, aside);
  if (mkdir(aside.c_str(), 0700) != 0) {
    if (errno != EEXIST) return Failed("cannot make", aside);
    // A restore that was cut short has moved all away. Another log is none of what it kept.
    const bool known =
        !IsThere(LogOf(file)) || IsEmpty(LogOf(file)) || IsSame(LogOf(file), LogOf(kept));
    return known ? absl::OkStatus() : KeptAlready(aside);
  }
  if (link(file.c_str(), kept.c_str()) != 0 && errno != ENOENT) return Failed("cannot make", kept);
  if (link(LogOf(file).c_str(), LogOf(kept).c_str()) != 0 && errno != ENOENT) {
    return Failed("cannot make", LogOf(kept));
  }
  RETURN_IF_ERROR(SyncFolderOf(kept));
  return SyncFolderOf(aside);
}

}  // namespace

absl::Status ReadySqliteReplace(const std::string& file, const std::string& aside) {
  const std::string kept = KeptName(file, aside);
  // Cut short before anything was taken away: what is kept is what still stands in its place.
  if (IsSame(file, kept)) {
    unlink(LogOf(kept).c_str());
    unlink(kept.c_str());
  }
  // Goes only when it is empty.
  rmdir(aside.c_str());
  // Without a file, one was cut short after it was taken away.
  return IsThere(aside) && IsThere(file) ? KeptAlready(aside) : absl::OkStatus();
}

absl::Status ReplaceSqliteFile(const std::string& file, const std::string& fresh,
                               const std::string& aside) {
  const std::string log = LogOf(file);
  const std::string empty = fresh + "-empty";
  RETURN_IF_ERROR(Keep(file, aside));
  const int fd = open(empty.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0) return Failed("cannot make", empty);
  close(fd);
  absl::Cleanup forget = [&empty] { unlink(empty.c_str()); };
  // A broker that finds no file makes an empty store, but not beside a log.
  const bool had_log = IsThere(log);
  if (!had_log && rename(empty.c_str(), log.c_str()) != 0) return Failed("cannot make", log);
  RETURN_IF_ERROR(SyncFolderOf(file));
  if (unlink(file.c_str()) != 0 && errno != ENOENT) return Failed("cannot move away", file);
  unlink((file + "-shm").c_str());
  const absl::Status placed = [&]() -> absl::Status {
    RETURN_IF_ERROR(SyncFolderOf(file));
    // The old log would be played into the new file.
    if (had_log && rename(empty.c_str(), log.c_str()) != 0) return Failed("cannot move away", log);
    RETURN_IF_ERROR(SyncFolderOf(file));
    return rename(fresh.c_str(), file.c_str()) == 0 ? absl::OkStatus()
                                                    : Failed("cannot make", file);
  }();
  if (!placed.ok()) {
    return absl::Status(placed.code(), absl::StrCat(placed.message(),
                                                    "; run the restore again. What was there is "
                                                    "whole in ",
                                                    aside));
  }
  // The new one stands before what kept brokers away goes.
  RETURN_IF_ERROR(SyncFolderOf(file));
  unlink(log.c_str());
  return SyncFolderOf(file);
}

}  // namespace werkplek
