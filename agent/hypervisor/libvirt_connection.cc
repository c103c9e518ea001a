#include "agent/hypervisor/libvirt_connection.h"

#include <libvirt/virterror.h>

#include <utility>

#include "agent/hypervisor/domain_xml.h"
#include "agent/hypervisor/libvirt_error.h"

namespace werkplek {
namespace {

constexpr int kKeepAliveSeconds = 5;
constexpr unsigned kKeepAliveMisses = 3;

// What a callback of libvirt's is given; libvirt frees it when it is done with it.
struct EventTarget {
  std::shared_ptr<EventInbox> inbox;
  std::function<void()> lost;
};

void FreeTarget(void* opaque) { delete static_cast<EventTarget*>(opaque); }

void Deliver(void* opaque, virDomainPtr domain, HypervisorEvent::Kind kind) {
  // By its name alone: asking libvirt from its own event thread could stop it. A stranger of that
  // name costs one look.
  const std::optional<std::string> desktop = DesktopOf(virDomainGetName(domain));
  if (desktop) static_cast<EventTarget*>(opaque)->inbox->Deliver({kind, *desktop});
}

int OnLifecycle(virConnectPtr, virDomainPtr domain, int, int, void* opaque) {
  Deliver(opaque, domain, HypervisorEvent::Kind::kLifecycle);
  return 0;
}

void OnAgent(virConnectPtr, virDomainPtr domain, int, int, void* opaque) {
  Deliver(opaque, domain, HypervisorEvent::Kind::kGuestAgent);
}

void OnGraphics(virConnectPtr, virDomainPtr domain, int phase, const virDomainEventGraphicsAddress*,
                const virDomainEventGraphicsAddress*, const char*,
                const virDomainEventGraphicsSubject*, void* opaque) {
  if (phase == VIR_DOMAIN_EVENT_GRAPHICS_CONNECT) {
    Deliver(opaque, domain, HypervisorEvent::Kind::kGraphicsConnected);
  } else if (phase == VIR_DOMAIN_EVENT_GRAPHICS_DISCONNECT) {
    Deliver(opaque, domain, HypervisorEvent::Kind::kGraphicsDisconnected);
  }
}

void OnClose(virConnectPtr, int, void* opaque) {
  auto* target = static_cast<EventTarget*>(opaque);
  target->inbox->Post(absl::ZeroDuration(), target->lost);
}

}  // namespace

void EventInbox::Listen(absl::AnyInvocable<void(const HypervisorEvent&)> listener) {
  MutexLock lock(mutex_);
  listener_ = std::move(listener);
}

void EventInbox::Deliver(HypervisorEvent event) {
  loop_.Post([this, event = std::move(event)] {
    MutexLock lock(mutex_);
    if (listener_) listener_(event);
  });
}

void EventInbox::Post(absl::Duration delay, absl::AnyInvocable<void()> task) {
  loop_.PostAfter(delay, std::move(task));
}

void EventInbox::Stop() {
  Listen(nullptr);
  loop_.Stop();
}

absl::StatusOr<std::shared_ptr<LibvirtConnection>> LibvirtConnection::Open(
    const std::string& uri, const std::shared_ptr<EventInbox>& inbox, std::function<void()> lost) {
  std::shared_ptr<LibvirtConnection> made(new LibvirtConnection);
  made->connection_ = virConnectOpen(uri.c_str());
  if (made->connection_ == nullptr) {
    const absl::Status status = LastLibvirtStatus("cannot connect to " + uri);
    return absl::UnavailableError(status.message());
  }
  const char* driver = virConnectGetType(made->connection_);
  made->driver_ = driver ? driver : "";
  made->RegisterEvents(inbox, std::move(lost));
  return made;
}

void LibvirtConnection::RegisterEvents(const std::shared_ptr<EventInbox>& inbox,
                                       std::function<void()> lost) {
  const auto add = [&](int event, virConnectDomainEventGenericCallback callback) {
    auto target = std::make_unique<EventTarget>(EventTarget{inbox, nullptr});
    const int id = virConnectDomainEventRegisterAny(connection_, nullptr, event, callback,
                                                    target.get(), FreeTarget);
    if (id < 0) return;
    // libvirt frees it, with FreeTarget.
    static_cast<void>(target.release());
    callbacks_.push_back(id);
  };
  add(VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(OnLifecycle));
  add(VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(OnAgent));
  add(VIR_DOMAIN_EVENT_ID_GRAPHICS, VIR_DOMAIN_EVENT_CALLBACK(OnGraphics));
  auto target = std::make_shared<EventTarget>(EventTarget{inbox, std::move(lost)});
  if (virConnectRegisterCloseCallback(connection_, OnClose, target.get(), nullptr) == 0) {
    close_target_ = target;
  }
  // Drivers inside the process have nothing to keep alive and say so.
  virConnectSetKeepAlive(connection_, kKeepAliveSeconds, kKeepAliveMisses);
  virResetLastError();
}

LibvirtConnection::~LibvirtConnection() {
  if (connection_ == nullptr) return;
  for (const int id : callbacks_) virConnectDomainEventDeregisterAny(connection_, id);
  if (close_target_ != nullptr) virConnectUnregisterCloseCallback(connection_, OnClose);
  virConnectClose(connection_);
  virResetLastError();
}

}  // namespace werkplek
