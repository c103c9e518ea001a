#include "agent/image/deed.h"

#include <fcntl.h>
#include <unistd.h>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/image/image_declaration.h"
#include "agent/image/image_file.h"

namespace werkplek {

absl::Status MayTake(const std::optional<Deed>& deed, uint64_t generation,
                     const std::string& host) {
  if (!deed.has_value() || deed->generation < generation) return absl::OkStatus();
  if (deed->generation == generation && deed->host == host) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the disk's deed is ", deed->host, "'s, at generation ", deed->generation));
}

bool MayRemove(const std::optional<Deed>& deed, uint64_t generation, const std::string& host) {
  return deed.has_value() && deed->host == host && deed->generation <= generation;
}

absl::Status MayHandOver(const std::optional<Deed>& deed, uint64_t generation) {
  if (!deed.has_value() || deed->generation <= generation) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the disk's deed is ", deed->host, "'s, at generation ", deed->generation));
}

absl::StatusOr<std::optional<Deed>> ReadDeed(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    if (errno == ENOENT) return std::optional<Deed>();
    return FileError(errno, "cannot read " + path);
  }
  const absl::Cleanup close_it = [descriptor] { close(descriptor); };
  char buffer[256];
  const ssize_t got = read(descriptor, buffer, sizeof buffer);
  if (got < 0) return FileError(errno, "cannot read " + path);
  const std::pair<std::string, std::string> words = absl::StrSplit(
      absl::StripAsciiWhitespace(absl::string_view(buffer, static_cast<size_t>(got))),
      absl::MaxSplits(' ', 1));
  Deed deed;
  deed.host = words.second;
  if (!absl::SimpleAtoi(words.first, &deed.generation) || !IsPlainName(deed.host)) {
    return absl::DataLossError(absl::StrCat(
        path, " is no deed (GENERATION HOST); when the desktop runs nowhere, remove it"));
  }
  return std::optional<Deed>(std::move(deed));
}

absl::Status WriteDeed(const std::string& path, const Deed& deed) {
  return WriteWhole(path, absl::StrCat(deed.generation, " ", deed.host, "\n"));
}

}  // namespace werkplek
