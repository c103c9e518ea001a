// A browser's WebSocket from its upgrade to its end: it is told each stage on the way to a desktop,
// and is then joined with the desktop's display.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/metrics/metrics.h"
#include "common/relay/relay_connection.h"
#include "common/relay/splice.h"
#include "common/relay/websocket_end.h"
#include "gateway/portal/desktop_call.h"
#include "gateway/relay/host_dialer.h"

namespace werkplek {

// Belongs to the io_context's thread.
class DisplayVisit : public std::enable_shared_from_this<DisplayVisit> {
 public:
  struct Parts {
    // Outlives the server for answers of others that come late.
    std::shared_ptr<boost::asio::io_context> io;
    BrokerLines* lines = nullptr;
    HostDialer* dialer = nullptr;
    Metrics* metrics = nullptr;
  };

  // `parts` outlives the visit's calls. `opened` is called when the display is, and says whether
  // there is room for it. `over` is called once, not from inside one of these.
  DisplayVisit(const Parts* parts, CalledFor whom, std::string pool, std::function<bool()> opened,
               std::function<void()> over);
  ~DisplayVisit();

  // `socket` was accepted.
  void Start(std::unique_ptr<WebSocketEnd> socket);
  // Ends it at once.
  void Cut();

 private:
  class WatchedEnd;

  void OnUpdate(const v1::ConnectUpdate& update);
  void OnEnd(const absl::Status& status);
  void Dial(v1::Ready& ready);
  void OnDialled(const absl::Status& status, OwnedDescriptor display);
  // `text` is the last thing that the browser is told.
  void Fail(const char* answer, const absl::Status& why, std::string text);
  void Tell(std::string text);
  void WriteNext();
  void Join();
  void Over();

  const Parts* const parts_;
  const CalledFor whom_;
  const std::string pool_;
  const std::function<bool()> on_opened_;
  const std::function<void()> on_over_;
  boost::asio::steady_timer deadline_;
  std::unique_ptr<WatchedEnd> socket_;
  std::unique_ptr<DesktopCall> call_;
  std::deque<std::string> to_tell_;
  bool telling_ = false;
  // Nothing more comes after what is to be told.
  bool last_told_ = false;
  std::optional<v1::ConnectUpdate> ready_;
  // Once it is open, until it is joined.
  std::optional<OwnedDescriptor> display_;
  std::shared_ptr<Splice> splice_;
  bool over_ = false;
};

}  // namespace werkplek
