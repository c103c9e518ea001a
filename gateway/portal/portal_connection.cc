#include "gateway/portal/portal_connection.h"

#include <boost/asio/post.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/monotonic.h"
#include "gateway/relay/display_desk.h"

namespace werkplek {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr std::uint32_t kMaxHeadBytes = 16 * 1024;
constexpr size_t kMaxBodyBytes = 8 * 1024;
constexpr absl::Duration kAnswerDeadline = absl::Seconds(30);
constexpr absl::Duration kWriteDeadline = absl::Seconds(30);
constexpr absl::Duration kDrainDeadline = absl::Seconds(2);
constexpr size_t kMaxDrainedBytes = 64 * 1024;
// A directory that answers slowly is waited for; it is not asked twice for that.
constexpr Patience kForSignIn{.deadline = absl::Seconds(10), .ask_others_when_silent = false};
constexpr Patience kForCalls{.deadline = absl::Seconds(5)};

// No script, style or connection but our own, and nobody's frame.
constexpr char kPolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

void WipeSecrets(v1::SignInRequest& request) {
  Wipe(*request.mutable_password());
  Wipe(*request.mutable_token_code());
}
void WipeSecrets(google::protobuf::Message&) {}

// `known`: the tags of what the browser has.
PortalAnswer AnswerOf(const Page* page, absl::string_view known) {
  if (page == nullptr) return {404, "text/plain; charset=utf-8", "not found\n"};
  // Asked for anew each time, so that a page and its scripts are always of one version.
  PortalAnswer answer{
      200, page->content_type, "", {{"Cache-Control", "no-cache"}, {"ETag", page->tag}}};
  if (absl::StrContains(known, page->tag)) {
    answer.status = 304;
  } else {
    answer.body = page->body;
  }
  return answer;
}

}  // namespace

PortalConnection::PortalConnection(asio::ip::tcp::socket socket, const SslContextPointer& context,
                                   const Owner* owner)
    : owner_(owner),
      address_(PeerAddressOf(socket, &source_)),
      stream_(std::make_unique<TlsStream>(std::move(socket), context, TlsStream::Role::kServer)),
      http_stream_(stream_.get()),
      deadline_(*owner->parts.io),
      buffer_(kMaxHeadBytes + kMaxBodyBytes) {
  TuneSocket(stream_->socket());
}

void PortalConnection::Start() {
  ArmDeadline(owner_->request_deadline);
  stream_->Handshake([self = shared_from_this()](error_code error) {
    if (self->over_) return;
    if (error) {
      self->Over();
    } else {
      self->ReadRequest(self->owner_->request_deadline);
    }
  });
}

void PortalConnection::ReadRequest(absl::Duration deadline) {
  ArmDeadline(deadline);
  parser_.emplace();
  parser_->header_limit(kMaxHeadBytes);
  parser_->body_limit(kMaxBodyBytes);
  http::async_read(http_stream_, buffer_, *parser_,
                   [self = shared_from_this()](error_code error, size_t) {
                     if (!self->over_) self->OnRequest(error);
                   });
}

void PortalConnection::OnRequest(error_code error) {
  if (error == http::error::header_limit) {
    return Write(ErrorAnswer(431, "bad-request", "the head is too long"));
  }
  if (error == http::error::body_limit) {
    return Write(ErrorAnswer(413, "bad-request", "the body is too long"));
  }
  if (error.category() == http::make_error_code(http::error::bad_method).category() &&
      error != http::error::end_of_stream && error != http::error::partial_message) {
    return Write(ErrorAnswer(400, "bad-request", "not a request"));
  }
  if (error) return Over();
  const auto& request = parser_->get();
  const absl::string_view target(request.target().data(), request.target().size());
  if (boost::beast::websocket::is_upgrade(request)) return OnDisplay();
  if (absl::StartsWith(target, "/api/")) return OnCall();
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    return Write(NotAllowed("GET, HEAD"));
  }
  const auto known = request[http::field::if_none_match];
  Write(AnswerOf(owner_->pages->Find(target), {known.data(), known.size()}));
}

CalledFor PortalConnection::Whom() const { return {TokenOf(parser_->get()), address_}; }

void PortalConnection::OnDisplay() {
  const auto& request = parser_->get();
  std::variant<DisplayCall, PortalAnswer> read = ReadDisplayCall(request, owner_->origins);
  if (auto* refusal = std::get_if<PortalAnswer>(&read)) return Write(std::move(*refusal));
  CalledFor whom = Whom();
  if (whom.access_token.empty()) return Write(ErrorAnswer(401, "sign-in-first", "sign in first"));
  if (!MayAsk(SourceLimits::Asked::kOther)) return CountDisplay(*owner_->parts.metrics, "too-many");
  const std::shared_ptr<PortalConnection> self = shared_from_this();
  visit_ = std::make_shared<DisplayVisit>(
      &owner_->parts, std::move(whom), std::get<DisplayCall>(read),
      [self] { return self->owner_->opened(*self); }, [self] { self->Over(); });
  socket_ = std::make_unique<WebSocketEnd>(std::move(stream_));
  const http::request<http::empty_body> head{http::request_header<>(request.base())};
  parser_.reset();
  socket_->Accept(head, [self](error_code error) {
    if (self->over_) return;
    if (error) return self->Over();
    self->deadline_.cancel();
    self->visit_->Start(std::move(self->socket_));
  });
}

void PortalConnection::OnCall() {
  std::variant<PortalCall, PortalAnswer> read =
      ReadCall(parser_->get(), parser_->get().body(), owner_->origins);
  Wipe(parser_->get().body());
  if (auto* refusal = std::get_if<PortalAnswer>(&read)) return Write(std::move(*refusal));
  PortalCall& call = std::get<PortalCall>(read);
  using Async = v1::SessionService::StubInterface::async_interface;
  if (auto* sign_in = std::get_if<v1::SignInRequest>(&call)) {
    if (MayAsk(SourceLimits::Asked::kSignIn)) Ask<v1::SignInResponse>(&Async::SignIn, *sign_in);
    WipeSecrets(*sign_in);
  } else if (TokenOf(parser_->get()).empty()) {
    Write(ErrorAnswer(401, "sign-in-first", "sign in first"));
  } else if (!MayAsk(SourceLimits::Asked::kOther)) {
    return;
  } else if (const auto* disconnect = std::get_if<v1::DisconnectRequest>(&call)) {
    Ask<v1::DisconnectResponse>(&Async::Disconnect, *disconnect);
  } else if (const auto* end = std::get_if<v1::EndSessionRequest>(&call)) {
    Ask<v1::EndSessionResponse>(&Async::EndSession, *end);
  } else if (const auto* sign_out = std::get_if<v1::SignOutRequest>(&call)) {
    Ask<v1::SignOutResponse>(&Async::SignOut, *sign_out);
  } else {
    Ask<v1::ListPoolsResponse>(&Async::ListPools, v1::ListPoolsRequest());
  }
}

bool PortalConnection::MayAsk(SourceLimits::Asked what) {
  const absl::Duration wait = owner_->limits->Take(what, source_, MonotonicNow());
  if (wait == absl::ZeroDuration()) return true;
  Write(TooManyAnswer("network-busy", "too many requests come from your network", wait));
  return false;
}

template <typename Response, typename Request>
void PortalConnection::Ask(void (v1::SessionService::StubInterface::async_interface::*method)(
                               grpc::ClientContext*, const Request*, Response*,
                               std::function<void(grpc::Status)>),
                           const Request& request) {
  constexpr bool kSignsIn = std::is_same_v<Request, v1::SignInRequest>;
  CalledFor whom = Whom();
  // Whoever signs in anew is not who was signed in.
  if (kSignsIn) whom.access_token = Secret();
  const std::shared_ptr<const Request> kept(new Request(request), [](const Request* given) {
    std::unique_ptr<Request> last(const_cast<Request*>(given));
    WipeSecrets(*last);
  });
  ArmDeadline(kAnswerDeadline);
  owner_->parts.lines->Ask<Response>(
      std::move(whom),
      [method, kept](const BrokerLines::Line& line, grpc::ClientContext* context,
                     Response* response, BrokerLines::Done done) {
        (line.session->async()->*method)(context, kept.get(), response, std::move(done));
      },
      [io = owner_->parts.io, weak = weak_from_this()](const absl::StatusOr<Response>& answered) {
        PortalAnswer answer =
            answered.ok() ? AnswerOf(*answered) : AnswerOf(answered.status(), kSignsIn);
        // Also when the sign-in was over already: a sign-out whose answer was lost is repeated.
        if (std::is_same_v<Response, v1::SignOutResponse> &&
            absl::IsUnauthenticated(answered.status())) {
          answer = AnswerOf(v1::SignOutResponse());
        }
        asio::post(*io, [weak, answer = std::move(answer)]() mutable {
          const std::shared_ptr<PortalConnection> self = weak.lock();
          if (self != nullptr && !self->over_) self->Write(std::move(answer));
        });
      },
      kSignsIn ? kForSignIn : kForCalls);
}

void PortalConnection::Write(PortalAnswer answer) {
  const bool keep = parser_->is_done() && parser_->get().keep_alive();
  const bool head_only = parser_->get().method() == http::verb::head;
  response_ = {};
  response_.version(11);
  response_.result(answer.status);
  response_.set(http::field::content_type, answer.content_type);
  response_.set(http::field::cache_control, "no-store");
  response_.set("Content-Security-Policy", kPolicy);
  response_.set("Strict-Transport-Security", "max-age=31536000; includeSubDomains");
  response_.set("X-Content-Type-Options", "nosniff");
  response_.set("Referrer-Policy", "no-referrer");
  response_.set("Cross-Origin-Opener-Policy", "same-origin");
  response_.set("Cross-Origin-Resource-Policy", "same-origin");
  for (const auto& [name, value] : answer.headers) response_.set(name, value);
  response_.keep_alive(keep);
  // What was not modified has the length that the browser knows.
  if (answer.status != 304) response_.content_length(answer.body.size());
  if (!head_only) response_.body() = std::move(answer.body);
  ArmDeadline(kWriteDeadline);
  http::async_write(http_stream_, response_,
                    [self = shared_from_this(), keep](error_code error, size_t) {
                      if (self->over_) return;
                      if (error) {
                        self->Over();
                      } else if (keep) {
                        self->ReadRequest(self->owner_->idle_deadline);
                      } else {
                        self->Finish();
                      }
                    });
}

void PortalConnection::Finish() {
  ArmDeadline(kDrainDeadline);
  stream_->ShutdownWrite();
  Drain(0);
}

void PortalConnection::Drain(size_t drained) {
  auto last = std::make_unique<std::array<char, 1024>>();
  const asio::mutable_buffer into = asio::buffer(*last);
  stream_->Read(into, [self = shared_from_this(), drained, last = std::move(last)](error_code error,
                                                                                   size_t size) {
    if (self->over_) return;
    if (error || drained + size > kMaxDrainedBytes) {
      self->Over();
    } else {
      self->Drain(drained + size);
    }
  });
}

void PortalConnection::ArmDeadline(absl::Duration deadline) {
  deadline_.expires_after(absl::ToChronoNanoseconds(deadline));
  deadline_.async_wait([self = shared_from_this()](error_code error) {
    if (!error) self->Over();
  });
}

void PortalConnection::Over() {
  if (over_) return;
  over_ = true;
  deadline_.cancel();
  if (stream_ != nullptr) stream_->Close();
  if (socket_ != nullptr) socket_->Close();
  if (visit_ != nullptr) std::exchange(visit_, nullptr)->Cut();
  owner_->over(shared_from_this());
}

}  // namespace werkplek
