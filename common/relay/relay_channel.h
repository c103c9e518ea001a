// The client's end of one channel: connect, TLS, CONNECT, then a splice with a local socket.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/relay/relay_client.h"
#include "common/relay/splice.h"
#include "common/relay/tls_stream.h"

namespace werkplek {

// For the relays of the target's host, and for gateways.
struct RelayTls {
  SslContextPointer host;
  SslContextPointer gateway;
};

// Belongs to the io_context's thread.
class RelayChannel : public std::enable_shared_from_this<RelayChannel> {
 public:
  // `target` outlives the channel.
  static std::shared_ptr<RelayChannel> Make(boost::asio::io_context& io, RelayTls tls,
                                            const RelayTarget* target,
                                            std::unique_ptr<LocalEnd> local);

  // `opened` is called once, with OK or why not, over all addresses; `closed` once, at the end,
  // saying whether it was open. `gateway_lost` (may be empty): the line to a gateway was lost.
  void Start(absl::Duration timeout, std::function<void(absl::Status)> opened,
             std::function<void(bool)> closed, std::function<void()> gateway_lost = nullptr);
  void Cut();

 private:
  RelayChannel(boost::asio::io_context& io, RelayTls tls, const RelayTarget* target,
               std::unique_ptr<LocalEnd> local);
  void TryNext();
  void Connect(const boost::asio::ip::tcp::resolver::results_type& endpoints);
  void Handshake();
  void Ask();
  void ReadAnswer();
  void OnAnswer(size_t size);
  void Join();
  // This address does not do; the next one may.
  void Miss(const std::string& why);
  void Fail(absl::Status why);
  // The line went while the relay was to answer; the ticket may be spent.
  void FailUnanswered(const std::string& why);
  // The address in question is a gateway's.
  bool at_gateway() const { return next_address_ > target_->addresses.size(); }
  const std::string& address(size_t index) const;
  void Over();

  boost::asio::io_context& io_;
  const RelayTls tls_;
  const RelayTarget* const target_;
  std::unique_ptr<LocalEnd> local_;
  boost::asio::steady_timer deadline_;
  boost::asio::steady_timer attempt_;
  boost::asio::ip::tcp::resolver resolver_;
  boost::asio::ip::tcp::socket socket_;
  std::unique_ptr<TlsStream> stream_;
  std::function<void(absl::Status)> opened_;
  std::function<void(bool)> closed_;
  std::function<void()> gateway_lost_;
  size_t next_address_ = 0;
  // Grows at the end of each attempt: what it still has to say counts no longer.
  uint64_t attempt_number_ = 0;
  std::string misses_;
  std::string head_;
  std::array<char, 4096> buffer_;
  std::string unparsed_;
  std::optional<boost::beast::http::response_parser<boost::beast::http::empty_body>> parser_;
  std::shared_ptr<Splice> splice_;
  bool open_ = false;
  bool over_ = false;
};

}  // namespace werkplek
