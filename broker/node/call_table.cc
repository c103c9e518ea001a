#include "broker/node/call_table.h"

namespace werkplek {

CallId CallTable::AddEntry(Entry entry) {
  MutexLock lock(mutex_);
  entries_.emplace(next_, std::move(entry));
  return next_++;
}

CallId CallTable::Add(ReplyCallback done) { return AddEntry(std::move(done)); }

CallId CallTable::Add(ConnectCallback update) {
  return AddEntry(std::make_shared<ConnectCallback>(std::move(update)));
}

CallId CallTable::Add(AuditCallback done) { return AddEntry(std::move(done)); }

bool CallTable::Take(CallId call, Entry& entry) {
  MutexLock lock(mutex_);
  const auto at = entries_.find(call);
  if (at == entries_.end()) return false;
  entry = std::move(at->second);
  entries_.erase(at);
  return true;
}

void CallTable::FailEntry(Entry& entry, const absl::Status& why) {
  if (auto* reply = std::get_if<ReplyCallback>(&entry)) (*reply)(why);
  if (auto* connect = std::get_if<Connect>(&entry)) (**connect)(why, true);
  if (auto* audit = std::get_if<AuditCallback>(&entry)) (*audit)(why);
}

void CallTable::Answer(CallId call, absl::StatusOr<MessagePointer> answer) {
  Entry entry;
  if (!Take(call, entry)) return;
  if (auto* reply = std::get_if<ReplyCallback>(&entry); reply != nullptr && answer.ok()) {
    (*reply)(std::move(answer));
  } else {
    FailEntry(entry, answer.ok() ? absl::InternalError("answered like another kind of call")
                                 : answer.status());
  }
}

void CallTable::AnswerAudit(CallId call, absl::StatusOr<std::vector<v1::AuditRecord>> records) {
  Entry entry;
  if (!Take(call, entry)) return;
  if (auto* audit = std::get_if<AuditCallback>(&entry)) (*audit)(std::move(records));
}

void CallTable::Fail(CallId call, const absl::Status& why) {
  Entry entry;
  if (Take(call, entry)) FailEntry(entry, why);
}

void CallTable::Progress(CallId call, const v1::ConnectUpdate& update, bool last) {
  Connect connect;
  {
    MutexLock lock(mutex_);
    const auto at = entries_.find(call);
    if (at == entries_.end() || !std::holds_alternative<Connect>(at->second)) return;
    connect = std::get<Connect>(at->second);
    if (last) entries_.erase(at);
  }
  (*connect)(update, last);
}

void CallTable::FailAll(const absl::Status& why) {
  std::map<CallId, Entry> all;
  {
    MutexLock lock(mutex_);
    all.swap(entries_);
  }
  for (auto& [call, entry] : all) FailEntry(entry, why);
}

bool CallTable::Forget(CallId call) {
  Entry entry;
  return Take(call, entry);
}

bool CallTable::Waits(CallId call) const {
  MutexLock lock(mutex_);
  return entries_.count(call) != 0;
}

}  // namespace werkplek
