// The broker's store for a tool, while no broker uses it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "broker/node/ports.h"
#include "broker/program/store_config.h"

namespace werkplek {

// Calls that wait. Holds the file's lock, or the lead in etcd, as long as it lives: no broker can
// lead meanwhile. Thread-compatible.
class OfflineStore {
 public:
  // Makes the file (or the first keys in etcd) when nothing is there. FAILED_PRECONDITION: in use
  // by a broker, whose name is told.
  static absl::StatusOr<std::unique_ptr<OfflineStore>> Open(const StoreConfig& config);
  ~OfflineStore();
  OfflineStore(const OfflineStore&) = delete;
  OfflineStore& operator=(const OfflineStore&) = delete;

  // This tool's claim.
  uint64_t epoch() const { return epoch_; }
  // Takes a higher epoch than the one that was claimed.
  absl::Status TakeEpoch(uint64_t epoch);
  absl::StatusOr<Fleet> Load();
  absl::Status Commit(ChangeSet changes);
  absl::StatusOr<std::vector<v1::AuditRecord>> ReadAudit(uint64_t after, uint32_t limit);

 private:
  struct Parts;
  explicit OfflineStore(std::unique_ptr<Parts> parts);
  static absl::Status OpenFile(const StoreConfig& config, Parts& parts);
  static absl::Status OpenEtcd(const StoreConfig& config, Parts& parts);

  std::unique_ptr<Parts> parts_;
  uint64_t epoch_ = 0;
};

}  // namespace werkplek
