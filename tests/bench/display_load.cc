// The bare display: libvirt's own calls, without any class of the agent's.
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/hypervisor/embed_root.h"
#include "common/base/status_macros.h"
#include "tests/bench/connect_load.h"
#include "tests/bench/rfb.h"

namespace werkplek {
namespace {

constexpr int kGraphics = 0;
// The guest boots meanwhile, and would take the processor.
constexpr absl::Duration kBoot = absl::Seconds(8);

absl::Status Failed(absl::string_view what) {
  const char* reason = virGetLastErrorMessage();
  return absl::UnavailableError(absl::StrCat(what, ": ", reason == nullptr ? "" : reason));
}

std::string DomainXml(const DisplayLoadSettings& settings) {
  return absl::StrCat(R"(<domain type='qemu'><name>bare</name><memory unit='MiB'>192</memory>)",
                      "<vcpu>1</vcpu><os><type arch='x86_64' machine='q35'>hvm</type><kernel>",
                      settings.kernel, "</kernel><initrd>", settings.initrd, "</initrd><cmdline>",
                      settings.kernel_arguments, "</cmdline></os>",
                      "<devices><graphics type='vnc'><listen type='none'/></graphics>",
                      "<video><model type='vga'/></video></devices></domain>");
}

// One connection to the display, from libvirt's call to the end of the handshake.
absl::Status OpenOnce(virDomainPtr domain, std::vector<double>& open,
                      std::vector<double>& display) {
  const absl::Duration began = BenchClock();
  const int socket = virDomainOpenGraphicsFD(domain, kGraphics, VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH);
  if (socket < 0) return Failed("virDomainOpenGraphicsFD");
  const absl::Cleanup close_it = [socket] { close(socket); };
  const absl::Duration opened = BenchClock();
  RETURN_IF_ERROR(RfbHandshake(socket));
  open.push_back(absl::ToDoubleMilliseconds(opened - began));
  display.push_back(absl::ToDoubleMilliseconds(BenchClock() - opened));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> RunDisplayLoad(const DisplayLoadSettings& settings) {
  RETURN_IF_ERROR(PrepareEmbedRoot(settings.root));
  virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});
  if (virEventRegisterDefaultImpl() != 0) return Failed("virEventRegisterDefaultImpl");
  std::atomic<bool> ends = false;
  const int timer = virEventAddTimeout(
      100, [](int, void*) {}, nullptr, nullptr);
  std::thread events([&ends] {
    while (!ends) virEventRunDefaultImpl();
  });
  const absl::Cleanup stop = [&] {
    ends = true;
    events.join();
    virEventRemoveTimeout(timer);
  };
  const virConnectPtr connection = virConnectOpen(EmbedUri(settings.root).c_str());
  if (connection == nullptr) return Failed("virConnectOpen");
  const absl::Cleanup disconnect = [connection] { virConnectClose(connection); };
  const virDomainPtr domain =
      virDomainCreateXML(connection, DomainXml(settings).c_str(), VIR_DOMAIN_NONE);
  if (domain == nullptr) return Failed("virDomainCreateXML");
  const absl::Cleanup destroy = [domain] {
    virDomainDestroy(domain);
    virDomainFree(domain);
  };
  absl::SleepFor(kBoot);
  std::vector<double> open;
  std::vector<double> display;
  for (int i = 0; i < settings.count; ++i) RETURN_IF_ERROR(OpenOnce(domain, open, display));
  return nlohmann::json{{"open", open}, {"display", display}}.dump();
}

}  // namespace werkplek
