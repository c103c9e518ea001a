// The keys of the broker in etcd, and how the lead is claimed, proved and looked up.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/etcd/etcd_client.h"
#include "etcd_proto/etcd.pb.h"
#include "etcd_proto/layout.pb.h"

namespace werkplek {

// What is under the prefix. All keys of one kind begin alike; none begins as another kind does.
struct EtcdKeys {
  explicit EtcdKeys(const std::string& prefix);
  // The leader's record, under its lease.
  const std::string leader;
  // The newest epoch, 20 digits: only ever grows.
  const std::string epoch;
  // Which layout this is.
  const std::string schema;
  // "COMMITS NONCE": how many commits were made, and the mark of the last.
  const std::string head;
  // Then 20 digits: the commit with that number.
  const std::string log;
  // Then TABLE/KEY.
  const std::string record;
  // Then 20 digits: the sequence of the segment's last record.
  const std::string audit;
  // The number of the newest segment, 20 digits.
  const std::string audit_tail;
  // Then a commit's mark and 8 digits: a part of a commit.
  const std::string stage;
  // Never there.
  const std::string never;
};

// The layout that this version reads and writes.
inline constexpr absl::string_view kEtcdSchema = "1";
// The schema's value while an import has not finished.
inline constexpr absl::string_view kEtcdImporting = "importing";

// FAILED_PRECONDITION names what to do when etcd holds another layout than ours. Empty: nothing is
// there yet.
absl::Status CheckEtcdSchema(absl::string_view found, const std::string& prefix);

std::string EncodeNumber(uint64_t number);
// 0 for an absent key. DATA_LOSS: not a number.
absl::StatusOr<uint64_t> DecodeNumber(const etcdserverpb::KeyValue* kv);

// Who leads, and under which lease; 0: under none, which is never so.
struct EtcdLeader {
  etcd::LeaderRecord record;
  int64_t lease = 0;
};

struct EtcdClaim {
  // False: `leader` leads.
  bool won = false;
  // Of this claim, when it was won.
  uint64_t epoch = 0;
  // The revision at which the leader's key was made: with it, each later step proves the claim.
  int64_t created_at = 0;
  EtcdLeader leader;
};

// Makes `own` the leader under `lease`, with an epoch higher than any before, unless another leads.
// Without a lease only the epoch is taken. FAILED_PRECONDITION: a foreign layout, left untouched.
// UNKNOWN: it may have been done. `client` outlives the call.
void ClaimLead(EtcdClient* client, const EtcdKeys& keys, etcd::LeaderRecord own, int64_t lease,
               absl::Duration limit, absl::AnyInvocable<void(absl::StatusOr<EtcdClaim>)> done);

// Asks the cluster, through its log, whether the claim still stands: FAILED_PRECONDITION when not.
void ProveLead(EtcdClient* client, const EtcdKeys& keys, const EtcdClaim& claim,
               absl::Duration limit, absl::AnyInvocable<void(absl::Status)> done);

// Who leads, as a hint. NOT_FOUND: nobody.
void FindLeader(EtcdClient* client, const EtcdKeys& keys, absl::Duration limit,
                absl::AnyInvocable<void(absl::StatusOr<EtcdLeader>)> done);

}  // namespace werkplek
