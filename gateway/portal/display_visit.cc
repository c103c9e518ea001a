#include "gateway/portal/display_visit.h"

#include <array>
#include <boost/asio/post.hpp>
#include <utility>

#include "common/base/crypto.h"
#include "common/base/log.h"
#include "gateway/relay/display_desk.h"

namespace werkplek {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr absl::Duration kLinger = absl::Seconds(5);
// A broker tells few stages, and a browser that does not read them is not worth waiting for.
constexpr size_t kMaxToTell = 64;

}  // namespace

// Reads before anybody wants what comes, so that the browser's end is noticed meanwhile.
class DisplayVisit::WatchedEnd : public StreamEnd {
 public:
  explicit WatchedEnd(std::unique_ptr<WebSocketEnd> socket) : socket_(std::move(socket)) {}

  // `on_end` is called when the browser ends, or says something, before anybody wanted it to;
  // `keep` keeps this alive.
  template <typename Keep>
  void Watch(const Keep& keep, std::function<void()> on_end) {
    watching_ = true;
    socket_->Read(asio::buffer(first_),
                  [this, keep, on_end = std::move(on_end)](error_code error, size_t size) {
                    watching_ = false;
                    if (wanted_) {
                      std::exchange(wanted_, nullptr)(error, size);
                    } else {
                      on_end();
                    }
                  });
  }

  void Read(asio::mutable_buffer into, Done done) override {
    if (!watching_) return socket_->Read(into, std::move(done));
    wanted_ = [this, into, done = std::move(done)](error_code error, size_t size) mutable {
      if (!error) asio::buffer_copy(into, asio::buffer(first_, size));
      done(error, size);
    };
  }
  void Write(asio::const_buffer from, Done done) override { socket_->Write(from, std::move(done)); }
  void WriteText(asio::const_buffer from, Done done) { socket_->WriteText(from, std::move(done)); }
  void ShutdownWrite() override { socket_->ShutdownWrite(); }
  void Close() override { socket_->Close(); }

 private:
  const std::unique_ptr<WebSocketEnd> socket_;
  // Smaller than any buffer that this is read into.
  std::array<char, 1024> first_;
  bool watching_ = false;
  Done wanted_;
};

DisplayVisit::DisplayVisit(const Parts* parts, CalledFor whom, const DisplayCall& asked,
                           std::function<bool()> opened, std::function<void()> over)
    : parts_(parts),
      whom_(std::move(whom)),
      on_opened_(std::move(opened)),
      on_over_(std::move(over)),
      deadline_(*parts_->io),
      tell_again_(*parts_->io),
      pause_(*parts_->io),
      stage_(StageText(v1::ConnectUpdate())) {
  request_.set_request_id(HexEncode(RandomBytes(16)));
  request_.set_pool(asked.pool);
  request_.set_again(asked.again);
  request_.mutable_client()->set_program("browser");
}

DisplayVisit::~DisplayVisit() = default;

void DisplayVisit::Start(std::unique_ptr<WebSocketEnd> socket) {
  socket_ = std::make_unique<WatchedEnd>(std::move(socket));
  socket_->Watch(shared_from_this(), [this] { Over(); });
  TellAgain();
  Call();
}

void DisplayVisit::Call() {
  // From gRPC's threads to ours.
  const auto on_io = [io = parts_->io, weak = weak_from_this()](auto action) {
    asio::post(*io, [weak, action = std::move(action)] {
      const std::shared_ptr<DisplayVisit> visit = weak.lock();
      if (visit != nullptr && !visit->over_) action(*visit);
    });
  };
  call_ = std::make_unique<DesktopCall>(
      parts_->lines, whom_, request_,
      DesktopCall::Listener{.update =
                                [on_io](const v1::ConnectUpdate& update) {
                                  on_io([update](DisplayVisit& visit) { visit.OnUpdate(update); });
                                },
                            .end =
                                [on_io](const absl::Status& status) {
                                  on_io([status](DisplayVisit& visit) { visit.OnEnd(status); });
                                }});
}

void DisplayVisit::CallAfter(absl::Duration pause) {
  pause_.expires_after(absl::ToChronoNanoseconds(pause));
  pause_.async_wait([self = shared_from_this()](error_code error) {
    if (!error && !self->over_) self->Call();
  });
}

void DisplayVisit::OnUpdate(const v1::ConnectUpdate& update) {
  if (ready_.has_value() || last_told_) return;
  failed_rounds_ = 0;
  if (update.has_ready()) {
    ready_ = update;
    return Dial(*ready_->mutable_ready());
  }
  stage_ = StageText(update);
  Tell(stage_);
  if (!update.has_refused()) return;
  CountDisplay(*parts_->metrics, "refused");
  last_told_ = true;
}

void DisplayVisit::OnEnd(const absl::Status& status) {
  if (ready_.has_value() || last_told_) return;
  // While the leader changes, every broker says so at once.
  if (absl::IsUnavailable(status) && failed_rounds_ < parts_->broker_pauses.size()) {
    return CallAfter(parts_->broker_pauses[failed_rounds_++]);
  }
  const absl::Status why =
      status.ok() ? absl::UnavailableError("the broker ended the call") : status;
  const bool silent = absl::IsUnavailable(why) || absl::IsDeadlineExceeded(why);
  Fail(silent ? "no-broker" : "refused", why, FailureText(why));
}

void DisplayVisit::Dial(v1::Ready& ready) {
  RelayTarget target{.addresses = {ready.relays().begin(), ready.relays().end()},
                     .host = ready.host(),
                     .desktop = ready.desktop(),
                     .ticket = Secret(ready.ticket()),
                     .kind = RelayChannelKind::kVnc,
                     .viewer = HexEncode(RandomBytes(16))};
  Wipe(*ready.mutable_ticket());
  parts_->dialer->Dial(
      std::move(target), HostDialer::kTimeout,
      [io = parts_->io, weak = weak_from_this()](const absl::StatusOr<int>& opened) {
        asio::post(*io, [weak, status = opened.status(),
                         display = OwnedDescriptor(opened.value_or(-1))]() mutable {
          const std::shared_ptr<DisplayVisit> visit = weak.lock();
          if (visit != nullptr && !visit->over_) visit->OnDialled(status, std::move(display));
        });
      });
}

void DisplayVisit::OnDialled(const absl::Status& status, OwnedDescriptor display) {
  if (!status.ok()) return Fail("host-refused", status, FailureText(status));
  if (!on_opened_()) {
    return Fail("full", absl::ResourceExhaustedError("too many displays are open at this gateway"),
                GatewayFullText());
  }
  display_.emplace(std::move(display));
  CountDisplay(*parts_->metrics, "opened");
  Log(Severity::kInfo, "display-opened",
      {{"desktop", ready_->ready().desktop()},
       {"host", ready_->ready().host()},
       {"peer", "browser"},
       {"address", whom_.browser_address}});
  Tell(StageText(*ready_));
}

void DisplayVisit::Fail(const char* answer, const absl::Status& why, std::string text) {
  CountDisplay(*parts_->metrics, answer);
  Log(Severity::kWarning, "display-refused",
      {{"answer", answer},
       {"pool", request_.pool()},
       {"peer", "browser"},
       {"address", whom_.browser_address},
       {"reason", why.ToString()}});
  last_told_ = true;
  Tell(std::move(text));
}

void DisplayVisit::Tell(std::string text) {
  if (to_tell_.size() >= kMaxToTell) return Over();
  to_tell_.push_back(std::move(text));
  if (!telling_) WriteNext();
}

void DisplayVisit::TellAgain() {
  tell_again_.expires_after(absl::ToChronoNanoseconds(parts_->tell_again));
  tell_again_.async_wait([self = shared_from_this()](error_code error) {
    if (error || self->over_ || self->last_told_ || self->display_.has_value()) return;
    if (!self->telling_) self->Tell(self->stage_);
    self->TellAgain();
  });
}

void DisplayVisit::WriteNext() {
  if (to_tell_.empty()) {
    if (display_.has_value()) return Join();
    if (!last_told_) return;
    // The browser's answer to the end is the end.
    socket_->ShutdownWrite();
    deadline_.expires_after(absl::ToChronoNanoseconds(kLinger));
    deadline_.async_wait([self = shared_from_this()](error_code error) {
      if (!error) self->Over();
    });
    return;
  }
  telling_ = true;
  socket_->WriteText(asio::buffer(to_tell_.front()),
                     [self = shared_from_this()](error_code error, size_t) {
                       self->telling_ = false;
                       if (self->over_) return;
                       if (error) return self->Over();
                       self->to_tell_.pop_front();
                       self->WriteNext();
                     });
}

void DisplayVisit::Join() {
  call_ = nullptr;
  splice_ = Splice::Start(*parts_->io, std::move(socket_),
                          std::make_unique<LocalEnd>(*parts_->io, display_->Take()), "", kLinger,
                          [self = shared_from_this()] { self->Over(); });
}

void DisplayVisit::Cut() { Over(); }

void DisplayVisit::Over() {
  if (over_) return;
  over_ = true;
  for (auto* timer : {&deadline_, &tell_again_, &pause_}) timer->cancel();
  call_ = nullptr;
  if (socket_ != nullptr) socket_->Close();
  if (splice_ != nullptr) splice_->Cut();
  // It holds this.
  splice_ = nullptr;
  asio::post(*parts_->io, [self = shared_from_this()] { self->on_over_(); });
}

}  // namespace werkplek
