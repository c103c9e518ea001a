#include "broker/core/state.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "broker/core/access.h"
#include "broker/model/kept.h"
#include "broker/reconcile/disconnect.h"
#include "broker/reconcile/liveness.h"

namespace werkplek {
namespace {

absl::Time At(int64_t unix_ms) { return absl::FromUnixMillis(unix_ms); }

void Count(bool add, uint32_t& counter) { counter = add ? counter + 1 : counter - 1; }

void Keep(bool add, const std::string& id, std::set<std::string>& ids) {
  if (add) {
    ids.insert(id);
  } else {
    ids.erase(id);
  }
}

void RebuildHosts(BrokerState& state, absl::Time now) {
  state.fleet.host_soft = {};
  for (const auto& entry : state.fleet.hosts) {
    auto soft = std::make_shared<HostSoft>();
    soft->counted_from = now;
    soft->liveness = LivenessOf(absl::ZeroDuration(), false, state.settings.suspect_after,
                                state.settings.down_after);
    state.fleet.host_soft.Put(entry.key, std::move(soft));
    state.hosts[entry.key];
    state.closed_hosts.insert(entry.key);
  }
}

}  // namespace

std::string OwnerKey(const std::string& user) { return absl::AsciiStrToLower(user); }

void IndexDesktop(const v1::Desktop& desktop, bool add, BrokerState& state) {
  PoolState& pool = state.pools[desktop.pool()];
  const bool ready = desktop.state() == v1::DESKTOP_STATE_READY;
  Keep(add, desktop.id(), pool.by_state[static_cast<size_t>(desktop.state())]);
  if (ready && desktop.wanted_power() == v1::POWER_SUSPENDED && desktop.owner().empty()) {
    Keep(add, desktop.id(), pool.suspended);
  }
  if (!desktop.owner().empty()) {
    Count(add, pool.owned_count[static_cast<size_t>(desktop.state())]);
    if (add) {
      pool.owned[OwnerKey(desktop.owner())] = desktop.id();
    } else {
      pool.owned.erase(OwnerKey(desktop.owner()));
    }
    const bool idle =
        desktop.state() == v1::DESKTOP_STATE_LOST || desktop.state() == v1::DESKTOP_STATE_OFF;
    if (idle && IsKept(desktop) && !IsFencedOff(desktop)) Keep(add, desktop.id(), pool.unsure);
  }
  if (!desktop.moving_to().empty()) {
    Keep(add, desktop.id(), state.moving);
    HostState& target = state.hosts[desktop.moving_to()];
    Keep(add, desktop.id(), target.incoming);
    target.memory_committed_mib += add ? desktop.memory_mib() : -desktop.memory_mib();
  }
  if (desktop.host().empty()) return;
  HostState& host = state.hosts[desktop.host()];
  Keep(add, desktop.id(), host.desktops);
  host.memory_committed_mib += add ? desktop.memory_mib() : -desktop.memory_mib();
  if (desktop.owner().empty()) {
    IdleCounts& idle = host.idle[desktop.pool()];
    if (ready) Count(add, idle.ready);
    if (desktop.state() == v1::DESKTOP_STATE_DIRTY) Count(add, idle.dirty);
    if (IsStarting(desktop.state())) Count(add, idle.starting);
  }
  if (IsStarting(desktop.state())) {
    Count(add, host.starts);
    const v1::Resource* record = state.fleet.hosts.Find(desktop.host());
    if (record != nullptr) Count(add, state.site_starts[record->host().site()]);
  }
  if (!add) ++state.capacity_version;
}

void IndexAnswered(const v1::AnsweredRequest& answered, bool add, BrokerState& state) {
  if (answered.user().empty()) return;
  uint32_t& kept = state.answered_by_user[answered.user()];
  Count(add, kept);
  if (kept == 0) state.answered_by_user.erase(answered.user());
}

void IndexToken(const v1::TokenEnrolment& token, Fleet& fleet) {
  fleet.token_by_name.Put(OwnerKey(token.user()),
                          std::make_shared<const std::string>(token.user()));
}

const v1::TokenEnrolment* TokenOf(const Fleet& fleet, const std::string& user) {
  const std::string* name = fleet.token_by_name.Find(OwnerKey(user));
  return name == nullptr ? nullptr : fleet.tokens.Find(*name);
}

void IndexSignIn(const v1::SignIn& sign_in, bool add, BrokerState& state) {
  const std::string user = OwnerKey(sign_in.user());
  std::set<std::string>& of_user = state.sign_ins_by_user[user];
  Keep(add, sign_in.id(), of_user);
  if (of_user.empty()) state.sign_ins_by_user.erase(user);
  const std::string& key = sign_in.request_key();
  if (key.empty()) return;
  if (!add) {
    const auto at = state.sign_in_by_request.find(key);
    if (at != state.sign_in_by_request.end() && at->second == sign_in.id()) {
      state.sign_in_by_request.erase(at);
    }
    return;
  }
  // An id that was used again, long after, stands for the newer one.
  std::string& newest = state.sign_in_by_request[key];
  const v1::SignIn* other = state.fleet.sign_ins.Find(newest);
  if (other == nullptr || other->created_unix_ms() < sign_in.created_unix_ms()) {
    newest = sign_in.id();
  }
}

std::shared_ptr<const v1::SignIn> SignInByRequest(const BrokerState& state, const std::string& key,
                                                  absl::Time now) {
  const auto at = state.sign_in_by_request.find(key);
  if (at == state.sign_in_by_request.end()) return nullptr;
  auto sign_in = state.fleet.sign_ins.FindShared(at->second);
  if (sign_in == nullptr || now - At(sign_in->created_unix_ms()) >= kSignInRepeat) return nullptr;
  return sign_in;
}

absl::Duration StartDeadline(const BrokerState& state, const std::string& pool) {
  const v1::Resource* record = state.fleet.pools.Find(pool);
  if (record == nullptr || record->pool().start_deadline_s() == 0) {
    return state.settings.default_start_deadline;
  }
  return absl::Seconds(record->pool().start_deadline_s());
}

absl::Time DesktopDue(const BrokerState& state, const v1::Desktop& desktop) {
  if (!IsStarting(desktop.state())) return absl::InfiniteFuture();
  return At(desktop.state_since_unix_ms()) + StartDeadline(state, desktop.pool());
}

absl::Time SessionDue(const BrokerState& state, const v1::Session& session) {
  const absl::Time since = At(session.state_since_unix_ms());
  switch (session.state()) {
    case v1::SESSION_STATE_PENDING:
      return since + StartDeadline(state, session.pool()) + state.settings.prepare_deadline;
    case v1::SESSION_STATE_READY:
      return since + state.settings.ticket_lifetime + kViewerGrace;
    case v1::SESSION_STATE_DISCONNECTED: {
      const v1::Resource* pool = state.fleet.pools.Find(session.pool());
      const v1::Desktop* desktop = state.fleet.desktops.Find(session.desktop());
      if (pool == nullptr || desktop == nullptr) return since;
      return JudgeDisconnected(pool->pool().disconnect(), since,
                               desktop->wanted_power() == v1::POWER_SUSPENDED, absl::InfinitePast())
          .next;
    }
    case v1::SESSION_STATE_ENDING:
      return since + kEndDeadline;
    default:
      return absl::InfiniteFuture();
  }
}

void RebuildState(BrokerState& state, absl::Time now) {
  state.fleet.leading_since = now;
  state.fleet.sign_in_by_token = {};
  state.fleet.token_by_name = {};
  state.fleet.live_sessions = {};
  state.fleet.pool_soft = {};
  state.fleet.refusals = {};
  state.fleet.move_notes = {};
  RebuildHosts(state, now);
  for (const auto& entry : state.fleet.pools) {
    state.pools[entry.key];
    state.fleet.pool_soft.Put(entry.key, std::make_shared<PoolSoft>());
  }
  for (const auto& entry : state.fleet.desktops) {
    IndexDesktop(*entry.record, true, state);
    state.timers.Arm(DesktopTimer(entry.key), DesktopDue(state, *entry.record));
  }
  for (const auto& entry : state.fleet.sessions) {
    const v1::Session& session = *entry.record;
    IndexSession(nullptr, &session, state.fleet);
    if (session.state() == v1::SESSION_STATE_ENDED) {
      state.ended_sessions.emplace_back(At(session.state_since_unix_ms()), entry.key);
      continue;
    }
    // A display that was to be closed when the broker stopped is closed now.
    if (session.state() == v1::SESSION_STATE_DISCONNECTED) state.sessions[entry.key].closing = true;
    state.timers.Arm(SessionTimer(entry.key), SessionDue(state, session));
  }
  for (const auto& entry : state.fleet.tokens) IndexToken(*entry.record, state.fleet);
  for (const auto& entry : state.fleet.sign_ins) {
    IndexSignIn(nullptr, entry.record.get(), state.fleet);
    IndexSignIn(*entry.record, true, state);
    state.timers.Arm(SignInTimer(entry.key),
                     SignInEnds(state.fleet, *entry.record, state.settings, now));
  }
  for (const auto& entry : state.fleet.answered) {
    state.answered.emplace_back(At(entry.record->answered_unix_ms()), entry.key);
    IndexAnswered(*entry.record, true, state);
  }
  std::sort(state.answered.begin(), state.answered.end());
  std::sort(state.ended_sessions.begin(), state.ended_sessions.end());
}

}  // namespace werkplek
