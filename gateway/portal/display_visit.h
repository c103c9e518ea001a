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
#include <vector>

#include "absl/time/time.h"
#include "common/metrics/metrics.h"
#include "common/relay/relay_connection.h"
#include "common/relay/splice.h"
#include "common/relay/websocket_end.h"
#include "gateway/portal/desktop_call.h"
#include "gateway/portal/portal_call.h"
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
    // See PortalOptions.
    absl::Duration tell_again;
    std::vector<absl::Duration> broker_pauses;
  };

  // `parts` outlives the visit's calls. `opened` is called when the display is, and says whether
  // there is room for it. `over` is called once, not from inside one of these.
  DisplayVisit(const Parts* parts, CalledFor whom, const DisplayCall& asked,
               std::function<bool()> opened, std::function<void()> over);
  ~DisplayVisit();

  // `socket` was accepted.
  void Start(std::unique_ptr<WebSocketEnd> socket);
  // Ends it at once.
  void Cut();

 private:
  class WatchedEnd;

  // Asks the brokers, each of them once.
  void Call();
  void CallAfter(absl::Duration pause);
  void OnUpdate(const v1::ConnectUpdate& update);
  void OnEnd(const absl::Status& status);
  void Dial(v1::Ready& ready);
  void OnDialled(const absl::Status& status, OwnedDescriptor display);
  // `text` is the last thing that the browser is told.
  void Fail(const char* answer, const absl::Status& why, std::string text);
  void Tell(std::string text);
  // Tells the last stage now and then, so that the browser hears that the gateway is there.
  void TellAgain();
  void WriteNext();
  void Join();
  void Over();

  const Parts* const parts_;
  const CalledFor whom_;
  v1::ConnectRequest request_;
  const std::function<bool()> on_opened_;
  const std::function<void()> on_over_;
  boost::asio::steady_timer deadline_;
  boost::asio::steady_timer tell_again_;
  boost::asio::steady_timer pause_;
  std::unique_ptr<WatchedEnd> socket_;
  std::unique_ptr<DesktopCall> call_;
  // Since a broker last said something.
  size_t failed_rounds_ = 0;
  // The last one that was told.
  std::string stage_;
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
