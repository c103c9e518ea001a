// The contract on real QEMU, through libvirt's embedded driver, with the tiny guest.
#include "agent/hypervisor/embed_root.h"
#include "agent/hypervisor/libvirt_hypervisor.h"
#include "tests/contract/hypervisor/hypervisor_contract.h"
#include "tests/support/process/child_process.h"
#include "tests/support/tiny_guest/tiny_guest.h"

namespace werkplek {
namespace {

struct Host {
  TemporaryFolder folder;
  TinyGuest guest;
  std::unique_ptr<LibvirtHypervisor> hypervisor;
};

// libvirt keeps one embed root for as long as the process lives, and cannot open it often.
Host& TheHost() {
  static Host& host = *[] {
    auto made = std::make_unique<Host>();
    auto guest = BuildTinyGuest();
    EXPECT_TRUE(guest.ok()) << guest.status();
    made->guest = *guest;
    auto accelerator = TestAccelerator();
    EXPECT_TRUE(accelerator.ok()) << accelerator.status();
    auto opened = LibvirtHypervisor::Open(
        {.uri = EmbedUri(made->folder.path()), .accelerator = *accelerator});
    EXPECT_TRUE(opened.ok()) << opened.status();
    made->hypervisor = *std::move(opened);
    return made.release();
  }();
  return host;
}

// Goes before the process does: its folder is removed.
class CloseHost : public testing::Environment {
 public:
  void TearDown() override { delete &TheHost(); }
};
const auto* const kCloseHost = testing::AddGlobalTestEnvironment(new CloseHost);

class EmbeddedKit : public HypervisorKit {
 public:
  Hypervisor& hypervisor() override { return *TheHost().hypervisor; }
  DomainSpec Spec(const std::string& desktop, int number) override {
    const TinyGuest& guest = TheHost().guest;
    DomainSpec spec = PlainSpec(desktop, number);
    spec.disk = TheHost().folder.File(absl::StrCat(desktop, " ,", number, ".qcow2"));
    EXPECT_EQ(MakeTinyOverlay(guest, spec.disk), absl::OkStatus());
    spec.kernel = guest.kernel;
    spec.initrd = guest.initrd;
    spec.kernel_arguments = guest.kernel_arguments;
    spec.guest_agent = true;
    return spec;
  }
  bool has_displays() const override { return true; }
  bool has_guests() const override { return true; }
};

INSTANTIATE_TEST_SUITE_P(Embedded, HypervisorContract,
                         testing::Values(KitParameter{
                             "qemu", [] { return std::make_unique<EmbeddedKit>(); }}));

}  // namespace
}  // namespace werkplek
