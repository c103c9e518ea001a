// One Apply in the making: the writes to the fleet and its indexes, and the effects.
//
// Everything that changes a hard record goes through here, so that the indexes, the timers and the
// change set can never disagree. The families of events (sign_in.h, connect.h, ...) are functions
// over a Turn.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "broker/core/effect.h"
#include "broker/core/event.h"
#include "broker/core/state.h"
#include "broker/model/desktop_machine.h"
#include "broker/model/session_machine.h"

namespace werkplek {

using LogFields = std::vector<std::pair<std::string, std::string>>;

class Turn {
 public:
  Turn(BrokerState& state, absl::Time now, absl::string_view entropy);
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  BrokerState& state() { return state_; }
  const BrokerState& state() const { return state_; }
  const Fleet& fleet() const { return state_.fleet; }
  const BrokerSettings& settings() const { return state_.settings; }
  absl::Time now() const { return now_; }
  int64_t now_ms() const { return absl::ToUnixMillis(now_); }

  // `digits` hexadecimal digits (at most 64) from the event's entropy, different at each call.
  std::string FreshHex(size_t digits);
  // A ticket like those that come with calls.
  std::string FreshTicket();

  // False, counted and logged: the table has no such edge; the record is then as it was.
  bool Move(DesktopEvent event, v1::Desktop& desktop);
  bool Move(SessionEvent event, v1::Session& session);

  void Put(v1::Desktop desktop);
  void Put(v1::Session session);
  void Put(v1::SignIn sign_in);
  void Put(v1::TokenEnrolment token);
  void Put(v1::AnsweredRequest answered);
  void Put(v1::Revocation revocation);
  void Put(v1::SiteLoss loss);
  void Put(v1::ResourceKind kind, v1::Resource resource);
  void EraseDesktop(const std::string& id);
  void EraseSession(const std::string& id);
  void EraseSignIn(const std::string& id);
  void EraseAnswered(const std::string& key);
  void EraseSiteLoss(const std::string& site);
  void EraseResource(v1::ResourceKind kind, const std::string& name);

  // Whether this turn has written the desktop: what stands there now is not durable yet.
  bool Wrote(const std::string& desktop) const {
    return written_.count({kDesktopTable, desktop}) != 0;
  }

  // One decision, for those who check: the record and a line in the log. Never a secret.
  void Audit(absl::string_view actor, absl::string_view action, absl::string_view object,
             absl::string_view result, absl::string_view origin, LogFields more = {});
  void Note(Severity severity, absl::string_view event, LogFields fields);
  void Count(absl::string_view what, absl::string_view label);
  void Emit(Effect effect) { effects_.push_back(std::move(effect)); }
  void Answer(CallId call, absl::Status status);
  void Answer(CallId call, std::shared_ptr<const google::protobuf::Message> response);

  // The pool is to be served before the turn ends: people assigned, size kept.
  void Touch(const std::string& pool);
  void TouchAllPools();
  // Takes the touched pool of the highest priority, the first by name of several; empty: none.
  std::string PopTouched();

  Decision Finish();

 private:
  using Record = std::shared_ptr<const google::protobuf::Message>;

  // 32 bytes from the event's entropy, different at each call.
  std::string FreshBytes();
  void Write(absl::string_view table, const std::string& key, Record record);

  BrokerState& state_;
  const absl::Time now_;
  const std::string entropy_;
  uint64_t fresh_ = 0;
  // In the order of the first write; a record that is written again keeps its place.
  std::vector<std::pair<std::pair<absl::string_view, std::string>, Record>> writes_;
  std::map<std::pair<absl::string_view, std::string>, size_t> written_;
  std::vector<Effect> effects_;
  // By falling priority.
  std::set<std::pair<int64_t, std::string>> touched_;
};

// "client/tc-017 192.0.2.7:51234".
std::string Origin(const Caller& caller);

}  // namespace werkplek
