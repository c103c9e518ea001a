#include "agent/display/display_service.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"

namespace werkplek {

using agent::TicketAnswer;

struct DisplayService::Shared {
  explicit Shared(Parts p) : parts(std::move(p)) {}
  const Parts parts;
  // On the executor only.
  std::map<uint64_t, Asking> asking;
};

RelayVerdict RefusalOf(TicketAnswer answer) {
  switch (answer) {
    case TicketAnswer::kGranted:
      return {500, "the ticket was good"};
    case TicketAnswer::kNoDesktop:
      return {404, "there is no such desktop on this host"};
    case TicketAnswer::kUnknown:
      return {403, "the ticket is not one of this desktop's"};
    case TicketAnswer::kUsed:
      return {403, "the ticket was used already, or another took its place"};
    case TicketAnswer::kLate:
      return {403, "the ticket came too late"};
    case TicketAnswer::kOtherCertificate:
      return {403, "the ticket was given to another machine"};
    case TicketAnswer::kTooManyChannels:
      return {429, "the display has as many channels as it may have"};
    case TicketAnswer::kNotRunning:
      return {503, "the desktop does not run; try again"};
  }
  return {500, "the ticket could not be judged"};
}

absl::StatusOr<std::unique_ptr<DisplayService>> DisplayService::Start(RelayOptions options,
                                                                      Parts parts) {
  FollowingContext* const tls = parts.tls;
  std::unique_ptr<DisplayService> service(new DisplayService(std::move(parts)));
  const std::shared_ptr<Shared> shared = service->shared_;
  RelayHandlers handlers;
  handlers.authorize = [shared](const RelayRequest& request,
                                std::function<void(RelayVerdict)> answer) {
    shared->parts.executor->Post([shared, request, answer = std::move(answer)]() mutable {
      const bool spice = request.kind == RelayChannelKind::kSpice;
      shared->asking[request.channel] = {
          request.desktop, spice ? DisplayKind::kSpice : DisplayKind::kVnc, std::move(answer)};
      shared->parts.sink(agent::TicketPresented{request.channel, request.desktop,
                                                request.ticket_sha256, request.certificate_sha256,
                                                request.viewer});
    });
  };
  const auto tell = [shared](AgentEvent event) {
    shared->parts.executor->Post([shared, event = std::move(event)] { shared->parts.sink(event); });
  };
  handlers.opened = [tell](uint64_t channel) { tell(agent::DisplayOpened{channel}); };
  handlers.closed = [tell](uint64_t channel) { tell(agent::DisplayClosed{channel}); };
  ASSIGN_OR_RETURN(service->server_,
                   RelayServer::Start(std::move(options), tls, std::move(handlers)));
  return service;
}

DisplayService::DisplayService(Parts parts)
    : shared_(std::make_shared<Shared>(std::move(parts))),
      opening_(std::make_unique<WorkerPool>("display-open", kOpening, kMaxWaiting)) {}

DisplayService::~DisplayService() {
  // First the port, so that what still opens has nowhere to go.
  server_.reset();
  opening_.reset();
}

void DisplayService::Answer(const agent::AnswerTicket& answer) {
  const auto found = shared_->asking.find(answer.channel);
  if (found == shared_->asking.end()) return;
  const Asking asking = std::move(found->second);
  shared_->asking.erase(found);
  if (answer.answer != TicketAnswer::kGranted) {
    asking.answer(RefusalOf(answer.answer));
    return;
  }
  const auto failed = [shared = shared_, channel = answer.channel, desktop = asking.desktop,
                       tell = asking.answer](const absl::Status& why) {
    Log(Severity::kWarning, "display-failed", {{"desktop", desktop}, {"error", why.ToString()}});
    tell({503, "the display cannot be opened; try again"});
    shared->parts.executor->Post(
        [shared, channel] { shared->parts.sink(agent::DisplayClosed{channel}); });
  };
  const absl::Status queued = opening_->Submit([shared = shared_, asking, failed] {
    const absl::StatusOr<int> display =
        shared->parts.hypervisor->OpenDisplay(asking.desktop, asking.kind);
    if (display.ok()) {
      asking.answer({200, "", *display});
    } else {
      failed(display.status());
    }
  });
  if (!queued.ok()) failed(queued);
}

void DisplayService::Close(const agent::CloseDisplay& close) { server_->Cut(close.channels); }

}  // namespace werkplek
