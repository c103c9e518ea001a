// Two stream ends joined: what one side sends, the other gets, in both directions.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/relay/stream_end.h"

namespace werkplek {

// Each direction holds at most one buffer: a side that does not read stops the side that sends.
// When one side ends, the other is told, and what it still sends is delivered; it is cut when it
// sends nothing for `linger`. Belongs to the io_context's thread.
class Splice : public std::enable_shared_from_this<Splice> {
 public:
  // `early` are bytes of `a` that were read already. `done` is called once, when both ends are
  // closed; not from inside Start or Cut.
  static std::shared_ptr<Splice> Start(boost::asio::io_context& io, std::unique_ptr<StreamEnd> a,
                                       std::unique_ptr<StreamEnd> b, std::string early,
                                       absl::Duration linger, absl::AnyInvocable<void()> done);

  // Ends it at once.
  void Cut();

 private:
  static constexpr size_t kBufferBytes = 32 * 1024;

  struct Direction {
    StreamEnd* from = nullptr;
    StreamEnd* to = nullptr;
    bool ended = false;
    std::array<char, kBufferBytes> buffer;
  };

  Splice(boost::asio::io_context& io, std::unique_ptr<StreamEnd> a, std::unique_ptr<StreamEnd> b,
         std::string early, absl::Duration linger, absl::AnyInvocable<void()> done);
  void Pump(Direction& direction);
  void Forward(Direction& direction, const char* data, size_t size);
  void End(Direction& direction);
  void Linger();
  void Finish();

  boost::asio::io_context& io_;
  const std::unique_ptr<StreamEnd> a_;
  const std::unique_ptr<StreamEnd> b_;
  std::string early_;
  const absl::Duration linger_;
  absl::AnyInvocable<void()> done_;
  boost::asio::steady_timer timer_;
  Direction there_;
  Direction back_;
  bool finished_ = false;
  uint64_t bytes_ = 0;
};

}  // namespace werkplek
