#include "broker/store/etcd_session.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "broker/etcd/etcd_requests.h"
#include "broker/store/store_rules.h"
#include "common/base/crypto.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

using etcdserverpb::KeyValue;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;

constexpr absl::Duration kPause = absl::Milliseconds(50);
// Epochs that others may take while this broker attaches.
constexpr int kMaxAttachRounds = 8;
constexpr int64_t kRecordPage = 1000;
constexpr int64_t kLogPage = 16;
constexpr int64_t kAuditPage = 32;

// What a read leaves open does not matter.
absl::Status NothingDone(const absl::Status& status) {
  return absl::IsUnknown(status) ? absl::UnavailableError(status.message()) : status;
}

bool IsAudit(const v1::Change& change) { return change.table() == std::string(kAuditTable); }

}  // namespace

EtcdSession::EtcdSession(EtcdStoreSettings settings, EtcdClient* client,
                         std::function<bool(absl::Duration)> wait)
    : settings_(std::move(settings)),
      client_(client),
      keys_(client->settings().prefix),
      wait_(std::move(wait)) {}

absl::StatusOr<TxnResponse> EtcdSession::Send(const TxnRequest& txn, absl::Duration limit) {
  // Long enough for the members to elect a leader among them.
  const auto until = std::chrono::steady_clock::now() +
                     absl::ToChronoNanoseconds(std::min(limit, settings_.commit_limit));
  for (;;) {
    absl::StatusOr<TxnResponse> answer = client_->TxnAndWait(txn, EtcdRepeat::kAlways, limit);
    const bool open = absl::IsUnknown(answer.status()) || absl::IsUnavailable(answer.status());
    if (!open || !wait_(kPause) || std::chrono::steady_clock::now() >= until) return answer;
  }
}

// --- attaching ---

absl::Status EtcdSession::Attach(uint64_t epoch) {
  if (attached_.has_value() && attached_->epoch == epoch) return absl::OkStatus();
  if (attached_.has_value()) RETURN_IF_ERROR(CheckEpoch(epoch, attached_->epoch));
  attached_.reset();
  folding_.reset();
  for (int round = 0; round < kMaxAttachRounds; ++round) {
    bool again = false;
    absl::StatusOr<Attached> attached = AttachOnce(epoch, again);
    if (again) continue;
    RETURN_IF_ERROR(attached.status());
    RETURN_IF_ERROR(ReadSegment(*attached));
    RETURN_IF_ERROR(ReadLog(*attached));
    attached_ = *std::move(attached);
    return absl::OkStatus();
  }
  return absl::UnavailableError("other brokers claim the lead all the time");
}

absl::StatusOr<EtcdSession::Attached> EtcdSession::AttachOnce(uint64_t epoch, bool& again) {
  TxnRequest txn;
  IfValue(txn, keys_.epoch, EncodeNumber(epoch));
  IfValue(txn, keys_.schema, settings_.schema);
  ThenRange(txn, keys_.head);
  ThenRange(txn, keys_.audit_tail);
  ElseRange(txn, keys_.epoch);
  ElseRange(txn, keys_.schema);
  ReadThroughLog(txn, keys_.never);
  ASSIGN_OR_RETURN(const TxnResponse answer, Send(txn, settings_.read_limit));
  if (!answer.succeeded()) {
    const KeyValue* schema = OneKey(answer, 1);
    const std::string known = schema == nullptr ? "" : schema->value();
    if (known != settings_.schema) {
      RETURN_IF_ERROR(CheckEtcdSchema(known, client_->settings().prefix));
    }
    ASSIGN_OR_RETURN(const uint64_t found, DecodeNumber(OneKey(answer, 0)));
    RETURN_IF_ERROR(CheckEpoch(epoch, found));
    RETURN_IF_ERROR(TakeEpoch(epoch, found, known));
    again = true;
    return absl::UnavailableError("");
  }
  Attached attached;
  attached.epoch = epoch;
  attached.revision = answer.header().revision();
  ASSIGN_OR_RETURN(attached.head, DecodeHead(OneKey(answer, 0)));
  ASSIGN_OR_RETURN(attached.folded_audit, DecodeNumber(OneKey(answer, 1)));
  attached.last_audit = attached.folded_audit;
  return attached;
}

absl::Status EtcdSession::TakeEpoch(uint64_t epoch, uint64_t found, absl::string_view schema) {
  TxnRequest txn;
  if (found == 0) {
    IfAbsent(txn, keys_.epoch);
  } else {
    IfValue(txn, keys_.epoch, EncodeNumber(found));
  }
  if (schema.empty()) {
    IfAbsent(txn, keys_.schema);
    ThenPut(txn, keys_.schema, kEtcdSchema);
  } else {
    IfValue(txn, keys_.schema, schema);
  }
  ThenPut(txn, keys_.epoch, EncodeNumber(epoch));
  // Whether it was this one or another that moved the epoch shows in the next round.
  return Send(txn, settings_.read_limit).status();
}

absl::Status EtcdSession::ReadSegment(Attached& attached) {
  if (attached.folded_audit == 0) return absl::OkStatus();
  const std::string number = EncodeNumber(attached.folded_audit);
  bool found = false;
  RETURN_IF_ERROR(ReadRange(keys_.audit + number, "", attached.revision, attached.epoch, 1,
                            [&](const KeyValue& kv) -> absl::Status {
                              ASSIGN_OR_RETURN(const std::string content,
                                               OpenValue(kAuditTable, number, kv.value()));
                              found = attached.segment.ParseFromString(content);
                              return absl::OkStatus();
                            }));
  return found ? absl::OkStatus() : DamagedInEtcd(kAuditTable, number);
}

absl::Status EtcdSession::ReadLog(Attached& attached) {
  uint64_t next = 0;
  RETURN_IF_ERROR(ReadRange(keys_.log, EtcdPrefixEnd(keys_.log), attached.revision, attached.epoch,
                            kLogPage, [&](const KeyValue& kv) -> absl::Status {
                              uint64_t number = 0;
                              const std::string name = kv.key().substr(keys_.log.size());
                              if (!absl::SimpleAtoi(name, &number) ||
                                  (next != 0 && number != next)) {
                                return DamagedInEtcd("commit", name);
                              }
                              next = number + 1;
                              return TakeEntry(attached, kv);
                            }));
  if (next != 0 && next != attached.head.commits + 1) {
    return DamagedInEtcd("commit", EncodeNumber(attached.head.commits));
  }
  return absl::OkStatus();
}

absl::Status EtcdSession::TakeEntry(Attached& attached, const KeyValue& kv) {
  const std::string name = kv.key().substr(keys_.log.size());
  ASSIGN_OR_RETURN(const std::string content, OpenValue("commit", name, kv.value()));
  etcd::LogEntry entry;
  if (!entry.ParseFromString(content)) return DamagedInEtcd("commit", name);
  if (entry.staged_parts() > 0) {
    attached.staged = true;
    const std::string begin = absl::StrCat(keys_.stage, entry.staged_at(), "/");
    uint32_t parts = 0;
    RETURN_IF_ERROR(ReadRange(begin, EtcdPrefixEnd(begin), attached.revision, attached.epoch,
                              kLogPage, [&](const KeyValue& part) -> absl::Status {
                                const std::string part_name = part.key().substr(keys_.stage.size());
                                ASSIGN_OR_RETURN(const std::string bytes,
                                                 OpenValue("part", part_name, part.value()));
                                etcd::LogEntry staged;
                                if (!staged.ParseFromString(bytes))
                                  return DamagedInEtcd("part", part_name);
                                ++parts;
                                for (v1::Change& change : *staged.mutable_changes()) {
                                  TakeChange(attached, std::move(change));
                                }
                                return absl::OkStatus();
                              }));
    if (parts != entry.staged_parts()) return DamagedInEtcd("commit", name);
  }
  for (v1::Change& change : *entry.mutable_changes()) TakeChange(attached, std::move(change));
  ++attached.entries;
  attached.bytes += kv.value().size();
  return absl::OkStatus();
}

void EtcdSession::TakeChange(Attached& attached, v1::Change change) {
  if (!IsAudit(change)) {
    auto& value = attached.changed[{change.table(), change.key()}];
    value.reset();
    if (change.has_value()) value = std::move(*change.mutable_value());
    return;
  }
  const absl::StatusOr<uint64_t> sequence = AuditSequence(change.key());
  // A fold that was cut short has left it in the log too.
  if (!sequence.ok() || *sequence <= attached.last_audit) return;
  attached.last_audit = *sequence;
  attached.audit.emplace_back();
  attached.audit.back().set_sequence(*sequence);
  attached.audit.back().set_record(std::move(*change.mutable_value()));
}

// --- reading ---

absl::Status EtcdSession::ReadRange(absl::string_view key, absl::string_view end, int64_t revision,
                                    uint64_t epoch, int64_t page,
                                    const std::function<absl::Status(const KeyValue&)>& take) {
  std::string from(key);
  for (;;) {
    TxnRequest txn;
    if (epoch != 0) IfValue(txn, keys_.epoch, EncodeNumber(epoch));
    ThenRange(txn, from, end, page)->set_revision(revision);
    ElseRange(txn, keys_.epoch);
    const absl::StatusOr<TxnResponse> answer = Send(txn, settings_.read_limit);
    if (absl::IsAborted(answer.status()) && page > 1) {
      page /= 2;
      continue;
    }
    RETURN_IF_ERROR(answer.status());
    if (!answer->succeeded()) {
      ASSIGN_OR_RETURN(const uint64_t newest, DecodeNumber(OneKey(*answer, 0)));
      RETURN_IF_ERROR(CheckEpoch(epoch, newest));
      return absl::UnavailableError("etcd tells two things of one epoch; try again");
    }
    const auto& range = answer->responses(0).response_range();
    for (const KeyValue& kv : range.kvs()) RETURN_IF_ERROR(take(kv));
    if (!range.more() || range.kvs().empty()) return absl::OkStatus();
    from = range.kvs(range.kvs_size() - 1).key() + std::string(1, '\0');
  }
}

absl::Status EtcdSession::ReadRecords(uint64_t guard, const TakeRecord& take) {
  RETURN_IF_ERROR(ReadRange(keys_.record, EtcdPrefixEnd(keys_.record), attached_->revision, guard,
                            kRecordPage, [&](const KeyValue& kv) -> absl::Status {
                              ASSIGN_OR_RETURN(
                                  v1::Change change,
                                  DecodeRecord(kv.key().substr(keys_.record.size()), kv.value()));
                              if (attached_->changed.count({change.table(), change.key()}) != 0)
                                return absl::OkStatus();
                              return take(change);
                            }));
  for (const auto& [record, value] : attached_->changed) {
    if (!value.has_value()) continue;
    v1::Change change;
    change.set_table(record.first);
    change.set_key(record.second);
    change.set_value(*value);
    RETURN_IF_ERROR(take(change));
  }
  return absl::OkStatus();
}

absl::StatusOr<Fleet> EtcdSession::Load(uint64_t epoch) {
  Fleet fleet;
  // Anew: what this broker believed of an earlier commit may be wrong.
  attached_.reset();
  RETURN_IF_ERROR(NothingDone(Attach(epoch)));
  RETURN_IF_ERROR(NothingDone(ReadRecords(epoch, [&fleet](v1::Change& change) {
    return ApplyChange(change, fleet) ? absl::OkStatus()
                                      : UnreadableRecord(change.table(), change.key());
  })));
  fleet.audit_sequence = attached_->last_audit;
  return fleet;
}

absl::StatusOr<std::vector<v1::AuditRecord>> EtcdSession::ReadAudit(uint64_t after,
                                                                    uint32_t limit) {
  limit = std::min(limit, kMaxAuditPage);
  std::vector<v1::AuditRecord> records;
  if (after >= static_cast<uint64_t>(INT64_MAX) || limit == 0) return records;
  // One revision for both, so that a fold in between hides nothing.
  TxnRequest look;
  ThenRange(look, keys_.head);
  ASSIGN_OR_RETURN(const TxnResponse answer, Send(look, settings_.read_limit));
  Attached view;
  view.revision = answer.header().revision();
  const auto enough = [&] { return records.size() >= limit; };
  absl::Status unreadable;
  const auto add = [&](const etcd::AuditSegment::Entry& entry) {
    if (entry.sequence() <= after || enough() || !unreadable.ok()) return;
    if (!records.emplace_back().ParseFromString(entry.record())) {
      unreadable = UnreadableRecord(std::string(kAuditTable), absl::StrCat(entry.sequence()));
    }
    after = entry.sequence();
  };
  const absl::Status stop = absl::CancelledError("enough");
  const absl::Status read = ReadRange(
      keys_.audit + EncodeNumber(after + 1), EtcdPrefixEnd(keys_.audit), view.revision,
      /*epoch=*/0, kAuditPage, [&](const KeyValue& kv) -> absl::Status {
        const std::string number = kv.key().substr(keys_.audit.size());
        ASSIGN_OR_RETURN(const std::string content, OpenValue(kAuditTable, number, kv.value()));
        etcd::AuditSegment segment;
        if (!segment.ParseFromString(content)) return DamagedInEtcd(kAuditTable, number);
        for (const etcd::AuditSegment::Entry& entry : segment.entries()) add(entry);
        return enough() ? stop : absl::OkStatus();
      });
  if (!read.ok() && read != stop) return read;
  if (!enough()) {
    view.last_audit = after;
    RETURN_IF_ERROR(ReadRange(keys_.log, EtcdPrefixEnd(keys_.log), view.revision, /*epoch=*/0,
                              kLogPage, [&](const KeyValue& kv) { return TakeEntry(view, kv); }));
    for (const etcd::AuditSegment::Entry& entry : view.audit) add(entry);
  }
  RETURN_IF_ERROR(unreadable);
  return records;
}

// --- committing ---

TxnRequest EtcdSession::Guarded() const {
  TxnRequest txn;
  IfValue(txn, keys_.epoch, EncodeNumber(attached_->epoch));
  if (attached_->head.commits == 0) {
    IfAbsent(txn, keys_.head);
  } else {
    IfValue(txn, keys_.head, EncodeHead(attached_->head));
  }
  ElseRange(txn, keys_.epoch);
  ElseRange(txn, keys_.head);
  return txn;
}

absl::Status EtcdSession::CheckAudit(const ChangeSet& changes) const {
  uint64_t last = attached_->last_audit;
  for (const v1::Change& change : changes) {
    if (absl::StrContains(change.table(), "/")) {
      return absl::InvalidArgumentError(absl::StrCat("a table cannot be named ", change.table()));
    }
    if (!IsAudit(change)) continue;
    ASSIGN_OR_RETURN(const uint64_t sequence, AuditSequence(change.key()));
    if (sequence <= last) {
      return absl::AlreadyExistsError(absl::StrCat("audit record ", sequence, " is there already"));
    }
    last = sequence;
  }
  return absl::OkStatus();
}

absl::Status EtcdSession::Commit(uint64_t epoch, ChangeSet changes) {
  RETURN_IF_ERROR(CheckChanges(changes));
  RETURN_IF_ERROR(NothingDone(Attach(epoch)));
  RETURN_IF_ERROR(CheckAudit(changes));
  ASSIGN_OR_RETURN(std::vector<etcd::LogEntry> entries,
                   SplitChanges(changes, settings_.max_request_bytes));
  const CommitHead next = {attached_->head.commits + 1, HexEncode(RandomBytes(8))};
  bool certain = true;
  absl::Status status = Stage(next.mark, entries);
  if (status.ok()) status = PutHead(next, entries.back(), certain);
  if (!status.ok()) {
    // What is known of the store may be wrong now.
    attached_.reset();
    folding_.reset();
    return certain ? status : absl::UnknownError(status.message());
  }
  attached_->head = next;
  ++attached_->entries;
  attached_->bytes += entries.back().ByteSizeLong();
  attached_->staged |= entries.size() > 1;
  for (v1::Change& change : changes) TakeChange(*attached_, std::move(change));
  return absl::OkStatus();
}

absl::Status EtcdSession::Stage(const std::string& mark, std::vector<etcd::LogEntry>& entries) {
  const size_t parts = entries.size() - 1;
  for (size_t i = 0; i < parts; ++i) {
    const std::string name = absl::StrCat(mark, "/", absl::Dec(i, absl::kZeroPad8));
    TxnRequest txn = Guarded();
    ThenPut(txn, keys_.stage + name, SealValue("part", name, entries[i].SerializeAsString()));
    const absl::StatusOr<TxnResponse> answer = Send(txn, settings_.commit_limit);
    // No log entry names the part yet: whatever became of it, nothing is committed.
    if (absl::IsUnknown(answer.status())) return absl::UnavailableError(answer.status().message());
    RETURN_IF_ERROR(answer.status());
    if (!answer->succeeded()) return JudgeHead(*answer, {0, mark}, /*may_be_done=*/false);
  }
  entries.back().set_staged_parts(static_cast<uint32_t>(parts));
  if (parts > 0) entries.back().set_staged_at(mark);
  return absl::OkStatus();
}

absl::Status EtcdSession::PutHead(const CommitHead& next, const etcd::LogEntry& entry,
                                  bool& certain) {
  TxnRequest txn = Guarded();
  const std::string name = EncodeNumber(next.commits);
  ThenPut(txn, keys_.head, EncodeHead(next));
  ThenPut(txn, keys_.log + name, SealValue("commit", name, entry.SerializeAsString()));
  absl::Duration rest = settings_.commit_limit;
  for (;;) {
    const auto began = std::chrono::steady_clock::now();
    const absl::StatusOr<TxnResponse> answer = client_->TxnAndWait(txn, EtcdRepeat::kAlways, rest);
    if (answer.ok()) {
      if (answer->succeeded()) return absl::OkStatus();
      const absl::Status judged = JudgeHead(*answer, next, !certain);
      certain = certain || !absl::IsUnknown(judged);
      return judged;
    }
    if (absl::IsUnknown(answer.status())) certain = false;
    if (absl::IsResourceExhausted(answer.status())) {
      return JudgeFull(next, answer.status(), certain);
    }
    if (!absl::IsUnknown(answer.status()) && !absl::IsUnavailable(answer.status())) {
      return answer.status();
    }
    const bool go_on = wait_(kPause);
    rest -= absl::FromChrono(std::chrono::steady_clock::now() - began);
    if (!go_on || rest <= absl::ZeroDuration()) return answer.status();
  }
}

absl::Status EtcdSession::JudgeFull(const CommitHead& next, const absl::Status& full,
                                    bool& certain) {
  TxnRequest look;
  ThenRange(look, keys_.head);
  ReadThroughLog(look, keys_.never);
  const absl::StatusOr<TxnResponse> answer = Send(look, settings_.read_limit);
  if (!answer.ok()) {
    certain = false;
    return full;
  }
  ASSIGN_OR_RETURN(const CommitHead found, DecodeHead(OneKey(*answer, 0)));
  return found == next ? absl::OkStatus() : full;
}

absl::Status EtcdSession::JudgeHead(const TxnResponse& answer, const CommitHead& next,
                                    bool may_be_done) const {
  ASSIGN_OR_RETURN(const uint64_t newest, DecodeNumber(OneKey(answer, 0)));
  ASSIGN_OR_RETURN(const CommitHead found, DecodeHead(OneKey(answer, 1)));
  // An earlier try of this very commit was carried out.
  if (found == next) return absl::OkStatus();
  const bool untouched = found == attached_->head;
  if (newest != attached_->epoch && (untouched || !may_be_done)) {
    RETURN_IF_ERROR(CheckEpoch(attached_->epoch, newest));
  }
  return absl::UnknownError("another broker has committed under this epoch, or after it");
}

}  // namespace werkplek
