#include "agent/hypervisor/accelerator.h"

#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <sstream>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/subprocess/subprocess.h"

namespace werkplek {
namespace {

constexpr absl::Duration kTrialBound = absl::Seconds(5);
constexpr int kExitPort = 0x501;
constexpr unsigned char kExitValue = 0x10;
// QEMU's isa-debug-exit leaves with (value << 1) | 1.
constexpr int kExpectedExit = (kExitValue << 1) | 1;

std::string BootSector() {
  std::string sector(512, '\0');
  constexpr std::array<unsigned char, 9> kCode = {
      0xba,           kExitPort & 0xff,
      kExitPort >> 8,              // mov dx, kExitPort
      0xb0,           kExitValue,  // mov al, kExitValue
      0xee,                        // out dx, al
      0xf4,                        // hlt
      0xeb,           0xfd,        // jmp to the hlt
  };
  std::copy(kCode.begin(), kCode.end(), sector.begin());
  sector[510] = '\x55';
  sector[511] = '\xaa';
  return sector;
}

std::string ReadSmallFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return std::string(absl::StripAsciiWhitespace(text.str()));
}

absl::Status TryGuest(const std::string& qemu, const std::string& disk, absl::string_view name) {
  absl::StatusOr<SubprocessResult> result = RunSubprocess(
      {qemu, "-no-user-config", "-nodefaults", "-display", "none", "-monitor", "none", "-machine",
       absl::StrCat("pc,accel=", name),
       // As desktops get it (domain_xml.cc): a nested KVM may run its default
       // processor and abort on the host's.
       "-cpu", absl::string_view(name) == "kvm" ? "host,migratable=on" : "qemu64", "-m", "16",
       "-device", absl::StrCat("isa-debug-exit,iobase=", kExitPort, ",iosize=1"), "-drive",
       absl::StrCat("file=", disk, ",format=raw,if=ide,snapshot=on"), "-boot", "c"},
      kTrialBound);
  RETURN_IF_ERROR(result.status());
  if (result->exit_code != kExpectedExit) {
    return absl::InternalError(absl::StrCat("exit code ", result->exit_code, ": ",
                                            absl::StripAsciiWhitespace(result->errors)));
  }
  return absl::OkStatus();
}

absl::StatusOr<Accelerator> FindByTrying(const std::string& qemu) {
  char disk[] = "/tmp/werkplek-trial-XXXXXX";
  const int fd = mkstemp(disk);
  if (fd < 0) return absl::ErrnoToStatus(errno, "cannot make a file in /tmp");
  absl::Cleanup remove_disk = [&disk] { unlink(disk); };
  const std::string sector = BootSector();
  const bool written = write(fd, sector.data(), sector.size()) == ssize_t(sector.size());
  close(fd);
  if (!written) return absl::UnavailableError("cannot write a boot sector to /tmp");

  const absl::Status kvm = access("/dev/kvm", R_OK | W_OK) == 0
                               ? TryGuest(qemu, disk, "kvm")
                               : absl::NotFoundError("/dev/kvm cannot be opened");
  if (kvm.ok()) return Accelerator::kKvm;
  Log(Severity::kWarning, "accelerator", {{"use", "tcg"}, {"kvm", std::string(kvm.message())}});
  const absl::Status tcg = TryGuest(qemu, disk, "tcg");
  if (tcg.ok()) return Accelerator::kTcg;
  return absl::UnavailableError(
      absl::StrCat("no guest runs here: kvm: ", kvm.message(), "; tcg: ", tcg.message()));
}

}  // namespace

absl::string_view AcceleratorName(Accelerator accelerator) {
  return accelerator == Accelerator::kKvm ? "kvm" : "tcg";
}

absl::StatusOr<Accelerator> FindAccelerator(const std::string& cache_file,
                                            const std::string& qemu) {
  // What the answer holds for: this boot and this QEMU.
  ASSIGN_OR_RETURN(const std::string version,
                   RunSubprocessOrFail({qemu, "--version"}, kTrialBound));
  const std::string circumstances =
      absl::StrCat(ReadSmallFile("/proc/sys/kernel/random/boot_id"), " ", qemu, " ",
                   std::vector<std::string>(absl::StrSplit(version, '\n'))[0]);
  if (!cache_file.empty()) {
    const std::string cached = ReadSmallFile(cache_file);
    if (cached == absl::StrCat("kvm ", circumstances)) return Accelerator::kKvm;
    if (cached == absl::StrCat("tcg ", circumstances)) return Accelerator::kTcg;
  }
  ASSIGN_OR_RETURN(const Accelerator found, FindByTrying(qemu));
  if (!cache_file.empty()) {
    // A torn or lost cache costs one more trial, no more.
    std::ofstream(cache_file) << AcceleratorName(found) << ' ' << circumstances << '\n';
  }
  return found;
}

}  // namespace werkplek
