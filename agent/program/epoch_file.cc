#include "agent/program/epoch_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/folder.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

absl::Status Failed(absl::string_view what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat(what, " ", path));
}

absl::Status WriteAndSync(const std::string& path, const std::string& text) {
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (descriptor < 0) return Failed("cannot write", path);
  const absl::Cleanup close_it = [descriptor] { close(descriptor); };
  if (write(descriptor, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return Failed("cannot write", path);
  }
  if (fsync(descriptor) != 0) return Failed("cannot sync", path);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<uint64_t> ReadEpochFile(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    if (errno == ENOENT) return 0;
    return Failed("cannot read", path);
  }
  const absl::Cleanup close_it = [descriptor] { close(descriptor); };
  char text[32];
  const ssize_t got = read(descriptor, text, sizeof text);
  if (got < 0) return Failed("cannot read", path);
  uint64_t epoch = 0;
  const absl::string_view number =
      absl::StripAsciiWhitespace(absl::string_view(text, static_cast<size_t>(got)));
  if (!absl::SimpleAtoi(number, &epoch)) {
    return absl::DataLossError(
        absl::StrCat(path,
                     " holds no epoch; remove it when only one broker was ever "
                     "used, else ask for its number"));
  }
  return epoch;
}

absl::Status WriteEpochFile(const std::string& path, uint64_t epoch) {
  const std::string beside = path + ".new";
  RETURN_IF_ERROR(WriteAndSync(beside, absl::StrCat(epoch, "\n")));
  if (std::rename(beside.c_str(), path.c_str()) != 0) return Failed("cannot replace", path);
  return SyncFolderOf(path);
}

}  // namespace werkplek
