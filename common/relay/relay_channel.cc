#include "common/relay/relay_channel.h"

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/http/error.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/config/units.h"

namespace werkplek {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

// One address gets no longer than this, so that the others have their turn.
constexpr absl::Duration kAttempt = absl::Seconds(4);
// Opening the display on the host may take a while, once the relay is reached.
constexpr absl::Duration kLinger = absl::Seconds(5);
constexpr size_t kMaxHeadBytes = 8 * 1024;

absl::Status StatusOfAnswer(unsigned status, absl::string_view reason) {
  const std::string text =
      absl::StrCat("the relay refused: ", reason.empty() ? "no reason given" : reason);
  switch (status) {
    case 401:
    case 403:
      return absl::PermissionDeniedError(text);
    case 404:
      return absl::NotFoundError(text);
    case 429:
      return absl::ResourceExhaustedError(text);
    case 503:
      return absl::UnavailableError(text);
    default:
      return absl::InternalError(absl::StrCat(text, " (HTTP ", status, ")"));
  }
}

bool IsLoss(const error_code& error) {
  return error && error != asio::error::eof && error != asio::error::operation_aborted;
}

// Tells when the line is lost, before whoever waits for the end hears of it.
class WatchedEnd : public StreamEnd {
 public:
  WatchedEnd(std::unique_ptr<StreamEnd> end, std::function<void()> lost)
      : end_(std::move(end)), lost_(std::move(lost)) {}

  void Read(asio::mutable_buffer into, Done done) override {
    end_->Read(into, Watch(std::move(done)));
  }
  void Write(asio::const_buffer from, Done done) override {
    end_->Write(from, Watch(std::move(done)));
  }
  void ShutdownWrite() override { end_->ShutdownWrite(); }
  void Close() override { end_->Close(); }

 private:
  Done Watch(Done done) {
    return [lost = lost_, done = std::move(done)](error_code error, size_t size) mutable {
      if (IsLoss(error)) lost();
      done(error, size);
    };
  }

  const std::unique_ptr<StreamEnd> end_;
  const std::function<void()> lost_;
};

}  // namespace

std::shared_ptr<RelayChannel> RelayChannel::Make(asio::io_context& io, RelayTls tls,
                                                 const RelayTarget* target,
                                                 std::unique_ptr<LocalEnd> local) {
  return std::shared_ptr<RelayChannel>(
      new RelayChannel(io, std::move(tls), target, std::move(local)));
}

RelayChannel::RelayChannel(asio::io_context& io, RelayTls tls, const RelayTarget* target,
                           std::unique_ptr<LocalEnd> local)
    : io_(io),
      tls_(std::move(tls)),
      target_(target),
      local_(std::move(local)),
      deadline_(io),
      attempt_(io),
      resolver_(io),
      socket_(io) {}

void RelayChannel::Start(absl::Duration timeout, std::function<void(absl::Status)> opened,
                         std::function<void(bool)> closed, std::function<void()> gateway_lost) {
  gateway_lost_ = std::move(gateway_lost);
  opened_ = std::move(opened);
  closed_ = std::move(closed);
  deadline_.expires_after(absl::ToChronoNanoseconds(timeout));
  deadline_.async_wait([self = shared_from_this()](error_code error) {
    if (error || self->over_ || self->open_) return;
    self->Fail(absl::UnavailableError(absl::StrCat(
        "no relay answered in time", self->misses_.empty() ? "" : ": ", self->misses_)));
  });
  TryNext();
}

void RelayChannel::TryNext() {
  if (next_address_ == target_->addresses.size() + target_->gateways.size()) {
    Fail(absl::UnavailableError(absl::StrCat("no relay answers: ", misses_)));
    return;
  }
  const absl::StatusOr<HostPort> where = ParseHostPort(address(next_address_++));
  if (!where.ok()) {
    Miss(std::string(where.status().message()));
    return;
  }
  attempt_.expires_after(absl::ToChronoNanoseconds(kAttempt));
  attempt_.async_wait([self = shared_from_this(), number = attempt_number_](error_code error) {
    if (error || self->over_ || number != self->attempt_number_) return;
    self->Miss("no answer");
  });
  resolver_.async_resolve(where->host, absl::StrCat(where->port),
                          [self = shared_from_this(), number = attempt_number_](
                              error_code error, const tcp::resolver::results_type& endpoints) {
                            if (self->over_ || number != self->attempt_number_) return;
                            if (error) {
                              self->Miss(error.message());
                            } else {
                              self->Connect(endpoints);
                            }
                          });
}

void RelayChannel::Connect(const tcp::resolver::results_type& endpoints) {
  socket_ = tcp::socket(io_);
  asio::async_connect(socket_, endpoints,
                      [self = shared_from_this(), number = attempt_number_](error_code error,
                                                                            const tcp::endpoint&) {
                        if (self->over_ || number != self->attempt_number_) return;
                        if (error) {
                          self->Miss(error.message());
                        } else {
                          self->Handshake();
                        }
                      });
}

void RelayChannel::Handshake() {
  TuneSocket(socket_);
  stream_ = std::make_unique<TlsStream>(std::move(socket_), at_gateway() ? tls_.gateway : tls_.host,
                                        TlsStream::Role::kClient);
  stream_->Handshake([self = shared_from_this(), number = attempt_number_](error_code error) {
    if (self->over_ || number != self->attempt_number_) return;
    if (error) {
      self->Miss(absl::StrCat("TLS: ", error.message()));
    } else {
      self->Ask();
    }
  });
}

void RelayChannel::Ask() {
  // From here on the ticket may be spent: there is no other address to try, also when this one's
  // time was just over.
  ++attempt_number_;
  attempt_.cancel();
  head_ = absl::StrCat(
      "CONNECT ", target_->desktop, " HTTP/1.1\r\nHost: ", target_->host,
      "\r\nAuthorization: Ticket ", target_->ticket.Reveal(),
      "\r\nWerkplek-Channel: ", target_->kind == RelayChannelKind::kSpice ? "spice" : "vnc",
      "\r\nWerkplek-Viewer: ", target_->viewer, "\r\n");
  if (!target_->client_certificate_sha256.empty()) {
    absl::StrAppend(&head_, "Werkplek-Certificate: ", HexEncode(target_->client_certificate_sha256),
                    "\r\n");
  }
  head_ += "\r\n";
  stream_->Write(asio::const_buffer(head_.data(), head_.size()),
                 [self = shared_from_this()](error_code error, size_t) {
                   Wipe(self->head_);
                   if (self->over_) return;
                   if (error) {
                     self->FailUnanswered(error.message());
                     return;
                   }
                   self->parser_.emplace();
                   self->parser_->header_limit(kMaxHeadBytes);
                   self->parser_->skip(true);
                   self->ReadAnswer();
                 });
}

void RelayChannel::ReadAnswer() {
  stream_->Read(asio::buffer(buffer_), [self = shared_from_this()](error_code error, size_t size) {
    if (self->over_) return;
    if (error) {
      self->FailUnanswered(absl::StrCat("the relay ended the connection: ", error.message()));
    } else {
      self->OnAnswer(size);
    }
  });
}

void RelayChannel::OnAnswer(size_t size) {
  unparsed_.append(buffer_.data(), size);
  error_code error;
  const size_t used = parser_->put(asio::const_buffer(unparsed_.data(), unparsed_.size()), error);
  unparsed_.erase(0, used);
  if (error == http::error::need_more) error = {};
  if (error || unparsed_.size() > kMaxHeadBytes + buffer_.size()) {
    Fail(absl::InternalError("the relay's answer is no HTTP"));
    return;
  }
  if (!parser_->is_header_done()) {
    ReadAnswer();
    return;
  }
  const http::response<http::empty_body>& answer = parser_->get();
  if (answer.result_int() == 200) {
    Join();
    return;
  }
  const boost::beast::string_view reason = answer["Werkplek-Reason"];
  Fail(StatusOfAnswer(answer.result_int(), {reason.data(), reason.size()}));
}

void RelayChannel::Join() {
  open_ = true;
  deadline_.cancel();
  std::unique_ptr<StreamEnd> far = std::move(stream_);
  if (at_gateway() && gateway_lost_) {
    far = std::make_unique<WatchedEnd>(std::move(far), gateway_lost_);
  }
  splice_ = Splice::Start(io_, std::move(far), std::move(local_), std::exchange(unparsed_, {}),
                          kLinger, [self = shared_from_this()] { self->Over(); });
  std::exchange(opened_, nullptr)(absl::OkStatus());
}

void RelayChannel::Miss(const std::string& why) {
  // What closing aborts is called before the next attempt begins.
  ++attempt_number_;
  absl::StrAppend(&misses_, misses_.empty() ? "" : "; ", address(next_address_ - 1), ": ", why);
  attempt_.cancel();
  error_code ignored;
  socket_.close(ignored);
  if (stream_ != nullptr) stream_->Close();
  // Its callbacks may still be on their way: they hold this channel, not the stream.
  asio::post(io_,
             [self = shared_from_this(), old = std::shared_ptr<TlsStream>(std::move(stream_))] {
               if (!self->over_) self->TryNext();
             });
}

const std::string& RelayChannel::address(size_t index) const {
  const size_t relays = target_->addresses.size();
  return index < relays ? target_->addresses[index] : target_->gateways[index - relays];
}

void RelayChannel::FailUnanswered(const std::string& why) {
  Fail(at_gateway() ? absl::AbortedError(why) : absl::UnavailableError(why));
}

void RelayChannel::Fail(absl::Status why) {
  if (opened_) std::exchange(opened_, nullptr)(std::move(why));
  Over();
}

void RelayChannel::Cut() {
  if (opened_) std::exchange(opened_, nullptr)(absl::CancelledError("the client is closing"));
  Over();
}

void RelayChannel::Over() {
  if (over_) return;
  over_ = true;
  deadline_.cancel();
  attempt_.cancel();
  resolver_.cancel();
  error_code ignored;
  socket_.close(ignored);
  if (stream_ != nullptr) stream_->Close();
  if (splice_ != nullptr) splice_->Cut();
  splice_.reset();
  if (local_ != nullptr) local_->Close();
  const std::shared_ptr<RelayChannel> self = shared_from_this();
  std::exchange(closed_, nullptr)(open_);
}

}  // namespace werkplek
