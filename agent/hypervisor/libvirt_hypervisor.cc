#include "agent/hypervisor/libvirt_hypervisor.h"

#include <libvirt/libvirt-qemu.h>
#include <libvirt/virterror.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/hypervisor/domain_xml.h"
#include "agent/hypervisor/embed_root.h"
#include "agent/hypervisor/guest_agent_protocol.h"
#include "agent/hypervisor/host_network.h"
#include "agent/hypervisor/libvirt_domain.h"
#include "agent/hypervisor/libvirt_error.h"
#include "agent/hypervisor/libvirt_host.h"
#include "agent/hypervisor/libvirt_network.h"
#include "agent/hypervisor/migration_uri.h"
#include "agent/hypervisor/qemu_process.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr absl::Duration kFirstPause = absl::Seconds(1);
constexpr absl::Duration kLongestPause = absl::Seconds(30);
constexpr absl::Duration kFirstPoll = absl::Milliseconds(10);
constexpr absl::Duration kLongestPoll = absl::Milliseconds(250);
constexpr absl::Duration kAgentSettles = absl::Seconds(3);
constexpr absl::Duration kKillBound = absl::Seconds(4);
constexpr absl::Duration kCallOffBound = absl::Seconds(15);
constexpr size_t kMaxKills = 4096;
constexpr char kSysClassNet[] = "/sys/class/net";

// The one under which desktops move; the others have no networks of libvirt's.
bool NamesNetworks(absl::string_view uri) { return uri == "qemu:///system"; }

absl::Status WithDesktop(const absl::Status& status, const std::string& desktop) {
  return status.ok() ? status
                     : absl::Status(status.code(), absl::StrCat(desktop, ": ", status.message()));
}

}  // namespace

LibvirtHypervisor::LibvirtHypervisor(const LibvirtOptions& options)
    : options_(options),
      runner_("libvirt", options.threads, options.max_queued),
      kill_runner_("libvirt-kill", options.threads, kMaxKills) {}

absl::StatusOr<std::unique_ptr<LibvirtHypervisor>> LibvirtHypervisor::Open(
    const LibvirtOptions& options) {
  if (const std::optional<std::string> root = EmbedRootOf(options.uri)) {
    RETURN_IF_ERROR(PrepareEmbedRoot(*root));
  }
  std::unique_ptr<LibvirtHypervisor> made(new LibvirtHypervisor(options));
  RETURN_IF_ERROR(made->Connect());
  return made;
}

LibvirtHypervisor::~LibvirtHypervisor() { inbox_->Stop(); }

absl::Status LibvirtHypervisor::Connect() {
  ASSIGN_OR_RETURN(std::shared_ptr<LibvirtConnection> connection,
                   LibvirtConnection::Open(options_.uri, inbox_, [this] { Lost(); }));
  MutexLock lock(mutex_);
  connection_ = std::move(connection);
  return absl::OkStatus();
}

// On the inbox's thread, which the destructor stops first.
void LibvirtHypervisor::Lost() {
  Log(Severity::kError, "hypervisor-connection-lost", {{"uri", options_.uri}});
  std::shared_ptr<LibvirtConnection> old;
  {
    MutexLock lock(mutex_);
    old = std::move(connection_);
  }
  inbox_->Deliver({HypervisorEvent::Kind::kConnectionLost, ""});
  Reconnect(kFirstPause);
}

void LibvirtHypervisor::Reconnect(absl::Duration pause) {
  inbox_->Post(pause, [this, pause] {
    if (const absl::Status status = Connect(); !status.ok()) {
      Log(Severity::kWarning, "hypervisor-reconnect", {{"error", std::string(status.message())}});
      Reconnect(std::min(pause * 2, kLongestPause));
      return;
    }
    Log(Severity::kInfo, "hypervisor-reconnect", {{"uri", options_.uri}});
    // Whatever happened meanwhile was not told: look at all of them.
    const absl::StatusOr<std::vector<DomainInfo>> domains = List();
    if (!domains.ok()) return;
    for (const DomainInfo& info : *domains) {
      inbox_->Deliver({HypervisorEvent::Kind::kLifecycle, info.tag.desktop});
    }
  });
}

absl::StatusOr<std::shared_ptr<LibvirtConnection>> LibvirtHypervisor::Connection() {
  MutexLock lock(mutex_);
  if (connection_ == nullptr) {
    return absl::UnavailableError(absl::StrCat("no connection to ", options_.uri));
  }
  return connection_;
}

absl::Status LibvirtHypervisor::OnDomain(const std::string& desktop, absl::string_view what,
                                         absl::AnyInvocable<absl::Status(virDomainPtr)> call) {
  ASSIGN_OR_RETURN(auto connection, Connection());
  return runner_.Run(
      desktop, what, options_.call_bound,
      [connection = std::move(connection), desktop, call = std::move(call)]() mutable {
        ASSIGN_OR_RETURN(const DomainHandle domain, FindDomain(connection->get(), desktop));
        return WithDesktop(call(domain.get()), desktop);
      });
}

absl::StatusOr<std::vector<DomainInfo>> LibvirtHypervisor::List() {
  ASSIGN_OR_RETURN(auto connection, Connection());
  return runner_.RunFor<std::vector<DomainInfo>>(
      "", "list", options_.call_bound,
      [connection = std::move(connection)]() -> absl::StatusOr<std::vector<DomainInfo>> {
        return ReadInfos(connection->get());
      });
}

absl::Status LibvirtHypervisor::Create(const DomainSpec& spec) {
  RETURN_IF_ERROR(CheckDomainSpec(spec));
  ASSIGN_OR_RETURN(auto connection, Connection());
  DomainPlatform platform;
  platform.type = connection->driver() == "TEST"              ? "test"
                  : options_.accelerator == Accelerator::kKvm ? "kvm"
                                                              : "qemu";
  if (const std::optional<std::string> root = EmbedRootOf(options_.uri)) {
    platform.channel_folder = *root + kEmbedChannelFolder;
  }
  platform.names_networks = NamesNetworks(options_.uri);
  return runner_.Run(spec.tag.desktop, "create", options_.call_bound,
                     [connection = std::move(connection), spec, platform] {
                       return CreateDomain(connection->get(), spec, platform);
                     });
}

absl::Status LibvirtHypervisor::Start(const std::string& desktop) {
  return OnDomain(desktop, "start", StartDomain);
}

absl::Status LibvirtHypervisor::Suspend(const std::string& desktop, bool to_disk) {
  return OnDomain(desktop, "suspend",
                  [to_disk](virDomainPtr domain) { return SuspendDomain(domain, to_disk); });
}

absl::Status LibvirtHypervisor::Resume(const std::string& desktop) {
  return OnDomain(desktop, "resume", ResumeDomain);
}

absl::Status LibvirtHypervisor::Shutdown(const std::string& desktop, ShutdownMode mode) {
  return OnDomain(desktop, "shutdown",
                  [mode](virDomainPtr domain) { return ShutdownDomain(domain, mode); });
}

absl::Status LibvirtHypervisor::Remove(const std::string& desktop) {
  return OnDomain(desktop, "remove", RemoveDomain);
}

absl::Status LibvirtHypervisor::Kill(const std::string& desktop, const std::string& uuid) {
  // By its process first: that needs nobody's answer.
  if (const std::string folder = QemuStateFolderOf(options_.uri); !folder.empty()) {
    const absl::StatusOr<bool> killed =
        KillQemu(absl::StrCat(folder, "/", DomainNameOf(desktop), ".pid"), uuid, kKillBound);
    if (killed.ok() && *killed) return absl::OkStatus();
    if (!killed.ok()) {
      Log(Severity::kWarning, "kill-by-process",
          {{"desktop", desktop}, {"error", std::string(killed.status().message())}});
    }
  }
  ASSIGN_OR_RETURN(auto connection, Connection());
  return kill_runner_.Run("", "kill", kKillBound,
                          [connection = std::move(connection), desktop, uuid]() -> absl::Status {
                            return WithDesktop(DestroyDomain(connection->get(), desktop, uuid),
                                               desktop);
                          });
}

absl::Status LibvirtHypervisor::Migrate(const std::string& desktop, const std::string& uri) {
  RETURN_IF_ERROR(CheckMigrationUri(uri));
  ASSIGN_OR_RETURN(auto connection, Connection());
  const absl::Status moved = runner_.Run(
      desktop, "move", options_.move_bound,
      [connection, desktop, uri, tls = options_.move_tls]() -> absl::Status {
        ASSIGN_OR_RETURN(const DomainHandle domain, FindDomain(connection->get(), desktop));
        return WithDesktop(MigrateDomain(domain.get(), uri, tls), desktop);
      });
  if (!absl::IsDeadlineExceeded(moved)) return moved;
  const absl::Status called_off =
      runner_.Run("", "call-off", kCallOffBound, [connection, desktop]() -> absl::Status {
        ASSIGN_OR_RETURN(const DomainHandle domain, FindDomain(connection->get(), desktop));
        return AbortJob(domain.get());
      });
  Log(Severity::kWarning, "move-called-off",
      {{"desktop", desktop}, {"outcome", called_off.ToString()}});
  // Once the call has ended, the domain's state is what it stays at.
  OnDomain(desktop, "look", [](virDomainPtr domain) {
    return ReadPower(domain).status();
  }).IgnoreError();
  return moved;
}

absl::Status LibvirtHypervisor::Retag(const DomainTag& tag) {
  RETURN_IF_ERROR(CheckDomainTag(tag));
  return OnDomain(tag.desktop, "retag",
                  [tag](virDomainPtr domain) { return WriteTag(domain, tag); });
}

absl::StatusOr<int> LibvirtHypervisor::OpenDisplay(const std::string& desktop, DisplayKind kind) {
  ASSIGN_OR_RETURN(auto connection, Connection());
  // Closes the descriptor when nobody takes it (the caller's bound passed).
  struct Socket {
    int fd = -1;
    ~Socket() {
      if (fd >= 0) close(fd);
    }
  };
  auto opened = std::make_shared<Socket>();
  RETURN_IF_ERROR(OnDomain(desktop, "display", [kind, opened](virDomainPtr domain) -> absl::Status {
    ASSIGN_OR_RETURN(const DomainXmlFacts facts, ReadFacts(domain));
    const int index = kind == DisplayKind::kSpice ? facts.spice_index : facts.vnc_index;
    if (index < 0) return absl::FailedPreconditionError("it has no display of that kind");
    ASSIGN_OR_RETURN(const DomainPower power, ReadPower(domain));
    if (power != DomainPower::kRunning && power != DomainPower::kSuspended) {
      return absl::FailedPreconditionError("it does not run");
    }
    opened->fd = virDomainOpenGraphicsFD(domain, index, VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH);
    return opened->fd < 0 ? LastLibvirtStatus("cannot open the display") : absl::OkStatus();
  }));
  return std::exchange(opened->fd, -1);
}

absl::StatusOr<std::string> LibvirtHypervisor::AskGuest(const std::string& desktop,
                                                        const std::string& request,
                                                        absl::Duration bound) {
  auto answer = std::make_shared<std::string>();
  const int seconds = std::max<int64_t>(1, absl::ToInt64Seconds(bound));
  absl::Status status = OnDomain(desktop, "guest-agent", [=](virDomainPtr domain) -> absl::Status {
    const LibvirtString text(virDomainQemuAgentCommand(domain, request.c_str(), seconds, 0));
    if (text == nullptr) return LastLibvirtStatus("the guest agent");
    *answer = text.get();
    return absl::OkStatus();
  });
  // A desktop that is off, has no agent, or has one that is dead: all the same to who asks.
  if (absl::IsFailedPrecondition(status) || absl::IsUnimplemented(status)) {
    status = absl::UnavailableError(status.message());
  }
  RETURN_IF_ERROR(status);
  return std::move(*answer);
}

absl::StatusOr<std::string> LibvirtHypervisor::AskConnectedGuest(const std::string& desktop,
                                                                 const std::string& request,
                                                                 absl::Time deadline) {
  const absl::Time give_up = std::min(deadline, absl::Now() + kAgentSettles);
  for (;;) {
    absl::StatusOr<std::string> answer = AskGuest(desktop, request, deadline - absl::Now());
    if (!absl::IsUnavailable(answer.status()) || absl::Now() + kLongestPoll > give_up) {
      return answer;
    }
    // A domain that was just restored says that its agent is connected a moment before libvirt has
    // connected to it.
    auto connected = std::make_shared<bool>(false);
    RETURN_IF_ERROR(OnDomain(desktop, "look", [connected](virDomainPtr domain) -> absl::Status {
      ASSIGN_OR_RETURN(const DomainXmlFacts facts, ReadFacts(domain));
      ASSIGN_OR_RETURN(const DomainPower power, ReadPower(domain));
      *connected = facts.guest_agent_connected && power == DomainPower::kRunning;
      return absl::OkStatus();
    }));
    if (!*connected) return answer;
    absl::SleepFor(kLongestPoll);
  }
}

absl::StatusOr<GuestExecResult> LibvirtHypervisor::GuestExec(
    const std::string& desktop, const std::vector<std::string>& command, const std::string& input,
    absl::Duration timeout) {
  if (command.empty()) return absl::InvalidArgumentError("no command given");
  const absl::Time deadline = absl::Now() + std::min(timeout, options_.call_bound);
  ASSIGN_OR_RETURN(const std::string started,
                   AskConnectedGuest(desktop, GuestExecRequest(command, input), deadline));
  ASSIGN_OR_RETURN(const int64_t pid, ParseGuestExecAnswer(started));
  absl::Duration pause = kFirstPoll;
  for (;;) {
    ASSIGN_OR_RETURN(const std::string answer,
                     AskGuest(desktop, GuestExecStatusRequest(pid), deadline - absl::Now()));
    ASSIGN_OR_RETURN(std::optional<GuestExecResult> result, ParseGuestExecStatus(answer));
    if (result) return *std::move(result);
    if (absl::Now() + pause > deadline) {
      return absl::DeadlineExceededError(absl::StrCat(
          desktop, ": ", command[0], " did not end within ", absl::FormatDuration(timeout)));
    }
    // The protocol has no event for the end of a program: it is asked for.
    absl::SleepFor(pause);
    pause = std::min(pause * 2, kLongestPoll);
  }
}

absl::StatusOr<HostStats> LibvirtHypervisor::Stats() {
  ASSIGN_OR_RETURN(auto connection, Connection());
  ASSIGN_OR_RETURN(HostReading reading,
                   runner_.RunFor<HostReading>("", "stats", options_.call_bound,
                                               [connection = std::move(connection)] {
                                                 return ReadHost(connection->get());
                                               }));
  reading.stats.memory_pressure = ReadMemoryPressure("/proc/pressure/memory");
  MutexLock lock(mutex_);
  reading.stats.cpu_used = CpuShare(last_cpu_, {reading.cpu_busy_ns, reading.cpu_total_ns});
  last_cpu_ = {reading.cpu_busy_ns, reading.cpu_total_ns};
  return reading.stats;
}

absl::Status LibvirtHypervisor::NetworkAtHand(const HostNetwork& network) {
  RETURN_IF_ERROR(CheckHostNetwork(network));
  if (!network.bridge.empty()) RETURN_IF_ERROR(BridgeAtHand(kSysClassNet, network.bridge));
  if (!NamesNetworks(options_.uri)) {
    return network.bridge.empty()
               ? absl::FailedPreconditionError("libvirt's networks need qemu:///system")
               : absl::OkStatus();
  }
  ASSIGN_OR_RETURN(auto connection, Connection());
  return runner_.Run("", "network", options_.call_bound,
                     [connection = std::move(connection), network] {
                       return network.bridge.empty()
                                  ? FindLibvirtNetwork(connection->get(), network.libvirt_network)
                                  : OfferBridge(connection->get(), network);
                     });
}

void LibvirtHypervisor::Listen(absl::AnyInvocable<void(const HypervisorEvent&)> listener) {
  inbox_->Listen(std::move(listener));
}

}  // namespace werkplek
