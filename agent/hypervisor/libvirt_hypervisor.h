// The Hypervisor on libvirt: qemu:///system, qemu:///embed?root=DIR (no libvirtd needed),
// test:///FILE (libvirt's own imitation).
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/hypervisor/accelerator.h"
#include "agent/hypervisor/call_runner.h"
#include "agent/hypervisor/hypervisor.h"
#include "agent/hypervisor/libvirt_connection.h"
#include "agent/hypervisor/libvirt_handles.h"
#include "common/base/mutex.h"

namespace werkplek {

struct LibvirtOptions {
  std::string uri;
  // Of QEMU's domains (FindAccelerator).
  Accelerator accelerator = Accelerator::kTcg;
  // The longest that a call may take.
  absl::Duration call_bound = absl::Seconds(30);
  // Calls that may run at once, and wait.
  int threads = 8;
  size_t max_queued = 256;
  // The longest that a move may take; then it is called off.
  absl::Duration move_bound = absl::Minutes(10);
  // Moves go encrypted from QEMU to QEMU (the certificates of /etc/pki/qemu on both hosts).
  bool move_tls = false;
};

// A lost connection is opened again with growing pauses (1 to 30 s); until then calls are
// UNAVAILABLE. One operation of a domain runs at a time; others of that domain wait within their
// bound. The listener must not block and must not call Listen().
class LibvirtHypervisor : public Hypervisor {
 public:
  // Connects; UNAVAILABLE when that fails. The embed root is made when it is new. libvirt allows
  // one embed root per process, for as long as the process lives.
  static absl::StatusOr<std::unique_ptr<LibvirtHypervisor>> Open(const LibvirtOptions& options);
  // Domains run on.
  ~LibvirtHypervisor() override;

  absl::StatusOr<std::vector<DomainInfo>> List() override;
  absl::Status Create(const DomainSpec& spec) override;
  absl::Status Start(const std::string& desktop) override;
  absl::Status Suspend(const std::string& desktop, bool to_disk) override;
  absl::Status Resume(const std::string& desktop) override;
  absl::Status Shutdown(const std::string& desktop, ShutdownMode mode) override;
  absl::Status Remove(const std::string& desktop) override;
  absl::Status Kill(const std::string& desktop, const std::string& uuid) override;
  absl::Status Migrate(const std::string& desktop, const std::string& uri) override;
  absl::Status Retag(const DomainTag& tag) override;
  absl::StatusOr<int> OpenDisplay(const std::string& desktop, DisplayKind kind) override;
  absl::StatusOr<GuestExecResult> GuestExec(const std::string& desktop,
                                            const std::vector<std::string>& command,
                                            const std::string& input,
                                            absl::Duration timeout) override;
  absl::StatusOr<HostStats> Stats() override;
  void Listen(absl::AnyInvocable<void(const HypervisorEvent&)> listener) override;

  // Whether desktops can have a card in it now; otherwise what to do. Under qemu:///system libvirt
  // is told of a bridge, too.
  absl::Status NetworkAtHand(const HostNetwork& network);

 private:
  explicit LibvirtHypervisor(const LibvirtOptions& options);

  // The connection, or UNAVAILABLE.
  absl::StatusOr<std::shared_ptr<LibvirtConnection>> Connection();
  absl::Status Connect();
  void Lost();
  void Reconnect(absl::Duration pause);

  // Runs `call` on the desktop's domain, as the only one, within the bound.
  absl::Status OnDomain(const std::string& desktop, absl::string_view what,
                        absl::AnyInvocable<absl::Status(virDomainPtr)> call);
  // One message to the guest's agent and its answer.
  absl::StatusOr<std::string> AskGuest(const std::string& desktop, const std::string& request,
                                       absl::Duration bound);
  // As AskGuest, with patience for an agent that libvirt is connecting to.
  absl::StatusOr<std::string> AskConnectedGuest(const std::string& desktop,
                                                const std::string& request, absl::Time deadline);

  const LibvirtOptions options_;
  const std::shared_ptr<EventInbox> inbox_ = std::make_shared<EventInbox>();
  Mutex mutex_;
  std::shared_ptr<LibvirtConnection> connection_ ABSL_GUARDED_BY(mutex_);
  // CPU time at the last Stats(), in nanoseconds: busy, and in all.
  std::pair<uint64_t, uint64_t> last_cpu_ ABSL_GUARDED_BY(mutex_) = {0, 0};
  // Last: their destructors wait for the calls that run. Kills have threads of their own.
  CallRunner runner_;
  CallRunner kill_runner_;
};

}  // namespace werkplek
