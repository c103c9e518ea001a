// Copying: all of the store at one revision, beside the broker that leads.
//
// A revision is the same on every member and stays readable until it is compacted, so no page needs
// the guard of the epoch: only the first look, which says what the log holds, does.
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/etcd/etcd_requests.h"
#include "broker/store/etcd_session.h"
#include "broker/store/store_rules.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

using etcdserverpb::KeyValue;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;

constexpr int64_t kAuditPage = 32;

// FAILED_PRECONDITION: a higher epoch; OUT_OF_RANGE: the revision is compacted.
absl::Status TryAgain(const absl::Status& status) {
  if (!absl::IsFailedPrecondition(status) && !absl::IsOutOfRange(status)) return status;
  return absl::UnavailableError(absl::StrCat(
      "the store in etcd changed too much while it was read; try again (", status.message(), ")"));
}

}  // namespace

absl::StatusOr<uint64_t> EtcdSession::NewestEpoch() {
  TxnRequest look;
  ThenRange(look, keys_.epoch);
  ThenRange(look, keys_.schema);
  ReadThroughLog(look, keys_.never);
  ASSIGN_OR_RETURN(const TxnResponse answer, Send(look, settings_.read_limit));
  const KeyValue* schema = OneKey(answer, 1);
  if (schema == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("there is no store in etcd under ", client_->settings().prefix));
  }
  RETURN_IF_ERROR(CheckEtcdSchema(schema->value(), client_->settings().prefix));
  return DecodeNumber(OneKey(answer, 0));
}

absl::Status EtcdSession::Copy(uint64_t epoch, const TakeRecord& take) {
  attached_.reset();
  RETURN_IF_ERROR(TryAgain(Attach(epoch)));
  RETURN_IF_ERROR(TryAgain(ReadRecords(/*guard=*/0, take)));
  return TryAgain(CopyAudit(take));
}

absl::Status EtcdSession::CopyAudit(const TakeRecord& take) {
  const auto give = [&take](const etcd::AuditSegment::Entry& entry) {
    v1::Change change;
    change.set_table(std::string(kAuditTable));
    change.set_key(AuditKey(entry.sequence()));
    change.set_value(entry.record());
    return take(change);
  };
  RETURN_IF_ERROR(ReadRange(keys_.audit, EtcdPrefixEnd(keys_.audit), attached_->revision,
                            /*epoch=*/0, kAuditPage, [&](const KeyValue& kv) -> absl::Status {
                              const std::string number = kv.key().substr(keys_.audit.size());
                              ASSIGN_OR_RETURN(const std::string content,
                                               OpenValue(kAuditTable, number, kv.value()));
                              etcd::AuditSegment segment;
                              if (!segment.ParseFromString(content))
                                return DamagedInEtcd(kAuditTable, number);
                              for (const etcd::AuditSegment::Entry& entry : segment.entries())
                                RETURN_IF_ERROR(give(entry));
                              return absl::OkStatus();
                            }));
  for (const etcd::AuditSegment::Entry& entry : attached_->audit) RETURN_IF_ERROR(give(entry));
  return absl::OkStatus();
}

}  // namespace werkplek
