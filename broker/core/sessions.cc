#include "broker/core/sessions.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "broker/core/commands.h"
#include "broker/core/connect.h"
#include "broker/core/desktops.h"
#include "broker/core/moves.h"
#include "broker/reconcile/disconnect.h"
#include "common/base/words.h"

namespace werkplek {
namespace {

bool HasTicket(const v1::DesktopReport& report, const std::string& ticket_sha256) {
  const auto& open = report.open_tickets();
  return !ticket_sha256.empty() && std::find(open.begin(), open.end(), ticket_sha256) != open.end();
}

void TellStarting(Turn& turn, ConnectCall& call, const std::string& desktop) {
  if (call.told_starting == desktop) return;
  call.told_starting = desktop;
  ConnectProgress progress{call.call, {}, false};
  progress.update.mutable_starting()->set_desktop(desktop);
  turn.Emit(std::move(progress));
}

void TellPreparing(Turn& turn, ConnectCall& call, const std::string& desktop) {
  if (call.told_preparing) return;
  call.told_preparing = true;
  ConnectProgress progress{call.call, {}, false};
  progress.update.mutable_preparing()->set_desktop(desktop);
  turn.Emit(std::move(progress));
}

// The last answer of the call: the ticket.
void TellReady(Turn& turn, const v1::Session& session, const v1::Desktop& desktop,
               SessionSoft& soft) {
  const ConnectCall call = *std::move(soft.opening);
  soft.opening.reset();
  turn.state().calls.erase(call.call);
  ConnectProgress progress{call.call, {}, true};
  v1::Ready& ready = *progress.update.mutable_ready();
  ready.set_session(session.id());
  ready.set_desktop(session.desktop());
  ready.set_ticket(call.ticket);
  ready.set_ticket_lifetime_s(
      static_cast<uint32_t>(absl::ToInt64Seconds(turn.settings().ticket_lifetime)));
  ready.set_host(desktop.host());
  ready.set_resumed(soft.resumed);
  const HostSoft* host = turn.fleet().host_soft.Find(desktop.host());
  if (host != nullptr) *ready.mutable_relays() = host->report->relays();
  turn.Emit(StageTook{"prepare", turn.now() - soft.opening_since});
  turn.Note(Severity::kInfo, "display-ready",
            {{"session", session.id()},
             {"user", session.user()},
             {"desktop", desktop.id()},
             {"host", desktop.host()}});
  turn.Emit(std::move(progress));
}

// Whether the guest knows of the session, or need not. `unsaid` tells why it does not know.
bool GuestKnows(Turn& turn, const v1::Session& session, const v1::DesktopReport& report,
                const SessionSoft& soft, std::string& unsaid) {
  if (report.session() == session.id()) return true;
  if (!report.guest_agent()) return true;
  if (report.failed_verb() == v1::COMMAND_BEGIN_SESSION && !report.error().empty()) {
    unsaid = absl::StrCat("the guest could not be told of the session: ", report.error());
    return true;
  }
  if (turn.now() - soft.begun >= turn.settings().prepare_deadline) {
    unsaid = absl::StrCat("the guest was not told of the session within ",
                          RoughTime(turn.settings().prepare_deadline));
    return true;
  }
  return false;
}

// False: the guest has still to be told.
bool Prepare(Turn& turn, const v1::Desktop& desktop, const v1::DesktopReport& report,
             SessionSoft& soft, v1::Session& session) {
  if (report.session() != session.id()) {
    // Also when another connect has sent it just now: this one waits as long for the guest.
    if (soft.begun == absl::InfinitePast()) soft.begun = turn.now();
    if (!SentLately(turn, desktop, v1::COMMAND_BEGIN_SESSION)) {
      SendSession(turn, desktop, session, v1::COMMAND_BEGIN_SESSION);
    }
  }
  if (soft.opening) TellPreparing(turn, *soft.opening, desktop.id());
  std::string unsaid;
  if (!GuestKnows(turn, session, report, soft, unsaid)) return false;
  auto& steps = *session.mutable_explanation()->mutable_steps();
  if (!unsaid.empty() && std::find(steps.begin(), steps.end(), unsaid) == steps.end()) {
    turn.Note(Severity::kWarning, "guest-not-told",
              {{"session", session.id()}, {"desktop", desktop.id()}, {"why", unsaid}});
    *steps.Add() = unsaid;
    turn.Put(session);
  }
  return true;
}

void ViewerReported(Turn& turn, v1::Session session, const v1::Desktop& desktop,
                    const v1::DesktopReport& report, SessionSoft& soft) {
  const bool connected = report.viewer() == v1::VIEWER_CONNECTED;
  const bool ticket_open = HasTicket(report, soft.ticket_sha256);
  if (soft.closing) {
    if (!connected && !ticket_open) soft.closing = false;
    if (connected && !SentLately(turn, desktop, v1::COMMAND_CLOSE_DISPLAY)) {
      SendSession(turn, desktop, session, v1::COMMAND_CLOSE_DISPLAY);
    }
    return;
  }
  if (session.state() == v1::SESSION_STATE_ACTIVE && !connected) {
    turn.Move(SessionEvent::kViewerGone, session);
    turn.Note(Severity::kInfo, "viewer-gone",
              {{"session", session.id()}, {"user", session.user()}, {"desktop", desktop.id()}});
    // Until now the display was the sign-in's use.
    if (const auto sign_in = turn.fleet().sign_ins.FindShared(session.sign_in())) {
      v1::SignIn used = *sign_in;
      used.set_last_used_unix_ms(turn.now_ms());
      turn.Put(std::move(used));
    }
    turn.Put(std::move(session));
  } else if (session.state() == v1::SESSION_STATE_READY ||
             session.state() == v1::SESSION_STATE_DISCONNECTED) {
    // While the new ticket is unused, a viewer that is seen is the one before.
    if (!connected || ticket_open) return;
    turn.Move(SessionEvent::kViewerConnected, session);
    turn.Note(Severity::kInfo, "viewer-connected",
              {{"session", session.id()}, {"user", session.user()}, {"desktop", desktop.id()}});
    turn.Put(std::move(session));
  }
}

}  // namespace

const v1::DesktopReport* ReportOf(const Turn& turn, const v1::Desktop& desktop) {
  const HostSoft* host = turn.fleet().host_soft.Find(desktop.host());
  if (host == nullptr || host->liveness != v1::LIVENESS_UP) return nullptr;
  return host->FindDesktop(desktop.id());
}

void Assign(Turn& turn, ConnectCall call, const std::string& desktop_id,
            v1::Explanation explanation) {
  const auto before = turn.fleet().desktops.FindShared(desktop_id);
  if (before == nullptr) return;
  v1::Desktop desktop = *before;
  v1::Session session;
  session.set_id(absl::StrCat("s-", turn.FreshHex(16)));
  session.set_user(call.user);
  session.set_pool(call.pool);
  session.set_desktop(desktop_id);
  session.set_generation(desktop.generation());
  session.set_sign_in(call.sign_in);
  session.set_client(call.peer);
  session.set_created_unix_ms(turn.now_ms());
  explanation.set_decided_at_unix_ms(turn.now_ms());
  if (!turn.Move(DesktopEvent::kAssign, desktop)) return;
  if (!turn.Move(SessionEvent::kAssign, session)) return;
  turn.Audit(absl::StrCat("user:", call.user), "assign", absl::StrCat("desktop:", desktop_id), "ok",
             absl::StrCat(call.peer, " ", call.address),
             {{"session", session.id()}, {"why", explanation.decision()}});
  *session.mutable_explanation() = std::move(explanation);
  desktop.set_session(session.id());
  desktop.set_wanted_power(v1::POWER_RUNNING);
  turn.Emit(StageTook{"placement", turn.now() - call.arrived});
  if (call.queued) turn.Emit(StageTook{"queue", turn.now() - call.arrived});
  const std::string id = session.id();
  turn.state().calls[call.call] = {call.pool, id};
  SessionSoft& soft = turn.state().sessions[id];
  soft.opening = std::move(call);
  soft.opening_since = turn.now();
  turn.Put(std::move(desktop));
  turn.Put(std::move(session));
  Advance(turn, id);
}

void Reconnect(Turn& turn, ConnectCall call, v1::Session session) {
  FailOpening(turn, session.id(), absl::AbortedError("taken over by a newer connect"));
  const auto before = turn.fleet().desktops.FindShared(session.desktop());
  if (before == nullptr || !turn.Move(SessionEvent::kConnect, session)) {
    turn.Emit(ConnectFailed{call.call, absl::AbortedError("the session is ending; connect again")});
    return;
  }
  turn.Audit(absl::StrCat("user:", call.user), "reconnect", absl::StrCat("desktop:", before->id()),
             "ok", absl::StrCat(call.peer, " ", call.address), {{"session", session.id()}});
  session.set_sign_in(call.sign_in);
  session.set_client(call.peer);
  if (before->wanted_power() != v1::POWER_RUNNING) {
    v1::Desktop desktop = *before;
    desktop.set_wanted_power(v1::POWER_RUNNING);
    turn.Put(std::move(desktop));
  }
  const std::string id = session.id();
  turn.Emit(StageTook{"placement", turn.now() - call.arrived});
  turn.state().calls[call.call] = {call.pool, id};
  SessionSoft& soft = turn.state().sessions[id];
  soft.opening = std::move(call);
  soft.opening_since = turn.now();
  soft.resumed = true;
  soft.closing = false;
  soft.begun = absl::InfinitePast();
  turn.Put(std::move(session));
  Advance(turn, id);
}

void Advance(Turn& turn, const std::string& session_id) {
  const auto current = turn.fleet().sessions.FindShared(session_id);
  if (current == nullptr || current->state() != v1::SESSION_STATE_PENDING) return;
  const auto desktop = turn.fleet().desktops.FindShared(current->desktop());
  if (desktop == nullptr) return;
  SessionSoft& soft = turn.state().sessions[session_id];
  if (IsMoving(*desktop)) {
    // Opened when it has arrived.
    if (soft.opening) TellStarting(turn, *soft.opening, desktop->id());
    return;
  }
  const v1::DesktopReport* report = ReportOf(turn, *desktop);
  if (report == nullptr || report->generation() != desktop->generation()) return;
  if (report->power() != v1::POWER_RUNNING) {
    if (ResumeElsewhere(turn, *desktop)) return Advance(turn, session_id);
    if (!SentLately(turn, *desktop, v1::COMMAND_RESUME)) Send(turn, *desktop, v1::COMMAND_RESUME);
    if (soft.opening) TellStarting(turn, *soft.opening, desktop->id());
    return;
  }
  v1::Session session = *current;
  if (!Prepare(turn, *desktop, *report, soft, session)) return;
  if (soft.opening && !HasTicket(*report, soft.opening->ticket_sha256)) {
    if (soft.ticket_sha256 != soft.opening->ticket_sha256 ||
        !SentLately(turn, *desktop, v1::COMMAND_GRANT_TICKET)) {
      soft.ticket_sha256 = soft.opening->ticket_sha256;
      SendTicket(turn, *desktop, session, *soft.opening);
    }
    return;
  }
  // Nobody waits for it: the session is ready all the same, and its policy's clock begins.
  if (!turn.Move(SessionEvent::kPrepared, session)) return;
  if (soft.opening) TellReady(turn, session, *desktop, soft);
  turn.Put(std::move(session));
}

void ReconcileSession(Turn& turn, const v1::Desktop& desktop, const v1::DesktopReport& report) {
  const auto found = turn.fleet().sessions.FindShared(desktop.session());
  if (found == nullptr || found->state() == v1::SESSION_STATE_ENDED) {
    return ReleaseDesktop(turn, desktop);
  }
  const v1::Session& session = *found;
  if (!report.session().empty() && report.session() != session.id() &&
      !SentLately(turn, desktop, v1::COMMAND_END_SESSION)) {
    SendEnd(turn, desktop, report.session());
  }
  if (session.state() == v1::SESSION_STATE_ENDING) {
    if (report.session() != session.id()) {
      FinishSession(turn, session.id());
    } else if (!SentLately(turn, desktop, v1::COMMAND_END_SESSION)) {
      SendSession(turn, desktop, session, v1::COMMAND_END_SESSION);
    }
    return;
  }
  if (report.guest() == v1::GUEST_STATE_LOGGED_OUT && report.session() == session.id()) {
    BeginEnding(turn, session, "logged out in the desktop", absl::StrCat("user:", session.user()),
                desktop.host());
    return;
  }
  if (session.state() == v1::SESSION_STATE_PENDING) {
    if (report.failed_verb() == v1::COMMAND_RESUME && !report.error().empty()) {
      const std::string why = absl::StrCat("the desktop could not be resumed: ", report.error());
      LoseSession(turn, session.id(), why);
      return ReleaseDesktop(turn, desktop);
    }
    Advance(turn, session.id());
    return;
  }
  ViewerReported(turn, session, desktop, report, turn.state().sessions[session.id()]);
}

void BeginEnding(Turn& turn, v1::Session session, const std::string& reason,
                 const std::string& actor, const std::string& origin) {
  if (session.state() == v1::SESSION_STATE_ENDING || !turn.Move(SessionEvent::kEnd, session)) {
    return;
  }
  session.set_end_reason(reason);
  turn.Audit(actor, "end-session", absl::StrCat("session:", session.id()), "ok", origin,
             {{"user", session.user()}, {"desktop", session.desktop()}, {"why", reason}});
  FailOpening(turn, session.id(), absl::AbortedError("the session was ended"));
  const std::string id = session.id();
  const auto desktop = turn.fleet().desktops.FindShared(session.desktop());
  turn.Put(session);
  if (desktop == nullptr) return;
  const v1::DesktopReport* report = ReportOf(turn, *desktop);
  // A guest that does not run, or never knew of the session, is not waited for.
  const bool tell = report != nullptr && report->session() == id &&
                    report->power() == v1::POWER_RUNNING &&
                    desktop->wanted_power() == v1::POWER_RUNNING;
  if (tell) {
    SendSession(turn, *desktop, session, v1::COMMAND_END_SESSION);
    return;
  }
  // A guest that was never told is looked at all the same, and its reset may be long in coming.
  if (report != nullptr && report->viewer() == v1::VIEWER_CONNECTED) {
    SendSession(turn, *desktop, session, v1::COMMAND_CLOSE_DISPLAY);
  }
  FinishSession(turn, id);
}

void FinishSession(Turn& turn, const std::string& session_id) {
  const auto found = turn.fleet().sessions.FindShared(session_id);
  if (found == nullptr) return;
  v1::Session session = *found;
  if (!turn.Move(SessionEvent::kEnded, session)) return;
  const auto before = turn.fleet().desktops.FindShared(session.desktop());
  if (before != nullptr && before->session() == session_id) {
    ReleaseDesktop(turn, *before);
  }
  turn.Put(std::move(session));
}

void LoseSession(Turn& turn, const std::string& session_id, const std::string& reason) {
  const auto found = turn.fleet().sessions.FindShared(session_id);
  if (found == nullptr) return;
  v1::Session session = *found;
  const bool ending = session.state() == v1::SESSION_STATE_ENDING;
  if (!turn.Move(SessionEvent::kDesktopLost, session)) return;
  if (!ending) {
    session.set_end_reason(reason);
    turn.Audit("broker", "end-session", absl::StrCat("session:", session_id), "ok", "",
               {{"user", session.user()}, {"desktop", session.desktop()}, {"why", reason}});
  }
  std::optional<ConnectCall> opening = std::move(turn.state().sessions[session_id].opening);
  turn.Put(std::move(session));
  if (opening) QueueAgain(turn, *std::move(opening));
}

void CloseDisplays(Turn& turn, const std::string& user,
                   absl::FunctionRef<bool(const v1::Session&)> which) {
  const std::string prefix = user.empty() ? "" : LiveSessionKey(user, "");
  // A copy: closing changes sessions.
  const auto live = turn.fleet().live_sessions;
  for (auto at = live.After(prefix); at != live.end() && absl::StartsWith(at->key, prefix); ++at) {
    const auto session = turn.fleet().sessions.FindShared(*at->record);
    if (session == nullptr || session->state() == v1::SESSION_STATE_ENDING) continue;
    if (which(*session)) CloseDisplay(turn, *session);
  }
}

void CloseDisplay(Turn& turn, v1::Session session) {
  const auto desktop = turn.fleet().desktops.FindShared(session.desktop());
  FailOpening(turn, session.id(), absl::AbortedError("disconnected"));
  turn.state().sessions[session.id()].closing = true;
  if (desktop != nullptr) SendSession(turn, *desktop, session, v1::COMMAND_CLOSE_DISPLAY);
  if (session.state() == v1::SESSION_STATE_DISCONNECTED) return;
  if (turn.Move(SessionEvent::kViewerGone, session)) turn.Put(std::move(session));
}

void SessionTimerFired(Turn& turn, const std::string& session_id) {
  const auto found = turn.fleet().sessions.FindShared(session_id);
  if (found == nullptr) return;
  v1::Session session = *found;
  const absl::Time due = SessionDue(turn.state(), session);
  if (due > turn.now()) {
    turn.state().timers.Arm(SessionTimer(session_id), due);
    return;
  }
  switch (session.state()) {
    case v1::SESSION_STATE_PENDING:
      FailOpening(turn, session_id,
                  absl::UnavailableError("the desktop was not prepared in time; connect again"));
      [[fallthrough]];
    case v1::SESSION_STATE_READY:
      if (turn.Move(SessionEvent::kViewerGone, session)) turn.Put(std::move(session));
      return;
    case v1::SESSION_STATE_ENDING:
      return FinishSession(turn, session_id);
    case v1::SESSION_STATE_DISCONNECTED:
      break;
    default:
      return;
  }
  const v1::Resource* pool = turn.fleet().pools.Find(session.pool());
  const auto before = turn.fleet().desktops.FindShared(session.desktop());
  if (pool == nullptr || before == nullptr) return;
  const auto verdict = JudgeDisconnected(pool->pool().disconnect(),
                                         absl::FromUnixMillis(session.state_since_unix_ms()),
                                         before->wanted_power() == v1::POWER_SUSPENDED, turn.now());
  if (verdict.step == DisconnectStep::kEnd) {
    BeginEnding(turn, std::move(session), "disconnect policy", "broker", "");
  } else if (verdict.step == DisconnectStep::kSuspend) {
    v1::Desktop desktop = *before;
    desktop.set_wanted_power(v1::POWER_SUSPENDED);
    Send(turn, desktop, v1::COMMAND_SUSPEND);
    turn.Note(Severity::kInfo, "session-suspended",
              {{"session", session_id}, {"desktop", desktop.id()}});
    turn.Put(std::move(desktop));
    turn.state().timers.Arm(SessionTimer(session_id), verdict.next);
  }
}

void FailOpening(Turn& turn, const std::string& session_id, const absl::Status& why) {
  const auto soft = turn.state().sessions.find(session_id);
  if (soft == turn.state().sessions.end() || !soft->second.opening) return;
  const CallId call = soft->second.opening->call;
  soft->second.opening.reset();
  turn.state().calls.erase(call);
  turn.Emit(ConnectFailed{call, why});
}

}  // namespace werkplek
