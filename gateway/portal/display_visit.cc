#include "gateway/portal/display_visit.h"

#include <unistd.h>

#include <array>
#include <boost/asio/post.hpp>
#include <utility>

#include "common/base/crypto.h"
#include "common/base/log.h"
#include "gateway/portal/portal_call.h"

namespace werkplek {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

// The host's relay takes up to this to open a display.
constexpr absl::Duration kDialTimeout = absl::Seconds(30);
constexpr absl::Duration kLinger = absl::Seconds(5);
// A broker tells few stages, and a browser that does not read them is not worth waiting for.
constexpr size_t kMaxToTell = 64;

}  // namespace

// Reads before anybody wants what comes, so that the browser's end is noticed meanwhile.
class DisplayVisit::WatchedEnd : public StreamEnd {
 public:
  explicit WatchedEnd(std::unique_ptr<WebSocketEnd> socket) : socket_(std::move(socket)) {}

  // `on_error` is called when the first read fails before anybody wanted it; `keep` keeps this
  // alive.
  template <typename Keep>
  void Watch(const Keep& keep, std::function<void()> on_error) {
    watching_ = true;
    socket_->Read(asio::buffer(first_),
                  [this, keep, on_error = std::move(on_error)](error_code error, size_t size) {
                    watching_ = false;
                    if (wanted_) {
                      std::exchange(wanted_, nullptr)(error, size);
                    } else if (error) {
                      on_error();
                    } else {
                      came_ = size;
                    }
                  });
  }

  void Read(asio::mutable_buffer into, Done done) override {
    if (watching_) {
      wanted_ = [this, into, done = std::move(done)](error_code error, size_t size) mutable {
        if (!error) asio::buffer_copy(into, asio::buffer(first_, size));
        done(error, size);
      };
    } else if (came_ > 0) {
      const size_t size = asio::buffer_copy(into, asio::buffer(first_, std::exchange(came_, 0)));
      asio::post(*io, [size, done = std::move(done)]() mutable { done(error_code(), size); });
    } else {
      socket_->Read(into, std::move(done));
    }
  }
  void Write(asio::const_buffer from, Done done) override { socket_->Write(from, std::move(done)); }
  void WriteText(asio::const_buffer from, Done done) { socket_->WriteText(from, std::move(done)); }
  void ShutdownWrite() override { socket_->ShutdownWrite(); }
  void Close() override { socket_->Close(); }

  asio::io_context* io = nullptr;

 private:
  const std::unique_ptr<WebSocketEnd> socket_;
  // Smaller than any buffer that this is read into.
  std::array<char, 1024> first_;
  size_t came_ = 0;
  bool watching_ = false;
  Done wanted_;
};

DisplayVisit::DisplayVisit(const Parts* parts, CalledFor whom, std::string pool,
                           std::function<void()> over)
    : parts_(parts),
      whom_(std::move(whom)),
      pool_(std::move(pool)),
      on_over_(std::move(over)),
      deadline_(*parts_->io) {}

DisplayVisit::~DisplayVisit() = default;

void DisplayVisit::Start(std::unique_ptr<WebSocketEnd> socket) {
  socket_ = std::make_unique<WatchedEnd>(std::move(socket));
  socket_->io = parts_->io.get();
  socket_->Watch(shared_from_this(), [this] { Over(); });
  v1::ConnectRequest request;
  request.set_request_id(HexEncode(RandomBytes(16)));
  request.set_pool(pool_);
  request.mutable_client()->set_program("browser");
  // From gRPC's threads to ours.
  const auto on_io = [io = parts_->io, weak = weak_from_this()](auto action) {
    asio::post(*io, [weak, action = std::move(action)] {
      const std::shared_ptr<DisplayVisit> visit = weak.lock();
      if (visit != nullptr && !visit->over_) action(*visit);
    });
  };
  call_ = std::make_unique<ConnectCall>(
      parts_->lines, whom_, std::move(request),
      ConnectCall::Listener{.update =
                                [on_io](const v1::ConnectUpdate& update) {
                                  on_io([update](DisplayVisit& visit) { visit.OnUpdate(update); });
                                },
                            .end =
                                [on_io](const absl::Status& status) {
                                  on_io([status](DisplayVisit& visit) { visit.OnEnd(status); });
                                }});
}

void DisplayVisit::OnUpdate(const v1::ConnectUpdate& update) {
  if (ready_.has_value() || last_told_) return;
  if (update.has_ready()) {
    ready_ = update;
    return Dial(update.ready());
  }
  Tell(StageText(update));
  if (!update.has_refused()) return;
  Count("refused");
  last_told_ = true;
}

void DisplayVisit::OnEnd(const absl::Status& status) {
  if (ready_.has_value() || last_told_) return;
  Fail("no-broker", status.ok() ? absl::UnavailableError("the broker ended the call") : status);
}

void DisplayVisit::Dial(const v1::Ready& ready) {
  RelayTarget target{.addresses = {ready.relays().begin(), ready.relays().end()},
                     .host = ready.host(),
                     .desktop = ready.desktop(),
                     .ticket = Secret(ready.ticket()),
                     .kind = RelayChannelKind::kVnc,
                     .viewer = HexEncode(RandomBytes(16))};
  parts_->dialer->Dial(std::move(target), kDialTimeout,
                       [io = parts_->io, weak = weak_from_this()](absl::StatusOr<int> opened) {
                         asio::post(*io, [weak, opened = std::move(opened)] {
                           const std::shared_ptr<DisplayVisit> visit = weak.lock();
                           if (visit != nullptr && !visit->over_) {
                             visit->OnDialled(opened);
                           } else if (opened.ok()) {
                             close(*opened);
                           }
                         });
                       });
}

void DisplayVisit::OnDialled(const absl::StatusOr<int>& opened) {
  if (!opened.ok()) return Fail("host-refused", opened.status());
  display_ = *opened;
  Count("opened");
  Log(Severity::kInfo, "display-opened",
      {{"desktop", ready_->ready().desktop()},
       {"host", ready_->ready().host()},
       {"peer", "browser"},
       {"address", whom_.browser_address}});
  Tell(StageText(*ready_));
}

void DisplayVisit::Fail(const char* answer, const absl::Status& why) {
  Count(answer);
  Log(Severity::kWarning, "display-refused",
      {{"answer", answer},
       {"pool", pool_},
       {"peer", "browser"},
       {"address", whom_.browser_address},
       {"reason", why.ToString()}});
  last_told_ = true;
  Tell(FailureText(why));
}

void DisplayVisit::Tell(std::string text) {
  if (to_tell_.size() >= kMaxToTell) return Over();
  to_tell_.push_back(std::move(text));
  if (!telling_) WriteNext();
}

void DisplayVisit::WriteNext() {
  if (to_tell_.empty()) {
    if (display_ >= 0) return Join();
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
                          std::make_unique<LocalEnd>(*parts_->io, std::exchange(display_, -1)), "",
                          kLinger, [self = shared_from_this()] { self->Over(); });
}

void DisplayVisit::Cut() { Over(); }

void DisplayVisit::Over() {
  if (over_) return;
  over_ = true;
  deadline_.cancel();
  call_ = nullptr;
  if (socket_ != nullptr) socket_->Close();
  if (splice_ != nullptr) splice_->Cut();
  if (display_ >= 0) close(std::exchange(display_, -1));
  asio::post(*parts_->io, [self = shared_from_this()] { self->on_over_(); });
}

void DisplayVisit::Count(const char* answer) {
  parts_->metrics->Count("werkplek_gateway_displays_total",
                         "Displays that clients asked for, by what became of it.",
                         {{"answer", answer}});
}

}  // namespace werkplek
