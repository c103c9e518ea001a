#include "client/login/connect_command.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "client/api/exit_code.h"
#include "client/api/sign_in.h"
#include "client/login/progress.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

// Longer than any queue; the broker's own deadline comes first.
constexpr absl::Duration kConnectTimeout = absl::Hours(1);
// A broker ends a wait by the deadline that it told. One that says nothing for so long after that
// has forgotten us; the clocks of the two machines may differ.
constexpr absl::Duration kSilenceMargin = absl::Minutes(1);
// Gateways that are lost one after the other are no accident.
constexpr int kMaxLosses = 20;
// So often a screen is tried to open, and so long after it did not; twice as long the next time.
constexpr int kMaxUnopened = 3;
constexpr absl::Duration kOpenAgain = absl::Seconds(1);

// A relay or a gateway that was busy, or knew nothing of the ticket yet: another ticket may do. It
// does nothing about this machine, such as a folder in which no picture may be saved.
bool MayOpenLater(const absl::Status& status) {
  return (absl::IsUnavailable(status) || absl::IsPermissionDenied(status)) &&
         ExitCodeFor(status) != ExitCode::kLocal;
}

// How long nothing may follow `update`.
absl::Duration SilenceAfter(const v1::ConnectUpdate& update, absl::Time now) {
  if (!update.has_queued()) return absl::InfiniteDuration();
  // Both by the broker's clock, when it says when it told this: ours may be wrong.
  const int64_t told = update.queued().explanation().decided_at_unix_ms();
  const absl::Time since = told != 0 ? absl::FromUnixMillis(told) : now;
  const absl::Time deadline = absl::FromUnixMillis(update.queued().deadline_unix_ms());
  return std::max(absl::ZeroDuration(), deadline - since) + kSilenceMargin;
}

}  // namespace

void ConnectCommand::Define(CLI::App& app, Language language) {
  app.add_option("POOL", pool_, Say(language, Message::kHelpPool))->required()->type_name("");
  app.add_flag("--spice", spice_, Say(language, Message::kHelpSpice));
  app.add_flag("--vnc", choice_.vnc, Say(language, Message::kHelpVnc));
  app.add_option("--screenshot", choice_.screenshot, Say(language, Message::kHelpScreenshot))
      ->type_name("FILE");
  app.add_flag("--outside", choice_.outside, Say(language, Message::kHelpOutside));
  app.add_flag("--no-viewer", choice_.no_viewer, Say(language, Message::kHelpNoViewer));
}

absl::StatusOr<v1::Ready> ConnectCommand::WaitForDesktop(LoginContext& context, bool again) {
  ASSIGN_OR_RETURN(BrokerClient * broker, context.broker());
  v1::ConnectRequest request;
  request.set_request_id(NewRequestId());
  request.set_pool(pool_);
  request.set_again(again);
  *request.mutable_client() = FactsOfThisMachine("werkplek", LanguageCode(context.language));
  ProgressLine progress(context.err, context.live_width);
  progress.Show(context.Text(Message::kConnecting, {{"pool", Printable(pool_)}}));
  broker->SetRetryListener([&](const std::string& address, const absl::Status&, absl::Duration) {
    progress.Show(context.Text(Message::kRetrying, {{"broker", address}}));
  });
  std::optional<v1::Ready> ready;
  std::optional<v1::Refused> refused;
  const auto on_update = [&](const v1::ConnectUpdate& update) {
    progress.Show(DescribeStage(update, context.now(), context.language));
    if (update.has_ready()) ready = update.ready();
    if (update.has_refused()) refused = update.refused();
    return true;
  };
  const absl::Status status =
      broker->Stream(&v1::SessionService::Stub::Connect, request, kConnectTimeout,
                     {.on_message = on_update, .silence = [&](const v1::ConnectUpdate& update) {
                        return SilenceAfter(update, context.now());
                      }});
  broker->SetRetryListener(nullptr);
  // What was given counts, even when the stream's end was lost.
  if (ready.has_value()) return *std::move(ready);
  if (absl::IsAborted(status)) {
    return context.Fail(absl::StatusCode::kAborted, Message::kTakenOver,
                        {{"reason", Printable(status.message())}});
  }
  if (refused.has_value()) {
    return ForThePerson(
        absl::FailedPreconditionError(DescribeRefusal(*refused, pool_, context.language)));
  }
  if (!status.ok()) return status;
  return context.Fail(absl::StatusCode::kUnavailable, Message::kStreamEnded);
}

void ConnectCommand::TellWhatIsLeft(LoginContext& context) {
  context.err << context.Text(Message::kDisplayClosed) << "\n";
  // A log-out inside the desktop has ended the session; then there is nothing to come back to.
  const absl::StatusOr<v1::ListPoolsResponse> pools = AskPools(context);
  if (!pools.ok()) return;
  for (const v1::PoolView& view : pools->pools()) {
    if (view.pool() == pool_ && view.has_session() &&
        view.session().state() < v1::SESSION_STATE_ENDING) {
      context.err << context.Text(Message::kStillYours, {{"pool", Printable(pool_)}}) << "\n";
    }
  }
}

absl::Status ConnectCommand::ShowUntilClosed(LoginContext& context) {
  int losses = 0;
  int unopened = 0;
  while (true) {
    const bool again = losses + unopened > 0;
    ASSIGN_OR_RETURN(v1::Ready ready, WaitForDesktop(context, again));
    const absl::Status shown = context.show_display(ready, choice_);
    Wipe(*ready.mutable_ticket());
    if (absl::IsAborted(shown)) {
      if (++losses == kMaxLosses) {
        return context.Fail(absl::StatusCode::kUnavailable, Message::kGatewaysLost);
      }
      // The session is as it was: the next ticket goes through another gateway.
      context.err << context.Text(Message::kGatewayLost) << "\n";
    } else if (MayOpenLater(shown)) {
      if (++unopened == kMaxUnopened) return shown;
      context.err << context.Text(Message::kOpeningAgain,
                                  {{"problem", std::string(shown.message())}})
                  << "\n";
      context.sleep(kOpenAgain * unopened);
    } else {
      return shown;
    }
  }
}

absl::Status ConnectCommand::Run(LoginContext& context) {
  if ((spice_ ? 1 : 0) + (choice_.vnc ? 1 : 0) + (choice_.screenshot.empty() ? 0 : 1) > 1) {
    return UsageProblem(context.Fail(absl::StatusCode::kInvalidArgument, Message::kOneDisplay));
  }
  // `--spice` is for those who bring a SPICE viewer of their own.
  choice_.no_viewer = choice_.no_viewer || spice_;
  RETURN_IF_ERROR(ShowUntilClosed(context));
  if (choice_.screenshot.empty()) TellWhatIsLeft(context);
  return absl::OkStatus();
}

}  // namespace werkplek
