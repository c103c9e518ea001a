// What must never happen, judged after every decision of a driven broker.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "broker/core/access.h"
#include "broker/model/desktop_machine.h"
#include "broker/model/kept.h"
#include "broker/model/names.h"
#include "broker/model/session_machine.h"
#include "tests/unit/broker/core/driver.h"

namespace werkplek {

// Whether `to` can be reached from `from` by at most `steps` legal edges.
template <typename State, typename Event, size_t kEvents>
bool Reaches(State from, State to, int steps) {
  if (from == to) return true;
  if (steps == 0) return false;
  for (size_t event = 0; event < kEvents; ++event) {
    const auto next = Next(from, static_cast<Event>(event));
    if (next && Reaches<State, Event, kEvents>(*next, to, steps - 1)) return true;
  }
  return false;
}

// Judges S1, S2, S4, S6, S8, S9 and S10 after each decision, from what was decided alone.
class Promises {
 public:
  explicit Promises(Driver& driver) : driver_(driver) {}

  void Judge(const Decision& decision) {
    for (const v1::Change& change : decision.changes) JudgeChange(change);
    for (const Effect& effect : decision.effects) {
      if (const auto* sent = std::get_if<SendCommand>(&effect)) JudgeCommand(*sent);
      const auto* counted = std::get_if<Counted>(&effect);
      if (counted == nullptr) continue;
      EXPECT_NE(counted->what, "rejected_transitions") << counted->label;  // S6
    }
    JudgeSessions();
    JudgeHosts();
  }

  void JudgeStore() {
    const Fleet& a = driver_.fleet();
    const Fleet& b = driver_.stored();
    Same(a.desktops, b.desktops);
    Same(a.sessions, b.sessions);
    Same(a.sign_ins, b.sign_ins);
    Same(a.tokens, b.tokens);
    Same(a.answered, b.answered);
    Same(a.pools, b.pools);
    Same(a.hosts, b.hosts);
    EXPECT_EQ(a.audit_sequence, b.audit_sequence);
    EXPECT_EQ(a.live_sessions.size(), b.live_sessions.size());
    EXPECT_EQ(a.sign_in_by_token.size(), b.sign_in_by_token.size());
  }

  // Administrators may reset desktops from now on.
  bool allow_reset = false;

 private:
  template <typename Record>
  void Same(const Table<Record>& a, const Table<Record>& b) {
    ASSERT_EQ(a.size(), b.size());
    auto other = b.begin();
    for (const auto& entry : a) {
      ASSERT_EQ(entry.key, other->key);
      ASSERT_EQ(entry.record->SerializeAsString(), other->record->SerializeAsString());
      ++other;
    }
  }

  void JudgeChange(const v1::Change& change) {
    if (change.table() == kDesktopTable) JudgeDesktop(change);
    if (change.table() == kSessionTable) JudgeSession(change);
    if (change.table() == kTokenTable && change.has_value()) JudgeToken(change);
    if (change.table() == kAuditTable) {
      EXPECT_EQ(change.key(), AuditKey(++audit_)) << "a hole in the audit";
    }
  }

  void JudgeDesktop(const v1::Change& change) {
    const v1::DesktopState before = desktop_states_[change.key()];
    if (!change.has_value()) {
      EXPECT_EQ(kept_.count(change.key()), 0u) << change.key() << " was kept, and is gone";
      EXPECT_TRUE((Reaches<v1::DesktopState, DesktopEvent, kDesktopEvents>(
                      before, v1::DESKTOP_STATE_ABSENT, 1)) ||
                  before == v1::DESKTOP_STATE_LOST)
          << StateName(before);
      desktop_states_.erase(change.key());
      return;
    }
    v1::Desktop desktop;
    ASSERT_TRUE(desktop.ParseFromString(change.value()));
    EXPECT_TRUE(
        (Reaches<v1::DesktopState, DesktopEvent, kDesktopEvents>(before, desktop.state(), 4)))
        << StateName(before) << " to " << StateName(desktop.state());  // S6
    if (desktop.state() == v1::DESKTOP_STATE_READY && desktop.owner().empty()) {
      EXPECT_EQ(desktop.proof().generation(), desktop.generation()) << desktop.id();  // S9
    }
    desktop_states_[change.key()] = desktop.state();
    JudgeKept(desktop);
  }

  // What somebody keeps stays his or hers, is made fresh by an administrator only, and starts on
  // another host only when its last generation is fenced; alive it goes only where it was committed
  // to move to. `allow_reset`: an administrator asked.
  void JudgeKept(const v1::Desktop& desktop) {
    const auto before = kept_.find(desktop.id());
    if (before != kept_.end()) {
      const v1::Desktop& was = before->second;
      EXPECT_EQ(desktop.owner(), was.owner()) << desktop.id();
      EXPECT_NE(desktop.state(), v1::DESKTOP_STATE_STOPPING) << desktop.id();
      const bool moved = !was.moving_to().empty() && was.moving_to() == desktop.host() &&
                         was.generation() == desktop.generation();
      EXPECT_TRUE(was.host() == desktop.host() || moved ||
                  desktop.fenced_generation() >= was.generation())
          << desktop.id() << " went from " << was.host() << " to " << desktop.host();
      if (was.host() != desktop.host() && !moved) {
        EXPECT_GT(desktop.generation(), was.generation());
      }
      if (!allow_reset) {
        EXPECT_EQ(desktop.proof().generation(), was.proof().generation()) << desktop.id();
      }
    }
    if (IsKept(desktop)) kept_[desktop.id()] = desktop;
  }

  void JudgeSession(const v1::Change& change) {
    if (!change.has_value()) return;
    v1::Session session;
    ASSERT_TRUE(session.ParseFromString(change.value()));
    const v1::SessionState before = session_states_[change.key()];
    EXPECT_TRUE(
        (Reaches<v1::SessionState, SessionEvent, kSessionEvents>(before, session.state(), 4)))
        << StateName(before) << " to " << StateName(session.state());  // S6
    session_states_[change.key()] = session.state();
    if (before != v1::SESSION_STATE_UNSPECIFIED) return;
    // New: S1, S8, S9.
    const std::string body = absl::StrCat(session.desktop(), "/", session.generation());
    const v1::Desktop* desktop = driver_.fleet().desktops.Find(session.desktop());
    const bool kept = desktop != nullptr && !desktop->owner().empty();
    const bool fresh = users_.try_emplace(body, session.user()).second;
    EXPECT_TRUE(fresh || (kept && users_[body] == session.user()))
        << body << " served " << users_[body] << ", now " << session.user();
    const v1::SignIn* sign_in = driver_.fleet().sign_ins.Find(session.sign_in());
    ASSERT_NE(sign_in, nullptr) << "a session without a sign-in";
    EXPECT_EQ(sign_in->user(), session.user());
    EXPECT_GT(SignInEnds(driver_.fleet(), *sign_in, {}, driver_.now), driver_.now);
    const Entitled entitled(*sign_in);
    bool may = false;
    for (const auto& entry : driver_.fleet().entitlements) {
      const auto& entitlement = entry.record->entitlement();
      may = may || (entitlement.pool() == session.pool() && entitled.By(entitlement));
    }
    EXPECT_TRUE(may) << session.user() << " in " << session.pool();
    if (desktop == nullptr) return;
    if (kept) {
      EXPECT_EQ(desktop->owner(), session.user()) << desktop->id();
      return;
    }
    const auto& proof = desktop->proof();
    const std::string overlay = absl::StrCat(desktop->host(), "/", proof.overlay_identity(), "/",
                                             proof.overlay_created_unix_ns());
    EXPECT_TRUE(overlays_.insert(overlay).second) << overlay << " was used before";
  }

  void JudgeToken(const v1::Change& change) {
    v1::TokenEnrolment token;
    ASSERT_TRUE(token.ParseFromString(change.value()));
    EXPECT_GE(token.last_step(), steps_[change.key()]);  // S10
    steps_[change.key()] = token.last_step();
  }

  void JudgeSessions() {
    std::set<std::string> live;
    std::map<std::string, std::string> by_desktop;
    for (const auto& entry : driver_.fleet().sessions) {
      const v1::Session& session = *entry.record;
      if (session.state() == v1::SESSION_STATE_ENDED) continue;
      EXPECT_TRUE(live.insert(LiveSessionKey(session.user(), session.pool())).second)
          << session.user() << " has two sessions in " << session.pool();  // S2
      EXPECT_TRUE(by_desktop.emplace(session.desktop(), session.id()).second);
      const v1::Desktop* desktop = driver_.fleet().desktops.Find(session.desktop());
      ASSERT_NE(desktop, nullptr);
      EXPECT_EQ(desktop->state(), v1::DESKTOP_STATE_ASSIGNED) << session.ShortDebugString();
      EXPECT_EQ(desktop->session(), session.id());
    }
    for (const auto& entry : driver_.fleet().desktops) {
      const bool assigned = entry.record->state() == v1::DESKTOP_STATE_ASSIGNED;
      EXPECT_EQ(assigned, by_desktop.count(entry.key) == 1) << entry.record->ShortDebugString();
    }
  }

  // A host is never told to remove what may be the only copy of somebody's desktop, and a desktop
  // is told to move to one host only, the one that is committed.
  void JudgeCommand(const SendCommand& sent) {
    const v1::Desktop* desktop = driver_.fleet().desktops.Find(sent.command.desktop());
    if (desktop == nullptr || desktop->generation() != sent.command.generation()) return;
    if (sent.command.verb() == v1::COMMAND_MIGRATE) {
      EXPECT_EQ(sent.host, desktop->host());
      EXPECT_EQ(sent.command.move_to(), desktop->moving_to());
      EXPECT_NE(sent.command.migration_uri(), "");
    }
    if (sent.command.verb() != v1::COMMAND_REMOVE ||
        desktop->state() != v1::DESKTOP_STATE_ASSIGNED) {
      return;
    }
    EXPECT_NE(sent.host, desktop->host()) << desktop->ShortDebugString();
    EXPECT_NE(sent.host, desktop->moving_to()) << desktop->ShortDebugString();
  }

  // S4. What moves may be on either host.
  void JudgeHosts() {
    struct Use {
      uint64_t memory = 0;
      uint32_t desktops = 0;
      uint32_t starts = 0;
    };
    std::map<std::string, Use> uses;
    for (const auto& entry : driver_.fleet().desktops) {
      Use& use = uses[entry.record->host()];
      use.memory += entry.record->memory_mib();
      ++use.desktops;
      use.starts += IsStarting(entry.record->state()) ? 1 : 0;
      if (entry.record->moving_to().empty()) continue;
      uses[entry.record->moving_to()].memory += entry.record->memory_mib();
      ++uses[entry.record->moving_to()].desktops;
    }
    for (const auto& [name, use] : uses) {
      const v1::Resource* host = driver_.fleet().hosts.Find(name);
      ASSERT_NE(host, nullptr);
      EXPECT_LE(use.memory, host->host().memory_limit_mib()) << name;
      EXPECT_LE(use.desktops, host->host().max_desktops()) << name;
      EXPECT_LE(use.starts, host->host().max_starts_in_flight()) << name;
    }
  }

  Driver& driver_;
  std::map<std::string, v1::DesktopState> desktop_states_;
  std::map<std::string, v1::Desktop> kept_;
  std::map<std::string, v1::SessionState> session_states_;
  std::map<std::string, std::string> users_;
  std::set<std::string> overlays_;
  std::map<std::string, int64_t> steps_;
  uint64_t audit_ = 0;
};

}  // namespace werkplek
