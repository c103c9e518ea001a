// An agent's hypervisor in a process of its own, for tests that kill it.
//   hypervisor_probe ROOT create DESKTOP DISK   makes the desktop, says "made", and waits for death
//   hypervisor_probe ROOT list                  one line per desktop: name, uuid, power, boot id
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "absl/strings/ascii.h"
#include "absl/time/clock.h"
#include "agent/hypervisor/embed_root.h"
#include "agent/hypervisor/libvirt_hypervisor.h"
#include "common/base/mutex.h"
#include "tests/support/tiny_guest/tiny_guest.h"

namespace werkplek {
namespace {

int Fail(const absl::Status& status) {
  std::cout << status << std::endl;
  return 1;
}

int Create(Hypervisor& hypervisor, const std::string& desktop, const std::string& disk) {
  const auto guest = BuildTinyGuest();
  if (!guest.ok()) return Fail(guest.status());
  DomainSpec spec;
  spec.tag.desktop = desktop;
  spec.tag.generation = 1;
  spec.uuid = "7f9c2ba4-e88f-4270-9b5f-0000000000ff";
  spec.memory_mib = 128;
  spec.disk = disk;
  spec.kernel = guest->kernel;
  spec.initrd = guest->initrd;
  spec.kernel_arguments = guest->kernel_arguments;
  spec.guest_agent = true;
  if (const absl::Status status = hypervisor.Create(spec); !status.ok()) return Fail(status);
  std::cout << "made" << std::endl;
  pause();
  return 0;
}

bool AllGuestsAreUp(const std::vector<DomainInfo>& domains) {
  return std::all_of(domains.begin(), domains.end(),
                     [](const DomainInfo& info) { return info.guest_agent_connected; });
}

int List(Hypervisor& hypervisor) {
  Mutex mutex;
  CondVar happened;
  hypervisor.Listen([&](const HypervisorEvent&) { happened.SignalAll(); });
  auto domains = hypervisor.List();
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  while (domains.ok() && !AllGuestsAreUp(*domains) && absl::Now() < deadline) {
    {
      MutexLock lock(mutex);
      happened.WaitFor(mutex, absl::Milliseconds(500));
    }
    domains = hypervisor.List();
  }
  hypervisor.Listen(nullptr);
  if (!domains.ok()) return Fail(domains.status());
  for (const DomainInfo& info : *domains) {
    const auto boot_id = hypervisor.GuestExec(
        info.tag.desktop, {"cat", "/proc/sys/kernel/random/boot_id"}, "", absl::Seconds(20));
    std::cout << info.tag.desktop << ' ' << info.uuid << ' ' << static_cast<int>(info.power) << ' '
              << (boot_id.ok() ? absl::StripAsciiWhitespace(boot_id->output)
                               : boot_id.status().message())
              << std::endl;
  }
  return 0;
}

int Main(const std::vector<std::string>& words) {
  const auto accelerator = TestAccelerator();
  if (!accelerator.ok()) return Fail(accelerator.status());
  auto opened =
      LibvirtHypervisor::Open({.uri = EmbedUri(words.at(0)), .accelerator = *accelerator});
  if (!opened.ok()) return Fail(opened.status());
  if (words.at(1) == "create") return Create(**opened, words.at(2), words.at(3));
  return List(**opened);
}

}  // namespace
}  // namespace werkplek

int main(int argc, char** argv) {
  return werkplek::Main(std::vector<std::string>(argv + 1, argv + argc));
}
