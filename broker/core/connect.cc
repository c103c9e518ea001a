#include "broker/core/connect.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "broker/core/access.h"
#include "broker/core/dedicated.h"
#include "broker/core/desktops.h"
#include "broker/core/pools.h"
#include "broker/core/sessions.h"
#include "broker/core/sites.h"
#include "broker/model/names.h"
#include "common/base/crypto.h"
#include "common/base/words.h"

namespace werkplek {
namespace {

// How the pool stands, for people.
std::string PoolStands(const PoolState& pool, uint32_t max_desktops) {
  const uint32_t starting = pool.Count(v1::DESKTOP_STATE_PROVISIONING) +
                            pool.Count(v1::DESKTOP_STATE_STARTING) +
                            pool.Count(v1::DESKTOP_STATE_RESETTING);
  return absl::StrCat("the pool has ", CountOf(pool.Count(v1::DESKTOP_STATE_ASSIGNED), "desktop"),
                      " in use, ", pool.Count(v1::DESKTOP_STATE_READY), " spare, ", starting,
                      " starting, ", pool.Count(v1::DESKTOP_STATE_DIRTY), " to be reset, ",
                      pool.Count(v1::DESKTOP_STATE_ERROR), " failed, of at most ", max_desktops);
}

void KeepRefusal(Turn& turn, const std::string& id, Refusal refusal) {
  BrokerState& state = turn.state();
  state.fleet.refusals.Put(id, std::make_shared<const Refusal>(std::move(refusal)));
  state.refusals.push_back(id);
  if (state.refusals.size() <= kRefusalsKept) return;
  state.fleet.refusals.Erase(state.refusals.front());
  state.refusals.pop_front();
}

ConnectCall MakeCall(Turn& turn, const CallRequested& event, const v1::ConnectRequest& request,
                     const v1::SignIn& sign_in) {
  ConnectCall call;
  call.call = event.call;
  call.user = sign_in.user();
  call.sign_in = sign_in.id();
  call.pool = request.pool();
  call.peer = event.caller.peer;
  call.address = event.caller.address;
  call.certificate_sha256 = event.caller.certificate_sha256;
  call.ticket = event.ticket;
  call.ticket_sha256 = Sha256(event.ticket);
  call.arrived = turn.now();
  call.deadline = turn.now();
  return call;
}

// The person's call that waits for the pool; nullptr: none.
ConnectCall* WaitingCall(PoolState& pool, const std::string& user) {
  for (ConnectCall& waiting : pool.queue) {
    if (absl::EqualsIgnoreCase(waiting.user, user)) return &waiting;
  }
  return nullptr;
}

// A person waits once per pool: a newer call takes the place of the older one.
void TakeOverPlace(Turn& turn, ConnectCall& waiting, ConnectCall call) {
  turn.state().calls.erase(waiting.call);
  turn.Emit(ConnectFailed{waiting.call, absl::AbortedError("taken over by a newer connect")});
  call.arrived = waiting.arrived;
  call.deadline = waiting.deadline;
  call.queued = true;
  turn.state().calls[call.call] = {call.pool, ""};
  waiting = std::move(call);
}

// A client that lost its screen asks by itself; the person is at another one by now.
void LeaveToOther(Turn& turn, const ConnectCall& call) {
  turn.Audit(absl::StrCat("user:", call.user), "reconnect", absl::StrCat("pool:", call.pool),
             "taken-over", absl::StrCat(call.peer, " ", call.address));
  turn.Count("connects", "taken-over");
  turn.Emit(ConnectFailed{
      call.call, absl::AbortedError("the desktop was opened elsewhere meanwhile; connect anew to "
                                    "have it here")});
}

v1::Explanation ExplainSpare(Turn& turn, const PoolState& pool, const v1::Desktop& desktop,
                             const ConnectCall& call, size_t waited_before) {
  v1::Explanation explanation;
  const bool suspended = desktop.wanted_power() == v1::POWER_SUSPENDED;
  explanation.set_decision(suspended ? "suspended spare" : "running spare");
  explanation.add_steps("own session: none in this pool");
  if (call.queued) explanation.add_steps(absl::StrCat("queue: was next of ", waited_before));
  explanation.add_steps(absl::StrCat(suspended ? "suspended" : "running", " spare: ", desktop.id(),
                                     " on ", desktop.host(), ", one of ",
                                     pool.Count(v1::DESKTOP_STATE_READY)));
  if (!call.home.site.empty()) {
    const v1::Resource* host = turn.fleet().hosts.Find(desktop.host());
    const bool there = host != nullptr && host->host().site() == call.home.site;
    explanation.add_steps(absl::StrCat(
        HomeText(call.home), there ? ": it stands there" : ": none of them stands there"));
  }
  return explanation;
}

// The wait is answered with what stands in its way.
v1::Explanation ExplainQueue(Turn& turn, const std::string& pool_name, const v1::Pool& pool,
                             const Home& home) {
  const PoolState& own = turn.state().pools[pool_name];
  v1::Explanation explanation;
  explanation.set_decision("queued");
  explanation.set_decided_at_unix_ms(turn.now_ms());
  explanation.add_steps("own session: none in this pool");
  explanation.add_steps(PoolStands(own, pool.max_desktops()));
  if (own.breaker.tripped()) {
    explanation.add_steps(absl::StrCat("the pool makes no new desktops: ", own.breaker.reason()));
  }
  for (std::string& trouble : SiteTroubles(turn.fleet(), pool)) {
    explanation.add_steps(std::move(trouble));
  }
  if (!home.site.empty()) explanation.add_steps(HomeText(home));
  KeepVerdicts(PlaceFor(turn, pool, home).verdicts, explanation);
  return explanation;
}

// Desktops that will be spares soon, in the order of their ids.
std::vector<std::string> Starting(const PoolState& pool) {
  std::vector<std::string> ids;
  for (const auto state :
       {v1::DESKTOP_STATE_PROVISIONING, v1::DESKTOP_STATE_STARTING, v1::DESKTOP_STATE_RESETTING}) {
    ids.insert(ids.end(), pool.In(state).begin(), pool.In(state).end());
  }
  // Those that somebody owns are nobody else's.
  for (const auto& [user, id] : pool.owned) {
    ids.erase(std::remove(ids.begin(), ids.end(), id), ids.end());
  }
  return ids;
}

std::shared_ptr<const v1::Session> LiveSession(const Turn& turn, const ConnectCall& call) {
  const std::string* live = turn.fleet().live_sessions.Find(LiveSessionKey(call.user, call.pool));
  return live == nullptr ? nullptr : turn.fleet().sessions.FindShared(*live);
}

}  // namespace

void KeepVerdicts(std::vector<v1::HostVerdict> verdicts, v1::Explanation& explanation) {
  const int more = static_cast<int>(verdicts.size()) - kVerdictsKept;
  for (auto& verdict : verdicts) {
    if (explanation.hosts_size() == kVerdictsKept) break;
    *explanation.add_hosts() = std::move(verdict);
  }
  if (more > 0) explanation.add_steps(absl::StrCat("and ", CountOf(more, "more host")));
}

void Refuse(Turn& turn, const ConnectCall& call, const std::string& rule,
            std::vector<std::string> reasons, std::vector<v1::HostVerdict> hosts) {
  const std::string id = absl::StrCat("r-", turn.FreshHex(16));
  Refusal refusal{call.user, call.pool, {}};
  const v1::Resource* record = turn.fleet().pools.Find(call.pool);
  if (record != nullptr && rule != "no-entitlement") {
    for (std::string& trouble : SiteTroubles(turn.fleet(), record->pool())) {
      reasons.push_back(std::move(trouble));
    }
  }
  refusal.explanation.set_decision(absl::StrCat("refused: ", rule));
  refusal.explanation.set_decided_at_unix_ms(turn.now_ms());
  for (const std::string& reason : reasons) refusal.explanation.add_steps(reason);
  KeepVerdicts(std::move(hosts), refusal.explanation);
  KeepRefusal(turn, id, std::move(refusal));
  turn.Audit(absl::StrCat("user:", call.user), "assign", absl::StrCat("pool:", call.pool), rule,
             absl::StrCat(call.peer, " ", call.address), {{"explain", id}});
  turn.Count("connects", rule);
  ConnectProgress progress{call.call, {}, true};
  v1::Refused& refused = *progress.update.mutable_refused();
  refused.set_rule(rule);
  for (std::string& reason : reasons) refused.add_reasons(std::move(reason));
  refused.set_explain_id(id);
  turn.state().calls.erase(call.call);
  turn.Emit(std::move(progress));
}

bool StillMay(Turn& turn, const ConnectCall& call) {
  const auto sign_in = turn.fleet().sign_ins.FindShared(call.sign_in);
  if (sign_in == nullptr ||
      SignInEnds(turn.fleet(), *sign_in, turn.settings(), turn.now()) <= turn.now()) {
    turn.state().calls.erase(call.call);
    turn.Emit(ConnectFailed{call.call, absl::UnauthenticatedError("sign in first")});
    return false;
  }
  if (MayUse(turn.fleet(), *sign_in, call.pool)) return true;
  Refuse(turn, call, "no-entitlement", {"you may not use this pool (any more)"});
  return false;
}

bool MayUse(const Fleet& fleet, const v1::SignIn& person, const std::string& pool) {
  const Entitled entitled(person);
  for (const auto& entry : fleet.entitlements) {
    const v1::Entitlement& entitlement = entry.record->entitlement();
    if (entitlement.pool() == pool && entitled.By(entitlement)) return true;
  }
  return false;
}

void HandleConnect(Turn& turn, const CallRequested& event, const v1::ConnectRequest& request,
                   const v1::SignIn& sign_in) {
  ConnectCall call = MakeCall(turn, event, request, sign_in);
  if (event.ticket.empty()) {
    turn.Emit(ConnectFailed{event.call, absl::InternalError("the call came without a ticket")});
    return;
  }
  const auto record = turn.fleet().pools.FindShared(request.pool());
  if (record == nullptr || !MayUse(turn.fleet(), sign_in, request.pool())) {
    Refuse(turn, call, "no-entitlement", {"there is no such pool, or you may not use it"});
    return;
  }
  const v1::Pool& pool = record->pool();
  call.home = HomeOf(turn.fleet(), sign_in, call.pool, pool);
  PoolState& own = turn.state().pools[call.pool];
  auto session = LiveSession(turn, call);
  // Its host is down and its turn to be lost has not come yet.
  if (session != nullptr && LoseNow(turn, session->desktop())) session = LiveSession(turn, call);
  if (session != nullptr && session->state() != v1::SESSION_STATE_ENDING) {
    if (request.again() && session->sign_in() != call.sign_in) return LeaveToOther(turn, call);
    const std::string braked = BrakeText(turn, session->desktop());
    if (!braked.empty()) return Refuse(turn, call, "site-braked", {braked});
    turn.Count("connects", "own session");
    return Reconnect(turn, std::move(call), *session);
  }
  if (pool.schedulability() != v1::SCHEDULABILITY_OPEN) {
    Refuse(turn, call, "pool-draining",
           {pool.schedulability() == v1::SCHEDULABILITY_DRAINING
                ? "the pool is being emptied; nobody gets a new desktop there"
                : "the pool is in maintenance; nobody gets a new desktop there"});
    return;
  }
  if (ConnectCall* waiting = WaitingCall(own, call.user)) {
    if (request.again() && waiting->sign_in != call.sign_in) return LeaveToOther(turn, call);
    TakeOverPlace(turn, *waiting, std::move(call));
    return turn.Touch(request.pool());
  }
  const uint32_t limit =
      pool.queue_limit() != 0 ? pool.queue_limit() : turn.settings().default_queue_limit;
  const bool spare =
      OwnDesktop(turn, call) != nullptr || !PickSpare(turn, call.pool, call.home).empty();
  if (own.breaker.tripped() && !spare && Starting(own).empty()) {
    Refuse(turn, call, "pool-broken",
           {absl::StrCat("the pool makes no new desktops: ", own.breaker.reason()),
            PoolStands(own, pool.max_desktops())});
    return;
  }
  if (own.queue.size() >= limit && !(spare && own.queue.empty())) {
    Refuse(turn, call, "queue-full",
           {absl::StrCat(own.queue.size(), own.queue.size() == 1 ? " person waits" : " people wait",
                         " already, at most ", limit),
            PoolStands(own, pool.max_desktops())},
           PlaceFor(turn, pool, call.home).verdicts);
    return;
  }
  call.deadline =
      turn.now() + (pool.queue_deadline_s() != 0 ? absl::Seconds(pool.queue_deadline_s())
                                                 : turn.settings().default_queue_deadline);
  turn.state().calls[call.call] = {call.pool, ""};
  turn.Touch(call.pool);
  own.queue.push_back(std::move(call));
}

void QueueAgain(Turn& turn, ConnectCall call) {
  const auto record = turn.fleet().pools.FindShared(call.pool);
  if (record == nullptr) {
    Refuse(turn, call, "no-entitlement", {"the pool is no more"});
    return;
  }
  call.queued = true;
  // The old one may be armed on the host that was lost.
  call.ticket = turn.FreshTicket();
  call.ticket_sha256 = Sha256(call.ticket);
  call.told_position = 0;
  call.told_starting.clear();
  call.told_preparing = false;
  const uint32_t wait_s = record->pool().queue_deadline_s();
  call.deadline =
      turn.now() + (wait_s != 0 ? absl::Seconds(wait_s) : turn.settings().default_queue_deadline);
  turn.state().calls[call.call] = {call.pool, ""};
  turn.Touch(call.pool);
  // Back to its place: among several that lost theirs together, too, who came first goes first.
  PoolState& own = turn.state().pools[call.pool];
  const auto after = std::find_if(own.queue.begin(), own.queue.end(), [&](const auto& waiting) {
    return waiting.arrived > call.arrived;
  });
  own.queue.insert(after, std::move(call));
}

void AssignWaiting(Turn& turn, const std::string& pool_name) {
  PoolState& pool = turn.state().pools[pool_name];
  for (auto at = pool.queue.begin(); at != pool.queue.end();) {
    // An ending session of the same person comes first: nobody has two in one pool.
    if (turn.fleet().live_sessions.Find(LiveSessionKey(at->user, pool_name)) != nullptr) {
      ++at;
      continue;
    }
    const std::string spare = PickSpare(turn, pool_name, at->home);
    if (spare.empty() && at->home.required) {
      // Others may take what is not in this one's home.
      ++at;
      continue;
    }
    if (spare.empty()) break;
    ConnectCall call = std::move(*at);
    const size_t waited = pool.queue.size();
    at = pool.queue.erase(at);
    if (!StillMay(turn, call)) continue;
    const auto desktop = turn.fleet().desktops.FindShared(spare);
    turn.Count("connects", "assigned");
    v1::Explanation explanation = ExplainSpare(turn, pool, *desktop, call, waited);
    Assign(turn, std::move(call), spare, std::move(explanation));
  }
}

void TellQueue(Turn& turn, const std::string& pool_name) {
  PoolState& pool = turn.state().pools[pool_name];
  const auto record = turn.fleet().pools.FindShared(pool_name);
  if (record == nullptr || pool.queue.empty()) return;
  if (record->pool().kind() == v1::POOL_KIND_DEDICATED) TellOwners(turn, pool_name);
  const std::vector<std::string> starting = Starting(pool);
  std::map<std::string, v1::Explanation> explanations;
  uint32_t position = 0;
  for (ConnectCall& call : pool.queue) {
    if (OwnDesktop(turn, call) != nullptr) continue;
    ++position;
    call.queued = true;
    ConnectProgress progress{call.call, {}, false};
    if (position <= starting.size()) {
      const std::string& desktop = starting[position - 1];
      // Which of those that start it will be is not told again and again.
      if (!call.told_starting.empty()) continue;
      call.told_starting = desktop;
      call.told_position = 0;
      progress.update.mutable_starting()->set_desktop(desktop);
    } else {
      if (call.told_position == position) continue;
      call.told_position = position;
      call.told_starting.clear();
      const std::string home = HomeText(call.home);
      if (explanations.count(home) == 0) {
        explanations[home] = ExplainQueue(turn, pool_name, record->pool(), call.home);
      }
      v1::Queued& queued = *progress.update.mutable_queued();
      queued.set_position(position);
      queued.set_deadline_unix_ms(absl::ToUnixMillis(call.deadline));
      *queued.mutable_explanation() = explanations[home];
    }
    turn.Emit(std::move(progress));
  }
}

void ExpireQueue(Turn& turn, const std::string& pool_name) {
  PoolState& pool = turn.state().pools[pool_name];
  const auto record = turn.fleet().pools.FindShared(pool_name);
  for (auto at = pool.queue.begin(); at != pool.queue.end();) {
    if (at->deadline > turn.now()) {
      ++at;
      continue;
    }
    const ConnectCall call = std::move(*at);
    at = pool.queue.erase(at);
    turn.Touch(pool_name);
    std::vector<std::string> reasons = {absl::StrCat(call.told_reason.empty()
                                                         ? "no desktop came free within "
                                                         : "your desktop was not there within ",
                                                     RoughTime(turn.now() - call.arrived))};
    if (!call.told_reason.empty()) reasons.push_back(call.told_reason);
    if (record != nullptr) reasons.push_back(PoolStands(pool, record->pool().max_desktops()));
    if (pool.breaker.tripped()) reasons.push_back(pool.breaker.reason());
    Refuse(turn, call, "deadline", std::move(reasons),
           record == nullptr ? std::vector<v1::HostVerdict>()
                             : PlaceFor(turn, record->pool(), call.home).verdicts);
  }
}

void RefuseQueue(Turn& turn, const std::string& pool_name, const std::string& rule,
                 const std::string& reason) {
  std::list<ConnectCall> queue = std::move(turn.state().pools[pool_name].queue);
  turn.state().pools[pool_name].queue.clear();
  for (const ConnectCall& call : queue) Refuse(turn, call, rule, {reason});
}

void CancelCall(Turn& turn, CallId call) {
  const auto at = turn.state().calls.find(call);
  if (at == turn.state().calls.end()) return;
  const CallPlace place = at->second;
  turn.state().calls.erase(at);
  if (!place.session.empty()) {
    const auto soft = turn.state().sessions.find(place.session);
    if (soft != turn.state().sessions.end()) soft->second.opening.reset();
    return;
  }
  PoolState& pool = turn.state().pools[place.pool];
  pool.queue.remove_if([&](const ConnectCall& waiting) { return waiting.call == call; });
  turn.Touch(place.pool);
}

void DropCallsOf(Turn& turn, const v1::SignIn& sign_in) {
  const absl::Status why = absl::UnauthenticatedError("signed out");
  for (auto& [name, pool] : turn.state().pools) {
    for (auto at = pool.queue.begin(); at != pool.queue.end();) {
      if (at->sign_in != sign_in.id()) {
        ++at;
        continue;
      }
      turn.state().calls.erase(at->call);
      turn.Emit(ConnectFailed{at->call, why});
      at = pool.queue.erase(at);
      turn.Touch(name);
    }
  }
  const std::string prefix = LiveSessionKey(sign_in.user(), "");
  const auto live = turn.fleet().live_sessions;
  for (auto at = live.After(prefix); at != live.end() && at->key.rfind(prefix, 0) == 0; ++at) {
    const auto soft = turn.state().sessions.find(*at->record);
    if (soft != turn.state().sessions.end() && soft->second.opening &&
        soft->second.opening->sign_in == sign_in.id()) {
      FailOpening(turn, *at->record, why);
    }
  }
}

}  // namespace werkplek
