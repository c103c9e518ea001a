#include "broker/core/turn.h"

#include "absl/strings/str_cat.h"
#include "broker/core/access.h"
#include "common/base/crypto.h"

namespace werkplek {

Turn::Turn(BrokerState& state, absl::Time now, absl::string_view entropy)
    : state_(state), now_(now), entropy_(entropy) {}

std::string Turn::FreshHex(size_t digits) { return HexEncode(FreshBytes()).substr(0, digits); }

std::string Turn::FreshTicket() { return Base64UrlEncode(FreshBytes()); }

std::string Turn::FreshBytes() { return Sha256(absl::StrCat(entropy_, "/", fresh_++)); }

bool Turn::Move(DesktopEvent event, v1::Desktop& desktop) {
  const auto next = Next(desktop.state(), event);
  if (!next.has_value()) {
    Count("rejected_transitions", "desktop");
    Note(Severity::kError, "rejected-transition",
         {{"desktop", desktop.id()},
          {"state", std::string(StateName(desktop.state()))},
          {"transition", std::string(EventName(event))}});
    return false;
  }
  desktop.set_state(*next);
  desktop.set_state_since_unix_ms(now_ms());
  return true;
}

bool Turn::Move(SessionEvent event, v1::Session& session) {
  const auto next = Next(session.state(), event);
  if (!next.has_value()) {
    Count("rejected_transitions", "session");
    Note(Severity::kError, "rejected-transition",
         {{"session", session.id()},
          {"state", std::string(StateName(session.state()))},
          {"transition", std::string(EventName(event))}});
    return false;
  }
  session.set_state(*next);
  session.set_state_since_unix_ms(now_ms());
  return true;
}

void Turn::Put(v1::Desktop desktop) {
  const auto before = state_.fleet.desktops.FindShared(desktop.id());
  if (before != nullptr) IndexDesktop(*before, false, state_);
  const auto after = std::make_shared<const v1::Desktop>(std::move(desktop));
  IndexDesktop(*after, true, state_);
  state_.fleet.desktops.Put(after->id(), after);
  state_.timers.Arm(DesktopTimer(after->id()), DesktopDue(state_, *after));
  Write(kDesktopTable, after->id(), after);
  Touch(after->pool());
}

void Turn::Put(v1::Session session) {
  const auto before = state_.fleet.sessions.FindShared(session.id());
  const auto after = std::make_shared<const v1::Session>(std::move(session));
  state_.fleet.sessions.Put(after->id(), after);
  IndexSession(before.get(), after.get(), state_.fleet);
  state_.timers.Arm(SessionTimer(after->id()), SessionDue(state_, *after));
  if (after->state() == v1::SESSION_STATE_ENDED &&
      (before == nullptr || before->state() != v1::SESSION_STATE_ENDED)) {
    state_.ended_sessions.emplace_back(now_, after->id());
    state_.sessions.erase(after->id());
  }
  Write(kSessionTable, after->id(), after);
  Touch(after->pool());
}

void Turn::Put(v1::SignIn sign_in) {
  const auto before = state_.fleet.sign_ins.FindShared(sign_in.id());
  const auto after = std::make_shared<const v1::SignIn>(std::move(sign_in));
  state_.fleet.sign_ins.Put(after->id(), after);
  IndexSignIn(before.get(), after.get(), state_.fleet);
  if (before == nullptr) IndexSignIn(*after, true, state_);
  state_.timers.Arm(SignInTimer(after->id()),
                    SignInEnds(state_.fleet, *after, state_.settings, now_));
  Write(kSignInTable, after->id(), after);
}

void Turn::Put(v1::TokenEnrolment token) {
  const auto after = std::make_shared<const v1::TokenEnrolment>(std::move(token));
  if (state_.fleet.tokens.Find(after->user()) == nullptr) IndexToken(*after, state_.fleet);
  state_.fleet.tokens.Put(after->user(), after);
  Write(kTokenTable, after->user(), after);
}

void Turn::Put(v1::AnsweredRequest answered) {
  const auto after = std::make_shared<const v1::AnsweredRequest>(std::move(answered));
  if (const auto before = state_.fleet.answered.FindShared(after->key())) {
    IndexAnswered(*before, false, state_);
  }
  state_.fleet.answered.Put(after->key(), after);
  IndexAnswered(*after, true, state_);
  state_.answered.emplace_back(now_, after->key());
  Write(kAnsweredTable, after->key(), after);
}

void Turn::Put(v1::Revocation revocation) {
  const auto after = std::make_shared<const v1::Revocation>(std::move(revocation));
  state_.fleet.revocations.Put(after->peer(), after);
  Write(kRevocationTable, after->peer(), after);
}

void Turn::Put(v1::SiteLoss loss) {
  const auto after = std::make_shared<const v1::SiteLoss>(std::move(loss));
  state_.fleet.site_losses.Put(after->site(), after);
  Write(kSiteLossTable, after->site(), after);
}

void Turn::Put(v1::ResourceKind kind, v1::Resource resource) {
  const auto after = std::make_shared<const v1::Resource>(std::move(resource));
  ResourceTable(state_.fleet, kind)->Put(after->name(), after);
  Write(ResourceTableName(kind), after->name(), after);
  ++state_.capacity_version;
}

void Turn::EraseDesktop(const std::string& id) {
  const auto before = state_.fleet.desktops.FindShared(id);
  if (before == nullptr) return;
  IndexDesktop(*before, false, state_);
  state_.fleet.desktops.Erase(id);
  state_.timers.Arm(DesktopTimer(id), absl::InfiniteFuture());
  state_.sent.erase(state_.sent.lower_bound({id, 0}),
                    state_.sent.upper_bound({id, v1::CommandVerb_MAX}));
  Write(kDesktopTable, id, nullptr);
  Touch(before->pool());
}

void Turn::EraseSession(const std::string& id) {
  const auto before = state_.fleet.sessions.FindShared(id);
  if (before == nullptr) return;
  state_.fleet.sessions.Erase(id);
  IndexSession(before.get(), nullptr, state_.fleet);
  state_.timers.Arm(SessionTimer(id), absl::InfiniteFuture());
  state_.sessions.erase(id);
  Write(kSessionTable, id, nullptr);
}

void Turn::EraseSignIn(const std::string& id) {
  const auto before = state_.fleet.sign_ins.FindShared(id);
  if (before == nullptr) return;
  state_.fleet.sign_ins.Erase(id);
  IndexSignIn(before.get(), nullptr, state_.fleet);
  IndexSignIn(*before, false, state_);
  state_.timers.Arm(SignInTimer(id), absl::InfiniteFuture());
  Write(kSignInTable, id, nullptr);
}

void Turn::EraseAnswered(const std::string& key) {
  const auto before = state_.fleet.answered.FindShared(key);
  if (before == nullptr) return;
  state_.fleet.answered.Erase(key);
  IndexAnswered(*before, false, state_);
  Write(kAnsweredTable, key, nullptr);
}

void Turn::EraseSiteLoss(const std::string& site) {
  if (state_.fleet.site_losses.Erase(site)) Write(kSiteLossTable, site, nullptr);
}

void Turn::EraseResource(v1::ResourceKind kind, const std::string& name) {
  if (!ResourceTable(state_.fleet, kind)->Erase(name)) return;
  Write(ResourceTableName(kind), name, nullptr);
  ++state_.capacity_version;
}

void Turn::Audit(absl::string_view actor, absl::string_view action, absl::string_view object,
                 absl::string_view result, absl::string_view origin, LogFields more) {
  auto record = std::make_shared<v1::AuditRecord>();
  record->set_sequence(++state_.fleet.audit_sequence);
  record->set_time_unix_ms(now_ms());
  record->set_actor(std::string(actor));
  record->set_action(std::string(action));
  record->set_object(std::string(object));
  record->set_result(std::string(result));
  record->set_origin(std::string(origin));
  Write(kAuditTable, AuditKey(record->sequence()), record);
  LogFields fields = {{"actor", record->actor()},
                      {"object", record->object()},
                      {"result", record->result()},
                      {"origin", record->origin()}};
  for (auto& field : more) fields.push_back(std::move(field));
  Note(result == "ok" ? Severity::kInfo : Severity::kWarning, action, std::move(fields));
}

void Turn::Note(Severity severity, absl::string_view event, LogFields fields) {
  Emit(LogEvent{severity, std::string(event), std::move(fields)});
}

void Turn::Count(absl::string_view what, absl::string_view label) {
  Emit(Counted{std::string(what), std::string(label)});
}

void Turn::Answer(CallId call, absl::Status status) {
  Emit(Reply{call, std::move(status), nullptr});
}

void Turn::Answer(CallId call, std::shared_ptr<const google::protobuf::Message> response) {
  Emit(Reply{call, absl::OkStatus(), std::move(response)});
}

void Turn::Touch(const std::string& pool) {
  const v1::Resource* record = state_.fleet.pools.Find(pool);
  touched_.emplace(record == nullptr ? 0 : -int64_t{record->pool().priority()}, pool);
}

void Turn::TouchAllPools() {
  for (const auto& [name, pool] : state_.pools) Touch(name);
}

std::string Turn::PopTouched() {
  if (touched_.empty()) return "";
  return std::move(touched_.extract(touched_.begin()).value().second);
}

void Turn::Write(absl::string_view table, const std::string& key, Record record) {
  const auto [at, fresh] = written_.try_emplace({table, key}, writes_.size());
  if (fresh) {
    writes_.emplace_back(std::make_pair(table, key), std::move(record));
  } else {
    writes_[at->second].second = std::move(record);
  }
}

Decision Turn::Finish() {
  Decision decision;
  decision.changes.reserve(writes_.size());
  for (const auto& [name, record] : writes_) {
    v1::Change& change = decision.changes.emplace_back();
    change.set_table(std::string(name.first));
    change.set_key(name.second);
    if (record != nullptr) record->SerializeToString(change.mutable_value());
  }
  if (!decision.changes.empty()) ++state_.fleet.revision;
  decision.effects = std::move(effects_);
  return decision;
}

std::string Origin(const Caller& caller) { return absl::StrCat(caller.peer, " ", caller.address); }

}  // namespace werkplek
