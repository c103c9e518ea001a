#include "tests/support/tiny_guest/tiny_guest.h"

#include <stdlib.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

std::string Variable(const char* name, const char* otherwise) {
  const char* value = getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

std::string Folder() { return Variable("WERKPLEK_BIN_DIR", "build/dev/bin") + "/../tiny"; }

}  // namespace

absl::StatusOr<TinyGuest> BuildTinyGuest() {
  const std::string build = Variable("WERKPLEK_SOURCE_DIR", ".") + "/deploy/images/tiny/build";
  RETURN_IF_ERROR(RunProgram({build, Folder()}, absl::Minutes(2)).status());
  TinyGuest guest;
  // In image.yaml each field of the image is "  key: value".
  for (const absl::string_view line :
       absl::StrSplit(ReadWholeFile(Folder() + "/image.yaml"), '\n')) {
    const std::pair<std::string, std::string> field =
        absl::StrSplit(absl::StripLeadingAsciiWhitespace(line), absl::MaxSplits(": ", 1));
    if (field.first == "source") guest.disk = field.second;
    if (field.first == "kernel") guest.kernel = field.second;
    if (field.first == "initrd") guest.initrd = field.second;
    if (field.first == "kernel_arguments") guest.kernel_arguments = field.second;
    if (field.first == "sha256") guest.sha256 = field.second;
    if (field.first == "size_bytes" && !absl::SimpleAtoi(field.second, &guest.size_bytes)) {
      return absl::InternalError("image.yaml: size_bytes is no number");
    }
  }
  if (guest.disk.empty() || guest.kernel.empty() || guest.sha256.size() != 64) {
    return absl::InternalError("image.yaml lacks a key");
  }
  return guest;
}

absl::StatusOr<Accelerator> TestAccelerator() { return FindAccelerator(Folder() + "/accelerator"); }

absl::Status MakeTinyOverlay(const TinyGuest& guest, const std::string& path) {
  return RunProgram(
             {"qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", guest.disk, path})
      .status();
}

}  // namespace werkplek
