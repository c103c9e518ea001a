#include "tests/sim/checkers.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/model/desktop_machine.h"
#include "broker/model/kept.h"
#include "broker/model/names.h"
#include "broker/model/session_machine.h"
#include "tests/sim/store_replay.h"

namespace werkplek::sim {
namespace {

std::string At(absl::Duration at) { return absl::StrCat(absl::FormatDuration(at), ": "); }

bool IsLive(const v1::Session& session) { return session.state() != v1::SESSION_STATE_ENDED; }

// The hosts that it takes room on: its own, and the one that it is moving to.
std::set<std::string> HostsOf(const v1::Desktop* desktop) {
  if (desktop == nullptr || desktop->host().empty() ||
      desktop->state() == v1::DESKTOP_STATE_ABSENT || desktop->state() == v1::DESKTOP_STATE_LOST) {
    return {};
  }
  std::set<std::string> hosts = {desktop->host()};
  if (!desktop->moving_to().empty()) hosts.insert(desktop->moving_to());
  return hosts;
}

}  // namespace

Violations CheckOneUserOfAGeneration(const History& history) {
  Violations found;
  std::map<std::pair<std::string, uint64_t>, std::string> assigned;
  StoreReplay store(history);
  while (store.NextChange()) {
    const v1::Session* session = store.NewSession();
    if (session == nullptr || session->desktop().empty()) continue;
    const auto [at, fresh] =
        assigned.try_emplace({session->desktop(), session->generation()}, session->user());
    if (!fresh && at->second != session->user()) {
      found.push_back({"S1", absl::StrCat(At(store.at()), session->desktop(), " generation ",
                                          session->generation(), " was given to ", at->second,
                                          " and to ", session->user())});
    }
  }
  std::map<std::pair<std::string, std::string>, std::string> shown;
  for (const DisplayGranted& display : history.displays) {
    const auto [at, fresh] = shown.try_emplace({display.desktop, display.overlay}, display.user);
    if (!fresh && at->second != display.user) {
      found.push_back({"S1", absl::StrCat(At(display.at), "the display of ", display.desktop,
                                          " on ", display.overlay, " was shown to ", at->second,
                                          " and to ", display.user)});
    }
  }
  return found;
}

Violations CheckOneSessionInAPool(const History& history) {
  Violations found;
  std::map<std::pair<std::string, std::string>, std::set<std::string>> live;
  StoreReplay store(history);
  while (store.NextChange()) {
    if (store.change().table() != kSessionTable) continue;
    if (const v1::Session* before = store.OldSession(); before != nullptr) {
      live[{before->user(), before->pool()}].erase(before->id());
    }
    const v1::Session* after = store.NewSession();
    if (after == nullptr || !IsLive(*after)) continue;
    std::set<std::string>& sessions = live[{after->user(), after->pool()}];
    sessions.insert(after->id());
    if (sessions.size() > 1) {
      found.push_back({"S2", absl::StrCat(At(store.at()), after->user(), " has ", sessions.size(),
                                          " sessions in ", after->pool())});
    }
  }
  return found;
}

Violations CheckHostLimits(const History& history) {
  Violations found;
  for (const HostLoadSeen& load : history.loads) {
    if (load.running_mib > load.physical_mib) {
      found.push_back({"S4", absl::StrCat(At(load.at), load.host, " runs ", load.running_mib,
                                          " MiB of ", load.physical_mib, " MiB")});
    }
  }
  std::map<std::string, std::pair<uint64_t, uint32_t>> committed;
  StoreReplay store(history);
  while (store.NextChange()) {
    if (store.change().table() != kDesktopTable) continue;
    const std::set<std::string> before = HostsOf(store.OldDesktop());
    for (const std::string& name : before) {
      committed[name].first -= store.OldDesktop()->memory_mib();
      --committed[name].second;
    }
    for (const std::string& name : HostsOf(store.NewDesktop())) {
      auto& [memory, desktops] = committed[name];
      memory += store.NewDesktop()->memory_mib();
      ++desktops;
      const v1::Resource* host = store.fleet().hosts.Find(name);
      // Only what adds to the host is judged: a limit may be lowered under what runs.
      if (host == nullptr || before.count(name) != 0) continue;
      const v1::Host& limits = host->host();
      if ((limits.memory_limit_mib() != 0 && memory > limits.memory_limit_mib()) ||
          (limits.max_desktops() != 0 && desktops > limits.max_desktops())) {
        found.push_back(
            {"S4", absl::StrCat(At(store.at()), name, " is committed to ", memory, " MiB and ",
                                desktops, " desktops of ", limits.memory_limit_mib(), " MiB and ",
                                limits.max_desktops())});
      }
    }
  }
  return found;
}

namespace {

// One thing that was acknowledged when `after_commits` commits were durable.
struct Promise {
  size_t after_commits;
  // Judges the store as it was then.
  std::string (*broken)(const Promise& promise, const Fleet& fleet);
  absl::Duration at;
  const ReadySeen* ready = nullptr;
  const ChangeAcknowledged* change = nullptr;
};

std::string ReadyBroken(const Promise& promise, const Fleet& fleet) {
  const ReadySeen& ready = *promise.ready;
  const v1::Session* session = fleet.sessions.Find(ready.session);
  if (session == nullptr) return absl::StrCat("session ", ready.session, " is not in the store");
  if (session->user() != ready.user || session->desktop() != ready.desktop ||
      session->pool() != ready.pool) {
    return absl::StrCat("session ", ready.session, " is another one in the store");
  }
  return "";
}

std::string ChangeBroken(const Promise& promise, const Fleet& fleet) {
  const ChangeAcknowledged& change = *promise.change;
  switch (change.kind) {
    case ChangeAcknowledged::Kind::kSignOut:
      return fleet.sign_in_by_token.Find(change.what) == nullptr
                 ? ""
                 : "a sign-in that was signed out is in the store";
    case ChangeAcknowledged::Kind::kEndSession: {
      const v1::Session* session = fleet.sessions.Find(change.what);
      return session == nullptr || session->state() == v1::SESSION_STATE_ENDING ||
                     session->state() == v1::SESSION_STATE_ENDED
                 ? ""
                 : absl::StrCat("session ", change.what, " was ended, but lives in the store");
    }
    case ChangeAcknowledged::Kind::kResource: {
      for (const auto* table : {&fleet.hosts, &fleet.pools, &fleet.entitlements, &fleet.images}) {
        const v1::Resource* resource = table->Find(change.what);
        if (resource != nullptr && resource->version() >= change.version) return "";
      }
      return absl::StrCat(change.what, " version ", change.version, " is not in the store");
    }
  }
  return "";
}

std::vector<Promise> PromisesOf(const History& history) {
  std::vector<Promise> promises;
  for (const ReadySeen& ready : history.readies) {
    promises.push_back({ready.after_commits, ReadyBroken, ready.at, &ready, nullptr});
  }
  for (const ChangeAcknowledged& change : history.acknowledged) {
    promises.push_back({change.after_commits, ChangeBroken, change.at, nullptr, &change});
  }
  std::stable_sort(promises.begin(), promises.end(), [](const Promise& a, const Promise& b) {
    return a.after_commits < b.after_commits;
  });
  return promises;
}

}  // namespace

Violations CheckNothingAcknowledgedIsLost(const History& history) {
  Violations found;
  const std::vector<Promise> promises = PromisesOf(history);
  auto next = promises.begin();
  StoreReplay store(history);
  const auto judge = [&] {
    for (; next != promises.end() && next->after_commits == store.commits(); ++next) {
      const std::string broken = next->broken(*next, store.fleet());
      if (!broken.empty()) found.push_back({"S5", At(next->at) + broken});
    }
  };
  judge();
  while (store.NextCommit()) {
    judge();
    // What is durable goes only the way that the tables allow.
    for (const std::string& lost : store.vanished()) {
      found.push_back({"S5", At(store.at()) + lost});
    }
  }
  std::map<std::string, absl::Duration> signed_out;
  for (const ChangeAcknowledged& change : history.acknowledged) {
    if (change.kind == ChangeAcknowledged::Kind::kSignOut) signed_out[change.what] = change.at;
  }
  for (const TokenUsed& use : history.tokens_used) {
    const auto at = signed_out.find(use.token_sha256);
    if (use.taken && at != signed_out.end() && use.sent_at > at->second) {
      found.push_back({"S5", At(use.sent_at) + "a token was taken after its sign-out"});
    }
  }
  return found;
}

namespace {

// The edges of the first `events` events.
template <typename State, size_t kStates, size_t kEvents>
std::set<std::pair<int, int>> EdgesOf(const TransitionTable<State, kStates, kEvents>& table,
                                      size_t events = kEvents) {
  std::set<std::pair<int, int>> edges;
  for (size_t from = 0; from < kStates; ++from) {
    for (size_t event = 0; event < events; ++event) {
      const auto& to = table[from][event];
      if (to.has_value()) edges.insert({static_cast<int>(from), static_cast<int>(*to)});
    }
  }
  return edges;
}

// One event of the core writes a record once, after all its steps; a write may be two edges long.
bool Reachable(const std::set<std::pair<int, int>>& edges, int from, int to) {
  if (from == to || edges.count({from, to}) != 0) return true;
  return std::any_of(edges.begin(), edges.end(), [&](const std::pair<int, int>& edge) {
    return edge.first == from && edges.count({edge.second, to}) != 0;
  });
}

}  // namespace

Violations CheckTransitions(const History& history) {
  static const auto kept_edges = EdgesOf(desktop_machine::kTable);
  // The events from there on are for what somebody keeps.
  static const auto clean_edges =
      EdgesOf(desktop_machine::kTable, static_cast<size_t>(DesktopEvent::kRuns));
  static const auto session_edges = EdgesOf(session_machine::kTable);
  Violations found;
  StoreReplay store(history);
  while (store.NextChange()) {
    if (const v1::Desktop* after = store.NewDesktop(); after != nullptr) {
      const v1::Desktop* before = store.OldDesktop();
      const int from = before == nullptr ? v1::DESKTOP_STATE_ABSENT : before->state();
      if (!Reachable(IsKept(*after) ? kept_edges : clean_edges, from, after->state())) {
        found.push_back({"S6", absl::StrCat(At(store.at()), "desktop ", after->id(), " went from ",
                                            StateName(static_cast<v1::DesktopState>(from)), " to ",
                                            StateName(after->state()))});
      }
      if (before != nullptr && after->generation() < before->generation()) {
        found.push_back({"S6", absl::StrCat(At(store.at()), "generation of ", after->id(),
                                            " fell to ", after->generation())});
      }
    }
    if (const v1::Session* after = store.NewSession(); after != nullptr) {
      const v1::Session* before = store.OldSession();
      const int from = before == nullptr ? v1::SESSION_STATE_UNSPECIFIED : before->state();
      if (!Reachable(session_edges, from, after->state())) {
        found.push_back({"S6", absl::StrCat(At(store.at()), "session ", after->id(), " went from ",
                                            StateName(static_cast<v1::SessionState>(from)), " to ",
                                            StateName(after->state()))});
      }
    }
  }
  return found;
}

Violations CheckEpochs(const History& history) {
  Violations found;
  for (const OldCommandSeen& old : history.old_commands) {
    if (!old.obeyed) continue;
    found.push_back({"S7", absl::StrCat(At(old.at), old.host, " obeyed epoch ", old.epoch,
                                        " after epoch ", old.highest)});
  }
  return found;
}

namespace {

// Whether a try of the person proves what this sign-in claims.
bool Proves(const SignInTry& attempt, const v1::SignIn& sign_in, absl::Duration at) {
  return attempt.user == sign_in.user() && attempt.peer == sign_in.peer() && attempt.at <= at &&
         attempt.password_right && attempt.code_step >= 0 &&
         attempt.code_step <= attempt.sent_step && attempt.code_step >= attempt.sent_step - 1;
}

bool IsEntitled(const Fleet& fleet, const std::string& user, const std::string& pool,
                const std::vector<std::string>& groups) {
  for (const auto& entry : fleet.entitlements) {
    const v1::Entitlement& entitlement = entry.record->entitlement();
    if (entitlement.pool() != pool) continue;
    if (!entitlement.user().empty() && entitlement.user() == user) return true;
    for (const std::string& group : groups) {
      if (!entitlement.group().empty() && GroupIs(entitlement.group(), group)) return true;
    }
  }
  return false;
}

}  // namespace

Violations CheckProofOfPerson(const History& history, const Truth& truth) {
  Violations found;
  const std::map<std::string, std::vector<std::string>> groups(truth.groups.begin(),
                                                               truth.groups.end());
  StoreReplay store(history);
  while (store.NextChange()) {
    if (const v1::SignIn* sign_in = store.NewSignIn();
        sign_in != nullptr && store.OldSignIn() == nullptr) {
      const bool proved =
          std::any_of(history.sign_ins.begin(), history.sign_ins.end(),
                      [&](const SignInTry& t) { return Proves(t, *sign_in, store.at()); });
      if (!proved) {
        found.push_back({"S8", absl::StrCat(At(store.at()), "sign-in ", sign_in->id(), " of ",
                                            sign_in->user(), " has no password and code behind")});
      }
    }
    const v1::Session* session = store.NewSession();
    if (session == nullptr || store.OldSession() != nullptr) continue;
    if (store.fleet().sign_ins.Find(session->sign_in()) == nullptr) {
      found.push_back({"S8", absl::StrCat(At(store.at()), "session ", session->id(), " of ",
                                          session->user(), " has no sign-in behind")});
    }
    const auto person = groups.find(session->user());
    if (person == groups.end() ||
        !IsEntitled(store.fleet(), session->user(), session->pool(), person->second)) {
      found.push_back({"S8", absl::StrCat(At(store.at()), session->user(), " got a session in ",
                                          session->pool(), " without entitlement")});
    }
  }
  return found;
}

namespace {

// Whose desktops are, and whose sessions were, as far as the store ever held them.
struct Belongings {
  explicit Belongings(const History& history) {
    StoreReplay store(history);
    while (store.NextChange()) {
      const v1::Desktop* desktop = store.NewDesktop();
      if (desktop != nullptr && !desktop->owner().empty()) owner[desktop->id()] = desktop->owner();
      const v1::Session* session = store.NewSession();
      if (session != nullptr) user[session->id()] = session->user();
    }
  }
  // Whether the person may see on the desktop what that session left there.
  bool MaySee(const std::string& person, const std::string& desktop, const std::string& session) {
    const auto kept = owner.find(desktop);
    const auto left = user.find(session);
    return kept != owner.end() && left != user.end() && kept->second == person &&
           left->second == person;
  }
  std::map<std::string, std::string> owner;
  std::map<std::string, std::string> user;
};

}  // namespace

Violations CheckCleanness(const History& history) {
  Violations found;
  Belongings belongings(history);
  std::map<std::string, std::string> session_of_ticket;
  for (const ReadySeen& ready : history.readies) {
    session_of_ticket[ready.ticket_sha256] = ready.session;
  }
  for (const DisplayGranted& display : history.displays) {
    const auto session = session_of_ticket.find(display.ticket_sha256);
    for (const std::string& before : display.used_before) {
      if (session != session_of_ticket.end() && before == session->second) continue;
      if (belongings.MaySee(display.user, display.desktop, before)) continue;
      found.push_back(
          {"S9", absl::StrCat(At(display.at), display.user, " was shown ", display.desktop, " on ",
                              display.overlay, ", which session ", before, " had used")});
    }
  }
  return found;
}

Violations CheckCodesOnce(const History& history) {
  Violations found;
  std::map<std::tuple<std::string, std::string, int64_t>, std::string> accepted;
  for (const SignInTry& attempt : history.sign_ins) {
    if (!attempt.accepted || attempt.code_step < 0) continue;
    const auto [at, fresh] = accepted.try_emplace(
        {attempt.user, attempt.seed_id, attempt.code_step}, attempt.request_id);
    // The same request may be answered again.
    if (!fresh && at->second != attempt.request_id) {
      found.push_back({"S10", absl::StrCat(At(attempt.at), "code of step ", attempt.code_step,
                                           " of ", attempt.user, " was accepted twice")});
    }
  }
  return found;
}

Violations CheckTickets(const History& history) {
  Violations found;
  std::map<std::string, const ReadySeen*> given;
  for (const ReadySeen& ready : history.readies) given[ready.ticket_sha256] = &ready;
  // A call whose desktop was lost before it was told of it gets another one, or the same made anew;
  // its ticket comes again then. What comes after the person knows the ticket prolongs nothing.
  std::map<std::tuple<std::string, std::string, std::string>, const TicketArrived*> arrived;
  for (const TicketArrived& ticket : history.tickets) {
    const auto ready = given.find(ticket.ticket_sha256);
    const bool known = ready != given.end() && ready->second->at < ticket.at;
    const auto [at, fresh] =
        arrived.try_emplace({ticket.host, ticket.desktop, ticket.ticket_sha256}, &ticket);
    if (!fresh && !known) at->second = &ticket;
  }
  std::map<std::string, const DisplayGranted*> opened;
  for (const DisplayGranted& display : history.displays) {
    const auto fail = [&](const std::string& what) {
      found.push_back(
          {"S11", absl::StrCat(At(display.at), display.user, " at ", display.desktop, ": ", what)});
    };
    const auto ticket = arrived.find({display.host, display.desktop, display.ticket_sha256});
    if (ticket == arrived.end()) {
      fail("a ticket that never came opened the display");
      continue;
    }
    if (display.certificate_sha256 != ticket->second->certificate_sha256) {
      fail("a ticket of another certificate opened it");
    }
    if (const auto ready = given.find(display.ticket_sha256); ready != given.end()) {
      if (ready->second->user != display.user) fail("a ticket of another user opened it");
      if (ready->second->desktop != display.desktop) fail("a ticket for another desktop opened it");
    }
    const auto [first, fresh] = opened.try_emplace(display.ticket_sha256, &display);
    if (!fresh && first->second->viewer != display.viewer) fail("a ticket opened it twice");
    if (fresh && display.at > ticket->second->at + ticket->second->lifetime) {
      fail("a ticket opened it late");
    }
  }
  return found;
}

Violations CheckLiveness(const History& history) {
  Violations found;
  for (const std::string& complaint : history.end.complaints) {
    found.push_back({"liveness", complaint});
  }
  return found;
}

Violations CheckAll(const History& history, const Truth& truth) {
  Violations all;
  const auto add = [&all](Violations more) { all.insert(all.end(), more.begin(), more.end()); };
  add(CheckOneUserOfAGeneration(history));
  add(CheckOneSessionInAPool(history));
  add(CheckOneCopyOfAFencedDesktop(history));
  add(CheckHostLimits(history));
  add(CheckNothingAcknowledgedIsLost(history));
  add(CheckTransitions(history));
  add(CheckMoves(history));
  add(CheckRepeats(history));
  add(CheckEpochs(history));
  add(CheckGrace(history));
  add(CheckProofOfPerson(history, truth));
  add(CheckCleanness(history));
  add(CheckCodesOnce(history));
  add(CheckTickets(history));
  add(CheckAudit(history));
  add(CheckLiveness(history));
  return all;
}

}  // namespace werkplek::sim
