#include "common/relay/relay_connection.h"

#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/beast/http/error.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/crypto.h"
#include "common/base/log.h"
#include "common/relay/websocket_end.h"

namespace werkplek {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr absl::Duration kDrainDeadline = absl::Seconds(2);

// Whether the other side has gone, in order or without a word.
bool IsEnd(const error_code& error) {
  return error == asio::error::eof || error == asio::ssl::error::stream_truncated ||
         error == asio::error::connection_reset;
}

}  // namespace

OwnedDescriptor::~OwnedDescriptor() {
  if (descriptor_ >= 0) close(descriptor_);
}

RelayConnection::RelayConnection(asio::io_context& io, asio::ip::tcp::socket socket,
                                 const SslContextPointer& context, uint64_t channel,
                                 const Owner* owner)
    : io_(io),
      channel_(channel),
      owner_(owner),
      address_(PeerAddressOf(socket, &source_)),
      deadline_(io) {
  TuneSocket(socket);
  stream_ = std::make_unique<TlsStream>(std::move(socket), context, TlsStream::Role::kServer);
  parser_.emplace();
  parser_->header_limit(kMaxHeadBytes);
  parser_->body_limit(0);
  parser_->eager(false);
}

void RelayConnection::Start() {
  ArmDeadline(owner_->options->head_deadline, "no complete head in time");
  stream_->Handshake([self = shared_from_this()](error_code error) {
    if (self->over_) return;
    if (error) {
      self->Fail("relay-handshake-failed", error.message());
    } else {
      self->ReadHead();
    }
  });
}

void RelayConnection::ReadHead() {
  stream_->Read(asio::buffer(buffer_), [self = shared_from_this()](error_code error, size_t size) {
    if (self->over_) return;
    if (IsEnd(error) && self->unparsed_.empty()) {
      // It only wanted to know whether we are here.
      self->Over();
    } else if (error) {
      self->Fail("relay-head-failed", error.message());
    } else {
      self->ParseHead(size);
    }
  });
}

void RelayConnection::ParseHead(size_t size) {
  unparsed_.append(buffer_.data(), size);
  error_code error;
  const size_t used = parser_->put(asio::const_buffer(unparsed_.data(), unparsed_.size()), error);
  unparsed_.erase(0, used);
  if (error == http::error::need_more) error = {};
  if (error == http::error::header_limit || unparsed_.size() > kMaxHeadBytes) {
    Refuse(431, absl::StrCat("the head is longer than ", kMaxHeadBytes, " bytes"));
  } else if (error) {
    Refuse(400, absl::StrCat("malformed request: ", error.message()));
  } else if (parser_->is_header_done()) {
    OnHead();
  } else {
    ReadHead();
  }
}

void RelayConnection::OnHead() {
  std::variant<RelayHead, RelayRefusal> read =
      ReadRelayHead(parser_->get(), owner_->options->origins);
  if (const auto* refusal = std::get_if<RelayRefusal>(&read)) {
    Refuse(refusal->status, refusal->reason);
    return;
  }
  RelayHead& head = std::get<RelayHead>(read);
  RelayRequest request;
  request.channel = channel_;
  request.desktop = head_.desktop = head.desktop;
  request.ticket_sha256 = Sha256(head.ticket.Reveal());
  head_.kind = request.kind = head.kind;
  head_.websocket = head.websocket;
  request.viewer = head.viewer;
  request.address = address_;
  if (const absl::StatusOr<PeerCertificate> peer = stream_->Peer(); peer.ok()) {
    request.certificate_sha256 = peer->sha256;
    request.peer = peer_ = PeerLabel(peer->name);
    if (!head.certificate_sha256.empty()) {
      if (!owner_->options->believe_gateways || peer->name.identity != v1::IDENTITY_GATEWAY) {
        Refuse(403, "only a gateway may speak for a client, and not here");
        return;
      }
      request.certificate_sha256 = head.certificate_sha256;
    }
  }
  if (owner_->options->keep_tickets) request.ticket = std::move(head.ticket);
  ArmDeadline(owner_->options->answer_deadline, "no answer in time");
  owner_->ask(shared_from_this(), request);
}

void RelayConnection::OnVerdict(RelayVerdict verdict, OwnedDescriptor display) {
  granted_ = verdict.status == 200;
  if (over_) {
    // The viewer left meanwhile.
    if (granted_) owner_->handlers->closed(channel_);
    return;
  }
  if (!granted_) {
    Refuse(verdict.status, verdict.reason);
  } else if (cut_) {
    granted_ = false;
    owner_->handlers->closed(channel_);
    Refuse(503, "the display was closed");
  } else {
    owner_->let_in(*this);
    deadline_.cancel();
    Join(display.Take());
  }
}

void RelayConnection::Join(int display) {
  if (head_.websocket) {
    AcceptWebSocket(display);
    return;
  }
  static constexpr absl::string_view kYes = "HTTP/1.1 200 OK\r\n\r\n";
  stream_->Write(asio::const_buffer(kYes.data(), kYes.size()),
                 [self = shared_from_this(), owned = OwnedDescriptor(display)](error_code error,
                                                                               size_t) mutable {
                   if (self->over_) return;
                   if (error) {
                     self->Fail("relay-answer-failed", error.message());
                   } else {
                     self->JoinEnds(std::move(self->stream_), owned.Take());
                   }
                 });
}

void RelayConnection::AcceptWebSocket(int display) {
  auto viewer = std::make_unique<WebSocketEnd>(std::move(stream_));
  WebSocketEnd* end = viewer.get();
  end->Accept(parser_->get(), [self = shared_from_this(), viewer = std::move(viewer),
                               owned = OwnedDescriptor(display)](error_code error) mutable {
    if (self->over_) return;
    if (error) {
      self->Fail("relay-upgrade-failed", error.message());
    } else {
      self->JoinEnds(std::move(viewer), owned.Take());
    }
  });
}

void RelayConnection::JoinEnds(std::unique_ptr<StreamEnd> viewer, int display) {
  splice_ = Splice::Start(io_, std::move(viewer), std::make_unique<LocalEnd>(io_, display),
                          std::exchange(unparsed_, {}), owner_->options->linger,
                          [self = shared_from_this()] { self->Over(); });
  parser_.reset();
  if (cut_) {
    splice_->Cut();
    return;
  }
  owner_->handlers->opened(channel_);
}

void RelayConnection::Cut() {
  cut_ = true;
  if (over_) return;
  if (splice_ != nullptr) {
    splice_->Cut();
  } else if (granted_) {
    Over();
  }
}

void RelayConnection::Refuse(unsigned status, const std::string& reason) {
  Log(Severity::kWarning, "relay-refused",
      {{"status", absl::StrCat(status)},
       {"reason", reason},
       {"desktop", head_.desktop},
       {"peer", peer_},
       {"address", address_}});
  // Our own words, but one may have come from elsewhere: nothing in it ends the line.
  std::string line = reason;
  for (char& c : line) {
    if (!absl::ascii_isprint(static_cast<unsigned char>(c))) c = ' ';
  }
  auto answer = std::make_unique<std::string>(absl::StrCat(
      "HTTP/1.1 ", status, " ",
      std::string(http::obsolete_reason(static_cast<http::status>(status))),
      "\r\nContent-Type: text/plain; charset=utf-8\r\nWerkplek-Reason: ", line,
      "\r\nContent-Length: ", line.size() + 1, "\r\nConnection: close\r\n\r\n", line, "\n"));
  ArmDeadline(kDrainDeadline, "");
  const asio::const_buffer bytes(answer->data(), answer->size());
  stream_->Write(bytes,
                 [self = shared_from_this(), answer = std::move(answer)](error_code error, size_t) {
                   if (self->over_) return;
                   if (error) {
                     self->Over();
                     return;
                   }
                   self->stream_->ShutdownWrite();
                   self->Drain(0);
                 });
}

void RelayConnection::Drain(size_t drained) {
  stream_->Read(asio::buffer(buffer_),
                [self = shared_from_this(), drained](error_code error, size_t size) {
                  if (self->over_) return;
                  if (error || drained + size > kMaxDrainedBytes) {
                    self->Over();
                  } else {
                    self->Drain(drained + size);
                  }
                });
}

void RelayConnection::ArmDeadline(absl::Duration deadline, const char* what) {
  deadline_.expires_after(absl::ToChronoNanoseconds(deadline));
  deadline_.async_wait([self = shared_from_this(), what](error_code error) {
    if (error || self->over_) return;
    if (*what != '\0') {
      self->Fail("relay-cut", what);
    } else {
      self->Over();
    }
  });
}

void RelayConnection::Fail(const char* what, const std::string& why) {
  Log(Severity::kInfo, what, {{"reason", why}, {"peer", peer_}, {"address", address_}});
  Over();
}

void RelayConnection::Over() {
  if (over_) return;
  over_ = true;
  deadline_.cancel();
  if (stream_ != nullptr) stream_->Close();
  if (splice_ != nullptr) splice_->Cut();
  splice_.reset();
  if (granted_) owner_->handlers->closed(channel_);
  owner_->over(shared_from_this());
}

}  // namespace werkplek
