// One connection at the relay's port, from its TCP accept to its end.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/relay/relay_server.h"
#include "common/relay/splice.h"
#include "common/relay/tls_stream.h"

namespace werkplek {

// A descriptor that is closed unless it is taken.
class OwnedDescriptor {
 public:
  explicit OwnedDescriptor(int descriptor) : descriptor_(descriptor) {}
  OwnedDescriptor(OwnedDescriptor&& other) noexcept : descriptor_(other.Take()) {}
  OwnedDescriptor& operator=(OwnedDescriptor&&) = delete;
  ~OwnedDescriptor();
  int get() const { return descriptor_; }
  int Take() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

// Belongs to the relay's thread.
class RelayConnection : public std::enable_shared_from_this<RelayConnection> {
 public:
  // What the server gives to its connections.
  struct Owner {
    const RelayOptions* options = nullptr;
    const RelayHandlers* handlers = nullptr;
    // The connection has a good head: it is asked about. The answer comes to OnVerdict.
    std::function<void(const std::shared_ptr<RelayConnection>&, const RelayRequest&)> ask;
    // It counts no longer as one that waits. At most once.
    std::function<void(RelayConnection&)> let_in;
    // It is over. Once.
    std::function<void(const std::shared_ptr<RelayConnection>&)> over;
  };

  RelayConnection(boost::asio::io_context& io, boost::asio::ip::tcp::socket socket,
                  const SslContextPointer& context, uint64_t channel, const Owner* owner);

  void Start();
  void OnVerdict(RelayVerdict verdict, OwnedDescriptor display);
  // Ends the channel at once, or as soon as its verdict is there.
  void Cut();
  // Ends it, whatever it is waiting for.
  void Abort() { Over(); }

  uint64_t channel() const { return channel_; }
  // Whom it counts as (SourceOf).
  const std::string& source() const { return source_; }
  bool waiting = true;

 private:
  // Enough for the largest head and what a viewer sends right behind it.
  static constexpr size_t kMaxHeadBytes = 8 * 1024;
  static constexpr size_t kMaxDrainedBytes = 256 * 1024;

  void ReadHead();
  void ParseHead(size_t size);
  void OnHead();
  void Join(int display);
  void AcceptWebSocket(int display);
  void JoinEnds(std::unique_ptr<StreamEnd> viewer, int display);
  void Refuse(unsigned status, const std::string& reason);
  // Reads on until the peer has the answer and ends.
  void Drain(size_t drained);
  void ArmDeadline(absl::Duration deadline, const char* what);
  void Fail(const char* what, const std::string& why);
  void Over();

  boost::asio::io_context& io_;
  const uint64_t channel_;
  const Owner* owner_;
  std::string source_;
  std::string address_;
  std::unique_ptr<TlsStream> stream_;
  boost::asio::steady_timer deadline_;
  std::array<char, 4096> buffer_;
  std::string unparsed_;
  std::optional<boost::beast::http::request_parser<boost::beast::http::empty_body>> parser_;
  RelayHead head_;
  std::string peer_;
  std::shared_ptr<Splice> splice_;
  bool cut_ = false;
  // Verdict 200 came, so `closed` is owed.
  bool granted_ = false;
  bool over_ = false;
};

}  // namespace werkplek
