// One browser's connection to the portal: requests one after another, or one display.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/relay/tls_async_stream.h"
#include "common/relay/tls_stream.h"
#include "gateway/portal/display_visit.h"
#include "gateway/portal/page_book.h"
#include "gateway/portal/portal_call.h"
#include "gateway/portal/source_limits.h"

namespace werkplek {

// Belongs to the portal's thread.
class PortalConnection : public std::enable_shared_from_this<PortalConnection> {
 public:
  // What the server gives to its connections.
  struct Owner {
    DisplayVisit::Parts parts;
    SourceLimits* limits = nullptr;
    const PageBook* pages = nullptr;
    std::vector<std::string> origins;
    // See PortalOptions.
    absl::Duration request_deadline;
    absl::Duration idle_deadline;
    // The connection is a display from now on. False: there is no room for another one.
    std::function<bool(PortalConnection&)> opened;
    // It is over. Once.
    std::function<void(const std::shared_ptr<PortalConnection>&)> over;
  };

  PortalConnection(boost::asio::ip::tcp::socket socket, const SslContextPointer& context,
                   const Owner* owner);

  void Start();
  // Ends it, whatever it is waiting for.
  void Abort() { Over(); }

  // Whom the browser counts as (SourceOf).
  const std::string& source() const { return source_; }
  // Kept by the owner.
  bool displayed = false;

 private:
  void ReadRequest(absl::Duration deadline);
  void OnRequest(boost::system::error_code error);
  void OnDisplay();
  void OnCall();
  // Whether a broker may be asked for this browser; when not, the browser is told.
  bool MayAsk(SourceLimits::Asked what);
  // A call to the brokers, whose answer is then written.
  template <typename Response, typename Request>
  void Ask(void (v1::SessionService::StubInterface::async_interface::*method)(
               grpc::ClientContext*, const Request*, Response*, std::function<void(grpc::Status)>),
           const Request& request);
  void Write(PortalAnswer answer);
  void Finish();
  // Reads on until the browser ends, too.
  void Drain(size_t drained);
  void ArmDeadline(absl::Duration deadline);
  CalledFor Whom() const;
  void Over();

  const Owner* owner_;
  std::string source_;
  std::string address_;
  std::unique_ptr<TlsStream> stream_;
  TlsAsyncStream http_stream_;
  boost::asio::steady_timer deadline_;
  // Bounded: Beast's limits do not count a chunk's extension, nor what comes behind the last chunk.
  boost::beast::flat_buffer buffer_;
  std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
  boost::beast::http::response<boost::beast::http::string_body> response_;
  // While an upgrade is answered.
  std::unique_ptr<WebSocketEnd> socket_;
  std::shared_ptr<DisplayVisit> visit_;
  bool over_ = false;
};

}  // namespace werkplek
