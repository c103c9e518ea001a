#include "gateway/relay/display_desk.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/log.h"
#include "common/base/mutex.h"

namespace werkplek {
void CountDisplay(Metrics& metrics, const char* answer) {
  metrics.Count("werkplek_gateway_displays_total",
                "Displays that clients asked for, by what became of it.", {{"answer", answer}});
}

RelayVerdict RefusalFor(const absl::Status& status) {
  absl::string_view reason = status.message();
  absl::ConsumePrefix(&reason, "the relay refused: ");
  RelayVerdict verdict;
  verdict.reason = std::string(reason);
  switch (status.code()) {
    case absl::StatusCode::kPermissionDenied:
      verdict.status = 403;
      break;
    case absl::StatusCode::kNotFound:
      verdict.status = 404;
      break;
    case absl::StatusCode::kResourceExhausted:
      verdict.status = 429;
      break;
    default:
      verdict.status = 503;
  }
  return verdict;
}

// Lives as long as a broker's or a host's answer may come.
struct DisplayDesk::Shared : public std::enable_shared_from_this<Shared> {
  Shared(Parts given, HostDialer* host_dialer) : parts(std::move(given)), dialer(host_dialer) {}

  using Answer = std::function<void(RelayVerdict)>;

  // A ticket that is open through this gateway: its further channels go to the same host, unasked,
  // since the host tells the broker of tickets only until they are used.
  struct Open {
    v1::FindDisplayResponse where;
    uint32_t channels = 0;
  };

  static std::string KeyOf(const RelayRequest& request) {
    return absl::StrCat(request.ticket_sha256, request.desktop);
  }

  void Refuse(const char* answer, const RelayRequest& request, const absl::Status& why,
              const Answer& tell) {
    CountDisplay(*parts.metrics, answer);
    Log(Severity::kWarning, "display-refused",
        {{"answer", answer},
         {"desktop", request.desktop},
         {"peer", request.peer},
         {"address", request.address},
         {"reason", std::string(why.message())}});
    tell(RefusalFor(why));
  }

  void Authorize(const RelayRequest& request, const Answer& tell) {
    v1::FindDisplayResponse where;
    bool open = false;
    {
      MutexLock lock(mutex);
      const auto at = tickets.find(KeyOf(request));
      if (at != tickets.end()) {
        where = at->second.where;
        open = true;
      }
    }
    if (open) return Dial(request, where, tell);
    v1::FindDisplayRequest question;
    question.set_desktop(request.desktop);
    question.set_ticket_sha256(request.ticket_sha256);
    parts.find(std::move(question), [self = shared_from_this(), request,
                                     tell](absl::StatusOr<v1::FindDisplayResponse> found) {
      if (found.ok()) return self->Dial(request, *found, tell);
      if (absl::IsNotFound(found.status())) {
        return self->Refuse("unknown-ticket", request,
                            absl::PermissionDeniedError(
                                "the ticket opens no such display (any more); connect again"),
                            tell);
      }
      Log(Severity::kWarning, "broker-not-asked", {{"reason", found.status().ToString()}});
      self->Refuse("no-broker", request,
                   absl::UnavailableError("no broker can be asked about the ticket; try again"),
                   tell);
    });
  }

  void Dial(const RelayRequest& request, const v1::FindDisplayResponse& where, const Answer& tell) {
    RelayTarget target{.addresses = {where.relays().begin(), where.relays().end()},
                       .host = where.host(),
                       .desktop = request.desktop,
                       .ticket = request.ticket,
                       .kind = request.kind,
                       .client_certificate_sha256 = request.certificate_sha256,
                       .viewer = request.viewer};
    dialer->Dial(std::move(target), HostDialer::kTimeout,
                 [self = weak_from_this(), request, where, tell](absl::StatusOr<int> opened) {
                   const std::shared_ptr<Shared> shared = self.lock();
                   if (opened.ok()) {
                     if (shared != nullptr) shared->Opened(request, where);
                     tell({200, "", *opened});
                   } else if (shared != nullptr) {
                     shared->Refuse("host-refused", request, opened.status(), tell);
                   } else {
                     tell(RefusalFor(opened.status()));
                   }
                 });
  }

  void Opened(const RelayRequest& request, const v1::FindDisplayResponse& where) {
    CountDisplay(*parts.metrics, "opened");
    Log(Severity::kInfo, "display-opened",
        {{"desktop", request.desktop},
         {"host", where.host()},
         {"peer", request.peer},
         {"address", request.address}});
    MutexLock lock(mutex);
    Open& ticket = tickets[KeyOf(request)];
    ticket.where = where;
    ++ticket.channels;
    channels[request.channel] = KeyOf(request);
  }

  void Closed(uint64_t channel) {
    MutexLock lock(mutex);
    const auto at = channels.find(channel);
    if (at == channels.end()) return;
    const auto ticket = tickets.find(at->second);
    if (ticket != tickets.end() && --ticket->second.channels == 0) tickets.erase(ticket);
    channels.erase(at);
  }

  const Parts parts;
  HostDialer* const dialer;
  Mutex mutex;
  std::map<std::string, Open> tickets ABSL_GUARDED_BY(mutex);
  std::map<uint64_t, std::string> channels ABSL_GUARDED_BY(mutex);
};

DisplayDesk::DisplayDesk(Parts parts)
    : dialer_(std::make_unique<HostDialer>(parts.own)),
      shared_(std::make_shared<Shared>(std::move(parts), dialer_.get())) {}

absl::StatusOr<std::unique_ptr<DisplayDesk>> DisplayDesk::Start(RelayOptions options, Parts parts) {
  options.keep_tickets = true;
  FollowingContext* const tls = parts.tls;
  std::unique_ptr<DisplayDesk> desk(new DisplayDesk(std::move(parts)));
  RelayHandlers handlers;
  handlers.authorize = [shared = desk->shared_](const RelayRequest& request,
                                                std::function<void(RelayVerdict)> answer) {
    shared->Authorize(request, answer);
  };
  handlers.opened = [](uint64_t) {};
  handlers.closed = [shared = desk->shared_](uint64_t channel) { shared->Closed(channel); };
  absl::StatusOr<std::unique_ptr<RelayServer>> server =
      RelayServer::Start(std::move(options), tls, std::move(handlers));
  if (!server.ok()) return server.status();
  desk->server_ = *std::move(server);
  return desk;
}

DisplayDesk::~DisplayDesk() {
  server_ = nullptr;
  // Its callbacks are over before anything that they use goes.
  dialer_ = nullptr;
}

std::vector<int> DisplayDesk::ports() const { return server_->ports(); }
uint64_t DisplayDesk::turned_away() const { return server_->turned_away(); }

uint32_t DisplayDesk::channels() const {
  MutexLock lock(shared_->mutex);
  return static_cast<uint32_t>(shared_->channels.size());
}

}  // namespace werkplek
