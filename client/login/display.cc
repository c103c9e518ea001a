#include "client/login/display.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/api/exit_code.h"
#include "client/login/loopback_door.h"
#include "client/login/private_folder.h"
#include "client/login/screenshot.h"
#include "client/login/signals.h"
#include "client/login/splice.h"
#include "client/login/viewer.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr absl::Duration kOpenTimeout = absl::Seconds(10);
constexpr absl::Duration kPictureTimeout = absl::Seconds(20);
// How often to look whether a channel has opened.
constexpr int kLookMs = 200;
// A viewer whose display has gone closes by itself; some show a message first.
constexpr absl::Duration kViewerFarewell = absl::Seconds(10);

// What the tunnel's thread tells: that its last channel has ended, or that one did not open.
class TunnelEnd {
 public:
  TunnelEnd() : descriptor_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~TunnelEnd() { close(descriptor_); }
  TunnelEnd(const TunnelEnd&) = delete;
  TunnelEnd& operator=(const TunnelEnd&) = delete;

  void Tell(const absl::Status& status) {
    {
      const MutexLock lock(mutex_);
      // The first failure says most.
      if (!status_.has_value() || status_->ok()) status_ = status;
    }
    eventfd_write(descriptor_, 1);
  }
  // Nothing: it goes on.
  std::optional<absl::Status> Take() {
    const MutexLock lock(mutex_);
    return status_;
  }
  int descriptor() const { return descriptor_; }

 private:
  const int descriptor_;
  Mutex mutex_;
  std::optional<absl::Status> status_ ABSL_GUARDED_BY(mutex_);
};

class Display {
 public:
  Display(const DisplayPorts& ports, const v1::Ready& ready, const DisplayChoice& choice)
      : ports_(ports), ready_(ready), choice_(choice) {}

  absl::Status Show() {
    const absl::Status shown = ShowChosen();
    // Whoever interrupts it wants no other try, whatever the interrupt broke.
    return signals_.Came() ? absl::CancelledError("interrupted") : shown;
  }

 private:
  absl::Status ShowChosen() {
    if (!choice_.screenshot.empty()) return SavePicture();
    return choice_.vnc ? ShowVnc() : ShowSpice();
  }

  absl::StatusOr<std::unique_ptr<RelayClient>> OpenRelay(RelayChannelKind kind) const {
    RelayTarget target;
    target.gateways.assign(ready_.gateways().begin(), ready_.gateways().end());
    if (ports_.gateways == GatewayUse::kAlways && target.gateways.empty()) {
      return SayFailure(absl::StatusCode::kUnavailable, ports_.language, Message::kNoGateway);
    }
    if (ports_.gateways != GatewayUse::kAlways) {
      target.addresses.assign(ready_.relays().begin(), ready_.relays().end());
    }
    target.host = ready_.host();
    target.desktop = ready_.desktop();
    target.ticket = Secret(ready_.ticket());
    target.kind = kind;
    return ports_.open_relay(std::move(target));
  }

  // The failure of a tunnel in the person's language, with its own code. An interrupt, and what is
  // wrong with this machine, are no failures of the tunnel.
  absl::Status Failure(const absl::Status& status) const {
    if (status.ok() || absl::IsCancelled(status) || IsForThePerson(status) ||
        ExitCodeFor(status) == ExitCode::kLocal) {
      return status;
    }
    Message message = Message::kDisplayFailed;
    if (absl::IsPermissionDenied(status)) message = Message::kDisplayRefused;
    if (absl::IsDeadlineExceeded(status)) message = Message::kNobodyOpened;
    return SayFailure(status.code(), ports_.language, message,
                      {{"reason", Printable(status.message())}});
  }

  absl::StatusOr<std::unique_ptr<Viewer>> StartViewer(const std::string& url) const {
    absl::StatusOr<std::unique_ptr<Viewer>> viewer = Viewer::Start(ports_.viewer, url);
    if (viewer.ok()) return viewer;
    return LocalProblem(SayFailure(
        absl::StatusCode::kNotFound, ports_.language, Message::kViewerMissing,
        {{"viewer", ports_.viewer}, {"reason", std::string(viewer.status().message())}}));
  }

  absl::Status ViewerEnded(int code) const {
    if (code == 0) return absl::OkStatus();
    return LocalProblem(SayFailure(absl::StatusCode::kUnknown, ports_.language,
                                   Message::kViewerFailed,
                                   {{"viewer", ports_.viewer}, {"code", absl::StrCat(code)}}));
  }

  absl::Status SavePicture();
  absl::Status ShowVnc();
  absl::Status ShowSpice();
  absl::Status WaitForSpice(RelayClient& relay, TunnelEnd& end, Viewer* viewer);

  const DisplayPorts& ports_;
  const v1::Ready& ready_;
  const DisplayChoice& choice_;
  const SignalWatch signals_;
};

absl::Status Display::SavePicture() {
  ASSIGN_OR_RETURN(const PrivateFolder folder, PrivateFolder::Make());
  TunnelEnd end;
  ASSIGN_OR_RETURN(const std::unique_ptr<RelayClient> relay, OpenRelay(RelayChannelKind::kVnc));
  const std::string path = absl::StrCat(folder.path(), "/display");
  RETURN_IF_ERROR(relay->Listen(path, [&end](const absl::Status& status) { end.Tell(status); }));
  const absl::StatusOr<Picture> picture =
      TakePicture(path, kPictureTimeout, [this] { return signals_.Came(); });
  if (!picture.ok()) {
    // The relay's reason says more than "closed".
    const std::optional<absl::Status> reason = end.Take();
    return Failure(reason.has_value() && !reason->ok() ? *reason : picture.status());
  }
  RETURN_IF_ERROR(SavePng(*picture, choice_.screenshot));
  ports_.out << Say(ports_.language, Message::kScreenshotSaved,
                    {{"width", absl::StrCat(picture->width)},
                     {"height", absl::StrCat(picture->height)},
                     {"file", choice_.screenshot}})
             << "\n";
  return absl::OkStatus();
}

absl::Status Display::ShowVnc() {
  ASSIGN_OR_RETURN(const std::unique_ptr<LoopbackDoor> door, LoopbackDoor::Open());
  ASSIGN_OR_RETURN(const std::unique_ptr<RelayClient> relay, OpenRelay(RelayChannelKind::kVnc));
  // The screen is there before a viewer is: one that finds nothing would only say so and go.
  const absl::StatusOr<int> remote = relay->Open(kOpenTimeout);
  if (!remote.ok()) return Failure(remote.status());
  const absl::Cleanup close_remote = [&remote] { close(*remote); };
  std::unique_ptr<Viewer> viewer;
  const std::string seconds = absl::StrCat(ready_.ticket_lifetime_s());
  if (choice_.no_viewer) {
    ports_.out << Say(ports_.language, Message::kPortReady,
                      {{"port", absl::StrCat(door->port())}, {"seconds", seconds}})
               << "\n"
               << std::flush;
  } else {
    ASSIGN_OR_RETURN(viewer, StartViewer(absl::StrCat("vnc://127.0.0.1:", door->port())));
  }
  const absl::StatusOr<int> local =
      door->Accept(absl::Seconds(ready_.ticket_lifetime_s()), signals_.descriptor());
  if (!local.ok()) {
    const std::optional<int> code = viewer ? viewer->Wait(absl::ZeroDuration()) : std::nullopt;
    return code.value_or(0) != 0 ? ViewerEnded(*code) : Failure(local.status());
  }
  const absl::Cleanup close_local = [&local] { close(*local); };
  JoinSockets(*local, *remote, signals_.descriptor());
  return relay->gateway_lost() ? absl::AbortedError("the gateway was lost") : absl::OkStatus();
}

absl::Status Display::ShowSpice() {
  ASSIGN_OR_RETURN(const PrivateFolder folder, PrivateFolder::Make());
  TunnelEnd end;
  ASSIGN_OR_RETURN(const std::unique_ptr<RelayClient> relay, OpenRelay(RelayChannelKind::kSpice));
  const std::string path = absl::StrCat(folder.path(), "/display");
  RETURN_IF_ERROR(relay->Listen(path, [&end](const absl::Status& status) { end.Tell(status); }));
  std::unique_ptr<Viewer> viewer;
  if (choice_.no_viewer) {
    ports_.out << Say(ports_.language, Message::kSocketReady,
                      {{"path", path}, {"seconds", absl::StrCat(ready_.ticket_lifetime_s())}})
               << "\n"
               << std::flush;
  } else {
    ASSIGN_OR_RETURN(viewer, StartViewer(absl::StrCat("spice+unix://", path)));
  }
  return WaitForSpice(*relay, end, viewer.get());
}

absl::Status Display::WaitForSpice(RelayClient& relay, TunnelEnd& end, Viewer* viewer) {
  const absl::Time deadline = absl::Now() + absl::Seconds(ready_.ticket_lifetime_s());
  bool opened = false;
  while (true) {
    opened = opened || relay.channels() > 0;
    pollfd watched[3] = {{signals_.descriptor(), POLLIN, 0},
                         {end.descriptor(), POLLIN, 0},
                         {viewer == nullptr ? -1 : viewer->descriptor(), POLLIN, 0}};
    // Without a viewer of ours somebody must come before the ticket is too old.
    if (viewer == nullptr && !opened && absl::Now() >= deadline) {
      return Failure(absl::DeadlineExceededError("nobody connected in time"));
    }
    if (poll(watched, 3, opened ? -1 : kLookMs) < 0 && errno != EINTR) {
      return LocalProblem(absl::ErrnoToStatus(errno, "cannot wait for the viewer"));
    }
    if (watched[0].revents != 0) return absl::CancelledError("interrupted");
    if (watched[1].revents != 0) {
      const absl::Status status = end.Take().value_or(absl::OkStatus());
      // A viewer in front of a closed display has nothing left to show.
      if (viewer != nullptr && status.ok()) viewer->Wait(kViewerFarewell);
      return Failure(status);
    }
    if (watched[2].revents != 0) {
      // After a screen was shown, a viewer's code says only how it was closed.
      return opened ? absl::OkStatus()
                    : ViewerEnded(viewer->Wait(absl::ZeroDuration()).value_or(0));
    }
  }
}

}  // namespace

absl::Status ShowDisplay(const DisplayPorts& ports, const v1::Ready& ready,
                         const DisplayChoice& choice) {
  return Display(ports, ready, choice).Show();
}

}  // namespace werkplek
