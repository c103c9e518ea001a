#include "common/net/tcp_listener.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/config/units.h"

namespace werkplek {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// Out of descriptors: those who hold them are cut by their deadlines.
constexpr std::chrono::milliseconds kAcceptPause{50};

}  // namespace

absl::StatusOr<std::unique_ptr<TcpListener>> TcpListener::Create(
    asio::io_context& io, const std::string& name, const std::vector<std::string>& addresses,
    Take take) {
  if (addresses.empty()) return absl::InvalidArgumentError("a listener needs an address");
  std::unique_ptr<TcpListener> listener(new TcpListener(name, std::move(take)));
  for (const std::string& address : addresses) RETURN_IF_ERROR(listener->Open(io, address));
  return listener;
}

absl::Status TcpListener::Open(asio::io_context& io, const std::string& text) {
  ASSIGN_OR_RETURN(const HostPort where, ParseHostPort(text));
  error_code error;
  const asio::ip::address address = asio::ip::make_address(where.host, error);
  if (error) {
    return absl::InvalidArgumentError(absl::StrCat(text, ": listen on an IP address"));
  }
  auto door = std::make_unique<Door>(io);
  const tcp::endpoint endpoint(address, where.port);
  door->acceptor.open(endpoint.protocol(), error);
  if (!error) door->acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) door->acceptor.bind(endpoint, error);
  if (!error) door->acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", text, ": ", error.message()));
  }
  ports_.push_back(door->acceptor.local_endpoint().port());
  doors_.push_back(std::move(door));
  return absl::OkStatus();
}

void TcpListener::Accept() {
  for (const std::unique_ptr<Door>& door : doors_) AcceptAt(*door);
}

void TcpListener::AcceptAt(Door& door) {
  door.acceptor.async_accept([this, &door](error_code error, tcp::socket socket) {
    if (closed_ || error == asio::error::operation_aborted) return;
    if (!error) {
      take_(std::move(socket));
      AcceptAt(door);
      return;
    }
    Log(Severity::kWarning, "accept-failed", {{"port", name_}, {"error", error.message()}});
    door.pause.expires_after(kAcceptPause);
    door.pause.async_wait([this, &door](error_code) {
      if (!closed_) AcceptAt(door);
    });
  });
}

void TcpListener::Close() {
  closed_ = true;
  for (const std::unique_ptr<Door>& door : doors_) {
    error_code ignored;
    door->acceptor.close(ignored);
    door->pause.cancel();
  }
}

}  // namespace werkplek
