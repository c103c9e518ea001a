// One call of the hypervisor of this machine (WERKPLEK_PROBE_URI, else qemu:///system), for tests
// that run on several.
//   move_probe create DESKTOP DISK GENERATION [NETWORK BRIDGE ISOLATED]
//   move_probe network NETWORK BRIDGE ISOLATED   move_probe list
//   move_probe run DESKTOP PROGRAM...            in the guest, once its agent answers
//   move_probe move DESKTOP URI                  move_probe kill DESKTOP
//   move_probe save DESKTOP                      move_probe resume DESKTOP
// Ends with 0, or with 1 and the status.
#include <stdlib.h>

#include <iostream>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/hypervisor/libvirt_hypervisor.h"
#include "common/base/mutex.h"
#include "tests/support/tiny_guest/tiny_guest.h"

namespace werkplek {
namespace {

constexpr absl::Duration kGuestComes = absl::Minutes(2);

// One for each name of up to six bytes.
std::string UuidOf(const std::string& desktop) {
  std::string bytes = desktop;
  bytes.resize(6);
  return absl::StrCat("7f9c2ba4-e88f-4270-9b5f-", absl::BytesToHexString(bytes));
}

// NETWORK BRIDGE ISOLATED.
HostNetwork NetworkIn(const std::vector<std::string>& words, size_t first) {
  return {.name = words.at(first),
          .bridge = words.at(first + 1),
          .isolated = words.at(first + 2) == "yes"};
}

absl::Status Create(LibvirtHypervisor& hypervisor, const std::vector<std::string>& words) {
  const auto guest = BuildTinyGuest();
  if (!guest.ok()) return guest.status();
  DomainSpec spec;
  spec.tag.desktop = words.at(1);
  spec.tag.kept = true;
  spec.tag.storage = "shared";
  if (!absl::SimpleAtoi(words.at(3), &spec.tag.generation)) {
    return absl::InvalidArgumentError("no generation");
  }
  spec.uuid = UuidOf(words.at(1));
  spec.memory_mib = 128;
  spec.disk = words.at(2);
  spec.shared_disk = true;
  spec.kernel = guest->kernel;
  spec.initrd = guest->initrd;
  spec.kernel_arguments = guest->kernel_arguments;
  spec.guest_agent = true;
  if (words.size() > 4) {
    spec.network = NetworkIn(words, 4);
    spec.tag.network = spec.network->name;
    const absl::Status at_hand = hypervisor.NetworkAtHand(*spec.network);
    if (!at_hand.ok()) return at_hand;
  }
  return hypervisor.Create(spec);
}

absl::Status List(Hypervisor& hypervisor) {
  const auto domains = hypervisor.List();
  if (!domains.ok()) return domains.status();
  for (const DomainInfo& info : *domains) {
    const char* const power = info.power == DomainPower::kRunning     ? "running"
                              : info.power == DomainPower::kSuspended ? "suspended"
                              : info.power == DomainPower::kSaved     ? "saved"
                                                                      : "off";
    std::cout << info.tag.desktop << ' ' << info.tag.generation << ' ' << power << std::endl;
  }
  return absl::OkStatus();
}

absl::Status Run(Hypervisor& hypervisor, const std::vector<std::string>& words) {
  const std::vector<std::string> command(words.begin() + 2, words.end());
  Mutex mutex;
  CondVar happened;
  hypervisor.Listen([&](const HypervisorEvent&) { happened.SignalAll(); });
  const absl::Time deadline = absl::Now() + kGuestComes;
  auto done = hypervisor.GuestExec(words.at(1), command, "", absl::Seconds(20));
  while (!done.ok() && absl::Now() < deadline) {
    {
      MutexLock lock(mutex);
      happened.WaitFor(mutex, absl::Milliseconds(500));
    }
    done = hypervisor.GuestExec(words.at(1), command, "", absl::Seconds(20));
  }
  hypervisor.Listen(nullptr);
  if (!done.ok()) return done.status();
  std::cout << done->output;
  return done->exit_code == 0 ? absl::OkStatus() : absl::InternalError("it failed");
}

absl::Status Do(const std::vector<std::string>& words) {
  const auto accelerator = TestAccelerator();
  if (!accelerator.ok()) return accelerator.status();
  const char* const uri = getenv("WERKPLEK_PROBE_URI");
  auto opened = LibvirtHypervisor::Open({.uri = uri == nullptr ? "qemu:///system" : uri,
                                         .accelerator = *accelerator,
                                         .move_tls = true});
  if (!opened.ok()) return opened.status();
  LibvirtHypervisor& hypervisor = **opened;
  if (words.at(0) == "create") return Create(hypervisor, words);
  if (words.at(0) == "network") return hypervisor.NetworkAtHand(NetworkIn(words, 1));
  if (words.at(0) == "run") return Run(hypervisor, words);
  if (words.at(0) == "move") return hypervisor.Migrate(words.at(1), words.at(2));
  if (words.at(0) == "save") return hypervisor.Suspend(words.at(1), /*to_disk=*/true);
  if (words.at(0) == "resume") return hypervisor.Resume(words.at(1));
  if (words.at(0) == "kill") return hypervisor.Kill(words.at(1), UuidOf(words.at(1)));
  return List(hypervisor);
}

}  // namespace
}  // namespace werkplek

int main(int argc, char** argv) {
  const absl::Status status = werkplek::Do(std::vector<std::string>(argv + 1, argv + argc));
  if (status.ok()) return 0;
  std::cout << status << std::endl;
  return 1;
}
