#include "broker/core/views.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "broker/core/fences.h"
#include "broker/model/desktop_machine.h"
#include "broker/model/names.h"
#include "common/base/text.h"

namespace werkplek {
namespace {

constexpr uint32_t kMaxPage = 1000;
constexpr size_t kMaxPageBytes = 48 << 10;
// Agents keep to less.
constexpr size_t kMaxReportedError = 1024;

// Counts what goes into a page. The first entry always fits.
class Page {
 public:
  explicit Page(uint32_t limit) : limit_(limit == 0 ? kMaxPage : std::min(limit, kMaxPage)) {}

  template <typename Record>
  bool Fits(const Record& record) {
    const size_t bytes = record.ByteSizeLong() + 8;
    if (entries_ > 0 && (entries_ >= limit_ || bytes_ + bytes > kMaxPageBytes)) return false;
    ++entries_;
    bytes_ += bytes;
    return true;
  }

 private:
  const uint32_t limit_;
  uint32_t entries_ = 0;
  size_t bytes_ = 0;
};

absl::Status NoSuch(absl::string_view what, absl::string_view name) {
  return absl::NotFoundError(absl::StrCat("there is no ", what, " \"", name, "\""));
}

absl::Status BadKind() {
  return absl::InvalidArgumentError("kind: name one of SITE, HOST, IMAGE, POOL, ENTITLEMENT");
}

void SetAvailable(const Fleet& fleet, const v1::Pool& pool, v1::PoolView& view) {
  const PoolSoft* soft = fleet.pool_soft.Find(view.pool());
  if (pool.schedulability() == v1::SCHEDULABILITY_DRAINING) {
    view.set_unavailable_rule("pool-draining");
    view.set_unavailable_reason("the pool is being emptied");
  } else if (pool.schedulability() == v1::SCHEDULABILITY_MAINTENANCE) {
    view.set_unavailable_rule("pool-maintenance");
    view.set_unavailable_reason("the pool is in maintenance");
  } else if (soft != nullptr && !soft->breaker.empty()) {
    view.set_unavailable_rule("pool-broken");
    view.set_unavailable_reason(soft->breaker);
  }
  view.set_available(view.unavailable_rule().empty());
}

v1::SignInView SignInViewOf(const v1::SignIn& sign_in) {
  v1::SignInView view;
  view.set_id(sign_in.id());
  view.set_user(sign_in.user());
  view.set_display_name(sign_in.display_name());
  view.set_peer(sign_in.peer());
  view.set_address(sign_in.address());
  *view.mutable_roles() = sign_in.roles();
  view.set_created_unix_ms(sign_in.created_unix_ms());
  view.set_expires_unix_ms(sign_in.expires_unix_ms());
  view.set_last_used_unix_ms(sign_in.last_used_unix_ms());
  return view;
}

v1::TokenView TokenViewOf(const v1::TokenEnrolment& token, const ViewContext& context) {
  v1::TokenView view;
  view.set_user(token.user());
  view.set_failures(token.failures());
  view.set_paused_until_unix_ms(token.paused_until_unix_ms());
  view.set_created_unix_ms(token.created_unix_ms());
  if (token.state() == v1::TOKEN_STATE_REVOKED) {
    view.set_state("revoked");
  } else if (token.failures() >= context.settings.token_failures_stop) {
    view.set_state("stopped");
  } else if (absl::FromUnixMillis(token.paused_until_unix_ms()) > context.now) {
    view.set_state("paused");
  } else {
    view.set_state(token.state() == v1::TOKEN_STATE_ACTIVE ? "active" : "pending");
  }
  return view;
}

// What the host said last of the desktop; nullptr: nothing that counts now.
const v1::DesktopReport* ReportNow(const Fleet& fleet, const v1::Desktop& desktop) {
  const HostSoft* host = fleet.host_soft.Find(desktop.host());
  if (host == nullptr || host->liveness != v1::LIVENESS_UP) return nullptr;
  return host->FindDesktop(desktop.id());
}

// "suspend failed: ...", or what is wrong without anything having been asked for. Empty: nothing,
// or the host has not heard yet of the desktop's generation, so that it speaks of the one before.
std::string ErrorIn(const v1::Desktop& desktop, const v1::DesktopReport& report) {
  if (report.error().empty() || report.generation() < desktop.generation()) return "";
  std::string error = PrintableText(report.error(), kMaxReportedError);
  if (report.failed_verb() == v1::COMMAND_UNSPECIFIED) return error;
  const std::string& name = v1::CommandVerb_Name(report.failed_verb());
  // Of a newer agent.
  if (name.empty()) return absl::StrCat("a command failed: ", error);
  const std::string verb = absl::StrReplaceAll(absl::StripPrefix(name, "COMMAND_"), {{"_", " "}});
  return absl::StrCat(absl::AsciiStrToLower(verb), " failed: ", error);
}

// What is known now of the desktop, in words: what its host says to be wrong with it, and its
// moves.
void AddPresent(const Fleet& fleet, const std::string& id, v1::Explanation& explanation) {
  const v1::Desktop* desktop = fleet.desktops.Find(id);
  const v1::DesktopReport* report = desktop == nullptr ? nullptr : ReportNow(fleet, *desktop);
  const std::string error = report == nullptr ? "" : ErrorIn(*desktop, *report);
  if (!error.empty()) {
    explanation.add_steps(absl::StrCat("its host ", desktop->host(), " says: ", error));
  }
  if (desktop != nullptr && !desktop->moving_to().empty()) {
    explanation.add_steps(
        absl::StrCat("is being moved from ", desktop->host(), " to ", desktop->moving_to()));
  }
  const v1::Explanation* note = fleet.move_notes.Find(id);
  if (note == nullptr) return;
  for (const std::string& step : note->steps()) {
    explanation.add_steps(absl::StrCat("move: ", step));
  }
}

}  // namespace

v1::SessionView SessionViewOf(const v1::Session& session) {
  v1::SessionView view;
  view.set_session(session.id());
  view.set_pool(session.pool());
  view.set_desktop(session.desktop());
  view.set_state(session.state());
  view.set_created_unix_ms(session.created_unix_ms());
  view.set_state_since_unix_ms(session.state_since_unix_ms());
  return view;
}

v1::DesktopStatus DesktopStatusOf(const ViewContext& context, const v1::Desktop& desktop) {
  const Fleet& fleet = context.fleet;
  v1::DesktopStatus status;
  *status.mutable_desktop() = desktop;
  status.set_fence(FenceText(fleet, context.settings, desktop, context.now));
  if (const v1::Session* session = fleet.sessions.Find(desktop.session())) {
    status.set_user(session->user());
  }
  const HostSoft* host = fleet.host_soft.Find(desktop.host());
  if (host == nullptr) return status;
  status.set_host_liveness(host->liveness);
  const v1::DesktopReport* report = ReportNow(fleet, desktop);
  if (report == nullptr) return status;
  status.set_reported_power(report->power());
  status.set_reported_error(ErrorIn(desktop, *report));
  status.set_viewer_connected(report->viewer() == v1::VIEWER_CONNECTED);
  return status;
}

absl::StatusOr<v1::ListPoolsResponse> View(const ViewContext& context,
                                           const v1::ListPoolsRequest&) {
  if (context.me == nullptr) return absl::UnauthenticatedError("sign in first");
  const Entitled entitled(*context.me);
  std::map<std::string, const v1::Session*> pools;
  for (const auto& entry : context.fleet.entitlements) {
    const v1::Entitlement& entitlement = entry.record->entitlement();
    if (entitled.By(entitlement)) pools[entitlement.pool()] = nullptr;
  }
  // A session stays visible when the entitlement has gone.
  const std::string prefix = LiveSessionKey(context.me->user(), "");
  const auto& live = context.fleet.live_sessions;
  for (auto at = live.After(prefix); at != live.end() && absl::StartsWith(at->key, prefix); ++at) {
    const v1::Session* session = context.fleet.sessions.Find(*at->record);
    if (session != nullptr) pools[session->pool()] = session;
  }
  v1::ListPoolsResponse response;
  for (const auto& [name, session] : pools) {
    const v1::Resource* resource = context.fleet.pools.Find(name);
    if (resource == nullptr) continue;
    v1::PoolView& view = *response.add_pools();
    view.set_pool(name);
    view.set_description(resource->pool().description());
    SetAvailable(context.fleet, resource->pool(), view);
    if (session != nullptr) *view.mutable_session() = SessionViewOf(*session);
  }
  return response;
}

absl::StatusOr<v1::Resource> View(const ViewContext& context,
                                  const v1::GetResourceRequest& request) {
  const auto* table = ResourceTable(context.fleet, request.kind());
  if (table == nullptr) return BadKind();
  const v1::Resource* resource = table->Find(request.name());
  if (resource == nullptr) return NoSuch(KindName(request.kind()), request.name());
  return *resource;
}

absl::StatusOr<v1::ListResourcesResponse> View(const ViewContext& context,
                                               const v1::ListResourcesRequest& request) {
  const auto* table = ResourceTable(context.fleet, request.kind());
  if (table == nullptr) return BadKind();
  v1::ListResourcesResponse response;
  Page page(request.limit());
  for (auto at = table->After(request.after()); at != table->end(); ++at) {
    if (!page.Fits(*at->record)) {
      response.set_more(true);
      break;
    }
    *response.add_resources() = *at->record;
  }
  return response;
}

absl::StatusOr<v1::ListDesktopsResponse> View(const ViewContext& context,
                                              const v1::ListDesktopsRequest& request) {
  v1::ListDesktopsResponse response;
  Page page(request.limit());
  const auto& table = context.fleet.desktops;
  for (auto at = table.After(request.after()); at != table.end(); ++at) {
    if (!request.pool().empty() && at->record->pool() != request.pool()) continue;
    if (!request.host().empty() && at->record->host() != request.host()) continue;
    v1::DesktopStatus status = DesktopStatusOf(context, *at->record);
    if (!page.Fits(status)) {
      response.set_more(true);
      break;
    }
    *response.add_desktops() = std::move(status);
  }
  return response;
}

absl::StatusOr<v1::DesktopStatus> View(const ViewContext& context,
                                       const v1::GetDesktopRequest& request) {
  const v1::Desktop* desktop = context.fleet.desktops.Find(request.desktop());
  if (desktop == nullptr) return NoSuch("desktop", request.desktop());
  return DesktopStatusOf(context, *desktop);
}

absl::StatusOr<v1::ListSessionsResponse> View(const ViewContext& context,
                                              const v1::ListSessionsRequest& request) {
  v1::ListSessionsResponse response;
  Page page(request.limit());
  const std::string user = OwnerKey(request.user());
  const auto& table = context.fleet.sessions;
  for (auto at = table.After(request.after()); at != table.end(); ++at) {
    const v1::Session& session = *at->record;
    if (session.state() == v1::SESSION_STATE_ENDED && !request.ended()) continue;
    if (!request.pool().empty() && session.pool() != request.pool()) continue;
    if (!user.empty() && OwnerKey(session.user()) != user) continue;
    v1::Session shown = session;
    shown.clear_explanation();
    if (!page.Fits(shown)) {
      response.set_more(true);
      break;
    }
    *response.add_sessions() = std::move(shown);
  }
  return response;
}

absl::StatusOr<v1::Session> View(const ViewContext& context, const v1::GetSessionRequest& request) {
  const v1::Session* session = context.fleet.sessions.Find(request.session());
  if (session == nullptr) return NoSuch("session", request.session());
  return *session;
}

absl::StatusOr<v1::ListTokensResponse> View(const ViewContext& context,
                                            const v1::ListTokensRequest& request) {
  v1::ListTokensResponse response;
  Page page(request.limit());
  const auto& table = context.fleet.tokens;
  for (auto at = table.After(request.after()); at != table.end(); ++at) {
    v1::TokenView view = TokenViewOf(*at->record, context);
    if (!page.Fits(view)) {
      response.set_more(true);
      break;
    }
    *response.add_tokens() = std::move(view);
  }
  return response;
}

absl::StatusOr<v1::ListSignInsResponse> View(const ViewContext& context,
                                             const v1::ListSignInsRequest& request) {
  v1::ListSignInsResponse response;
  Page page(request.limit());
  const std::string user = OwnerKey(request.user());
  const auto& table = context.fleet.sign_ins;
  for (auto at = table.After(request.after()); at != table.end(); ++at) {
    if (!user.empty() && OwnerKey(at->record->user()) != user) continue;
    v1::SignInView view = SignInViewOf(*at->record);
    if (!page.Fits(view)) {
      response.set_more(true);
      break;
    }
    *response.add_sign_ins() = std::move(view);
  }
  return response;
}

absl::StatusOr<v1::Explanation> View(const ViewContext& context,
                                     const v1::ExplainRequest& request) {
  if (const Refusal* refusal = context.fleet.refusals.Find(request.id())) {
    return refusal->explanation;
  }
  if (const v1::Session* session = context.fleet.sessions.Find(request.id())) {
    v1::Explanation explanation = session->explanation();
    AddPresent(context.fleet, session->desktop(), explanation);
    return explanation;
  }
  const v1::Desktop* desktop = context.fleet.desktops.Find(request.id());
  if (desktop == nullptr) return NoSuch("session, desktop or refusal", request.id());
  v1::Explanation explanation;
  if (const v1::Session* session = context.fleet.sessions.Find(desktop->session())) {
    explanation = session->explanation();
    AddPresent(context.fleet, desktop->id(), explanation);
    return explanation;
  }
  explanation.set_decision(std::string(StateName(desktop->state())));
  explanation.set_decided_at_unix_ms(desktop->state_since_unix_ms());
  explanation.add_steps("the desktop serves no session");
  if (!desktop->owner().empty()) {
    explanation.add_steps(absl::StrCat("it is kept for ", desktop->owner()));
  }
  std::string fence = FenceText(context.fleet, context.settings, *desktop, context.now);
  if (!fence.empty()) explanation.add_steps(std::move(fence));
  if (!desktop->last_error().empty()) {
    explanation.add_steps(absl::StrCat("last failure: ", desktop->last_error(), " (",
                                       desktop->failures(), " in a row)"));
  }
  AddPresent(context.fleet, desktop->id(), explanation);
  return explanation;
}

}  // namespace werkplek
