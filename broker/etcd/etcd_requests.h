// Short ways to say what a transaction does.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "etcd_proto/etcd.pb.h"

namespace werkplek {

// The end of the range of all keys that begin with `prefix`.
std::string EtcdPrefixEnd(absl::string_view prefix);

void IfValue(etcdserverpb::TxnRequest& txn, absl::string_view key, absl::string_view value);
void IfAbsent(etcdserverpb::TxnRequest& txn, absl::string_view key);
void IfCreatedAt(etcdserverpb::TxnRequest& txn, absl::string_view key, int64_t revision);

void ThenPut(etcdserverpb::TxnRequest& txn, absl::string_view key, absl::string_view value,
             int64_t lease = 0);
void ThenDelete(etcdserverpb::TxnRequest& txn, absl::string_view key, absl::string_view end = "");
etcdserverpb::RangeRequest* ThenRange(etcdserverpb::TxnRequest& txn, absl::string_view key,
                                      absl::string_view end = "", int64_t limit = 0);
void ElseRange(etcdserverpb::TxnRequest& txn, absl::string_view key);

// Makes a transaction that only reads go through the cluster's log like a write, so that no member
// answers it from a past that it does not know to be over: a write (of nothing) in the branch that
// does not run decides how etcd takes the whole. `never` is a key that never exists.
void ReadThroughLog(etcdserverpb::TxnRequest& txn, absl::string_view never);

// The value of the one key that answer `index` is about; empty when it is not there.
const etcdserverpb::KeyValue* OneKey(const etcdserverpb::TxnResponse& response, int index);

}  // namespace werkplek
