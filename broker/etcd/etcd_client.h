// A client of etcd's v3 API over gRPC: deadlines, several members, and honest outcomes.
#pragma once

#include <functional>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/etcd/etcd_settings.h"
#include "etcd_proto/etcd.pb.h"

namespace werkplek {

// When a failed call may be sent to the next member.
enum class EtcdRepeat {
  // Only when it was surely not done.
  kIfNotDone,
  // Also when it may have been done: doing it twice does no harm.
  kAlways,
};

// Thread-safe. Asks the member that answered last; when that fails, each other one once. Failed
// statuses are those of etcd_verdict.h: UNAVAILABLE says that nothing was done, UNKNOWN that it may
// have been. No call takes longer than its `limit`; each is answered exactly once, on a thread of
// gRPC that must not be held up.
class EtcdClient {
 public:
  template <typename Response>
  using Done = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

  // Judges the files; does not connect.
  static absl::StatusOr<std::unique_ptr<EtcdClient>> Create(EtcdSettings settings);
  // Ends calls that are under way (their callbacks run) and waits for them. Not from a callback.
  ~EtcdClient();
  EtcdClient(const EtcdClient&) = delete;
  EtcdClient& operator=(const EtcdClient&) = delete;

  void Txn(etcdserverpb::TxnRequest request, EtcdRepeat repeat, absl::Duration limit,
           Done<etcdserverpb::TxnResponse> done);
  void Range(etcdserverpb::RangeRequest request, absl::Duration limit,
             Done<etcdserverpb::RangeResponse> done);
  void Compact(int64_t revision, absl::Duration limit, Done<etcdserverpb::CompactionResponse> done);
  void GrantLease(int64_t ttl_seconds, absl::Duration limit,
                  Done<etcdserverpb::LeaseGrantResponse> done);
  void RevokeLease(int64_t lease, absl::Duration limit,
                   Done<etcdserverpb::LeaseRevokeResponse> done);
  // One renewal. NOT_FOUND: the lease is gone.
  void KeepLease(int64_t lease, absl::Duration limit,
                 Done<etcdserverpb::LeaseKeepAliveResponse> done);

  // How much of a lease is left. A member that does not lead the cluster asks the one that does.
  void LeaseTimeToLive(int64_t lease, absl::Duration limit,
                       Done<etcdserverpb::LeaseTimeToLiveResponse> done);

  // For threads that may wait.
  absl::StatusOr<etcdserverpb::TxnResponse> TxnAndWait(etcdserverpb::TxnRequest request,
                                                       EtcdRepeat repeat, absl::Duration limit);

  const EtcdSettings& settings() const;

 private:
  class Core;
  explicit EtcdClient(std::unique_ptr<Core> core);
  const std::unique_ptr<Core> core_;
};

}  // namespace werkplek
