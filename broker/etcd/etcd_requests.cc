#include "broker/etcd/etcd_requests.h"

namespace werkplek {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::TxnRequest;

std::string Bytes(absl::string_view text) { return std::string(text); }

}  // namespace

std::string EtcdPrefixEnd(absl::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (end.empty()) return std::string(1, '\0');
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

void IfValue(TxnRequest& txn, absl::string_view key, absl::string_view value) {
  Compare* compare = txn.add_compare();
  compare->set_target(Compare::VALUE);
  compare->set_key(Bytes(key));
  compare->set_value(Bytes(value));
}

void IfAbsent(TxnRequest& txn, absl::string_view key) { IfCreatedAt(txn, key, 0); }

void IfCreatedAt(TxnRequest& txn, absl::string_view key, int64_t revision) {
  Compare* compare = txn.add_compare();
  compare->set_target(Compare::CREATE);
  compare->set_key(Bytes(key));
  compare->set_create_revision(revision);
}

void ThenPut(TxnRequest& txn, absl::string_view key, absl::string_view value, int64_t lease) {
  auto* put = txn.add_success()->mutable_request_put();
  put->set_key(Bytes(key));
  put->set_value(Bytes(value));
  put->set_lease(lease);
}

void ThenDelete(TxnRequest& txn, absl::string_view key, absl::string_view end) {
  auto* erase = txn.add_success()->mutable_request_delete_range();
  erase->set_key(Bytes(key));
  erase->set_range_end(Bytes(end));
}

etcdserverpb::RangeRequest* ThenRange(TxnRequest& txn, absl::string_view key, absl::string_view end,
                                      int64_t limit) {
  auto* range = txn.add_success()->mutable_request_range();
  range->set_key(Bytes(key));
  range->set_range_end(Bytes(end));
  range->set_limit(limit);
  return range;
}

void ElseRange(TxnRequest& txn, absl::string_view key) {
  txn.add_failure()->mutable_request_range()->set_key(Bytes(key));
}

void ReadThroughLog(TxnRequest& txn, absl::string_view never) {
  txn.add_failure()->mutable_request_delete_range()->set_key(Bytes(never));
}

const etcdserverpb::KeyValue* OneKey(const etcdserverpb::TxnResponse& response, int index) {
  if (index >= response.responses_size()) return nullptr;
  const auto& range = response.responses(index).response_range();
  return range.kvs().empty() ? nullptr : &range.kvs(0);
}

}  // namespace werkplek
