#include "broker/etcd/leadership.h"

#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "broker/etcd/etcd_requests.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

using etcdserverpb::KeyValue;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;

// How often others may take an epoch in between before a claim gives up.
constexpr int kMaxRounds = 8;

EtcdLeader LeaderOf(const KeyValue& kv) {
  EtcdLeader leader;
  leader.record.ParseFromString(kv.value());
  leader.lease = kv.lease();
  return leader;
}

// One claim: each round learns the newest epoch for the next one's guard.
class Claiming : public std::enable_shared_from_this<Claiming> {
 public:
  Claiming(EtcdClient* client, const EtcdKeys& keys, etcd::LeaderRecord own, int64_t lease,
           absl::Duration limit, absl::AnyInvocable<void(absl::StatusOr<EtcdClaim>)> done)
      : client_(client),
        keys_(keys),
        own_(std::move(own)),
        lease_(lease),
        limit_(limit),
        done_(std::move(done)) {}

  void Round() {
    TxnRequest txn;
    if (lease_ != 0) IfAbsent(txn, keys_.leader);
    if (epoch_ == 0) {
      IfAbsent(txn, keys_.epoch);
    } else {
      IfValue(txn, keys_.epoch, EncodeNumber(epoch_));
    }
    if (schema_.empty()) {
      IfAbsent(txn, keys_.schema);
      ThenPut(txn, keys_.schema, kEtcdSchema);
    } else {
      IfValue(txn, keys_.schema, schema_);
    }
    ThenPut(txn, keys_.epoch, EncodeNumber(epoch_ + 1));
    own_.set_epoch(epoch_ + 1);
    if (lease_ != 0) ThenPut(txn, keys_.leader, own_.SerializeAsString(), lease_);
    ElseRange(txn, keys_.leader);
    ElseRange(txn, keys_.epoch);
    ElseRange(txn, keys_.schema);
    client_->Txn(std::move(txn), EtcdRepeat::kIfNotDone, limit_,
                 [self = shared_from_this()](absl::StatusOr<TxnResponse> answer) {
                   self->Answered(std::move(answer));
                 });
  }

 private:
  void Answered(absl::StatusOr<TxnResponse> answer) {
    if (!answer.ok()) return done_(answer.status());
    EtcdClaim claim;
    if (answer->succeeded()) {
      claim.won = true;
      claim.epoch = epoch_ + 1;
      claim.created_at = answer->header().revision();
      claim.leader = {own_, lease_};
      return done_(claim);
    }
    const KeyValue* leader = OneKey(*answer, 0);
    const KeyValue* schema = OneKey(*answer, 2);
    schema_ = schema == nullptr ? "" : schema->value();
    const absl::Status known = CheckEtcdSchema(schema_, client_->settings().prefix);
    if (!known.ok()) return done_(known);
    const absl::StatusOr<uint64_t> epoch = DecodeNumber(OneKey(*answer, 1));
    if (!epoch.ok()) return done_(epoch.status());
    epoch_ = *epoch;
    if (lease_ != 0 && leader != nullptr) {
      claim.leader = LeaderOf(*leader);
      return done_(claim);
    }
    if (++rounds_ >= kMaxRounds) {
      return done_(absl::UnavailableError("other brokers claim the lead all the time"));
    }
    Round();
  }

  EtcdClient* const client_;
  const EtcdKeys keys_;
  etcd::LeaderRecord own_;
  const int64_t lease_;
  const absl::Duration limit_;
  absl::AnyInvocable<void(absl::StatusOr<EtcdClaim>)> done_;
  uint64_t epoch_ = 0;
  std::string schema_;
  int rounds_ = 0;
};

}  // namespace

EtcdKeys::EtcdKeys(const std::string& prefix)
    : leader(prefix + "leader"),
      epoch(prefix + "epoch"),
      schema(prefix + "schema"),
      head(prefix + "head"),
      log(prefix + "log/"),
      record(prefix + "record/"),
      audit(prefix + "audit/"),
      audit_tail(prefix + "audit_tail"),
      stage(prefix + "stage/"),
      never(prefix + "never") {}

absl::Status CheckEtcdSchema(absl::string_view found, const std::string& prefix) {
  if (found.empty() || found == kEtcdSchema) return absl::OkStatus();
  if (found == kEtcdImporting) {
    return absl::FailedPreconditionError(
        absl::StrCat("an import into etcd under ", prefix,
                     " has not finished. Run the import again, or delete "
                     "all keys under ",
                     prefix, " to start with an empty store."));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "the store in etcd under ", prefix, " was written by a newer Werkplek (schema ", found,
      "; this version knows ", kEtcdSchema,
      "). It was left as it is. Install the newer version, or restore a backup of before."));
}

std::string EncodeNumber(uint64_t number) {
  return absl::StrCat(absl::Dec(number, absl::kZeroPad20));
}

absl::StatusOr<uint64_t> DecodeNumber(const KeyValue* kv) {
  uint64_t number = 0;
  if (kv == nullptr) return number;
  if (kv->value().size() == 20 && absl::SimpleAtoi(kv->value(), &number)) return number;
  return absl::DataLossError(
      absl::StrCat("the store in etcd is damaged: the key ", kv->key(), " holds no number"));
}

void ClaimLead(EtcdClient* client, const EtcdKeys& keys, etcd::LeaderRecord own, int64_t lease,
               absl::Duration limit, absl::AnyInvocable<void(absl::StatusOr<EtcdClaim>)> done) {
  std::make_shared<Claiming>(client, keys, std::move(own), lease, limit, std::move(done))->Round();
}

void ProveLead(EtcdClient* client, const EtcdKeys& keys, const EtcdClaim& claim,
               absl::Duration limit, absl::AnyInvocable<void(absl::Status)> done) {
  TxnRequest txn;
  IfCreatedAt(txn, keys.leader, claim.created_at);
  IfValue(txn, keys.epoch, EncodeNumber(claim.epoch));
  ReadThroughLog(txn, keys.never);
  client->Txn(std::move(txn), EtcdRepeat::kAlways, limit,
              [done = std::move(done)](const absl::StatusOr<TxnResponse>& answer) mutable {
                if (!answer.ok()) return done(answer.status());
                done(answer->succeeded()
                         ? absl::OkStatus()
                         : absl::FailedPreconditionError("the claim of the lead is gone"));
              });
}

void FindLeader(EtcdClient* client, const EtcdKeys& keys, absl::Duration limit,
                absl::AnyInvocable<void(absl::StatusOr<EtcdLeader>)> done) {
  etcdserverpb::RangeRequest range;
  range.set_key(keys.leader);
  client->Range(
      std::move(range), limit,
      [done = std::move(done)](const absl::StatusOr<etcdserverpb::RangeResponse>& answer) mutable {
        if (!answer.ok()) return done(answer.status());
        if (answer->kvs().empty()) return done(absl::NotFoundError("nobody leads"));
        done(LeaderOf(answer->kvs(0)));
      });
}

}  // namespace werkplek
