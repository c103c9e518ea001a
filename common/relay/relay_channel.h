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

// Belongs to the io_context's thread.
class RelayChannel : public std::enable_shared_from_this<RelayChannel> {
 public:
  // `target` outlives the channel.
  static std::shared_ptr<RelayChannel> Make(boost::asio::io_context& io, SslContextPointer tls,
                                            const RelayTarget* target,
                                            std::unique_ptr<LocalEnd> local);

  // `opened` is called once, with OK or why not, over all addresses; `closed` once, at the end,
  // saying whether it was open.
  void Start(absl::Duration timeout, std::function<void(absl::Status)> opened,
             std::function<void(bool)> closed);
  void Cut();

 private:
  RelayChannel(boost::asio::io_context& io, SslContextPointer tls, const RelayTarget* target,
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
  void Over();

  boost::asio::io_context& io_;
  const SslContextPointer tls_;
  const RelayTarget* const target_;
  std::unique_ptr<LocalEnd> local_;
  boost::asio::steady_timer deadline_;
  boost::asio::steady_timer attempt_;
  boost::asio::ip::tcp::resolver resolver_;
  boost::asio::ip::tcp::socket socket_;
  std::unique_ptr<TlsStream> stream_;
  std::function<void(absl::Status)> opened_;
  std::function<void(bool)> closed_;
  size_t next_address_ = 0;
  // Grows with each attempt: what an earlier one still has to say counts no longer.
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
