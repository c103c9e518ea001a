// The calls that wait for an answer. Each is answered at most once after it was added, and never
// after it was forgotten. Thread-safe; callbacks run on the calling thread, without a lock held.
#pragma once

#include <map>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "broker/node/broker_node.h"
#include "common/base/mutex.h"

namespace werkplek {

class CallTable {
 public:
  using AuditCallback = absl::AnyInvocable<void(absl::StatusOr<std::vector<v1::AuditRecord>>)>;

  CallId Add(ReplyCallback done);
  CallId Add(ConnectCallback update);
  CallId Add(AuditCallback done);

  // Answers a call, or fails it, and forgets it. Nothing when it is not there (any more).
  void Answer(CallId call, absl::StatusOr<MessagePointer> answer);
  void AnswerAudit(CallId call, absl::StatusOr<std::vector<v1::AuditRecord>> records);
  void Fail(CallId call, const absl::Status& why);
  // One message of a Connect; `last` forgets it.
  void Progress(CallId call, const v1::ConnectUpdate& update, bool last);
  // Fails all, in the order in which they were added.
  void FailAll(const absl::Status& why);

  // The caller has gone. False: it was not there.
  bool Forget(CallId call);
  bool Waits(CallId call) const;

 private:
  // Shared, so that a message may be under way while the call is forgotten.
  using Connect = std::shared_ptr<ConnectCallback>;
  using Entry = std::variant<ReplyCallback, Connect, AuditCallback>;

  CallId AddEntry(Entry entry);
  // Removes it; false: it is not there.
  bool Take(CallId call, Entry& entry);
  static void FailEntry(Entry& entry, const absl::Status& why);

  mutable Mutex mutex_;
  CallId next_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<CallId, Entry> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace werkplek
