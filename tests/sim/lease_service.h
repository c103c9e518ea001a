// The lease under which one broker leads, as the store's members keep it. Leases end late, and at
// times too early; only the epoch that each claim raises in the store is to be relied on.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/time/time.h"
#include "broker/node/ports.h"
#include "broker/store/memory_store.h"

namespace werkplek::sim {

class World;

class LeaseService {
 public:
  static constexpr absl::Duration kTimeToLive = absl::Seconds(5);

  // Both outlive the service.
  LeaseService(World& world, MemoryStore* store) : world_(world), store_(store) {}

  // `done(leader)`: who leads from now; the caller under a new epoch, or another one.
  void Claim(const std::string& broker, std::function<void(LeaderInfo leader)> done);
  // The only broker leads without a lease: each claim gives it a new epoch.
  void Keep(const std::string& broker, std::function<void(uint64_t epoch)> done);
  // False: it is not held under that epoch any more.
  bool Renew(const std::string& broker, uint64_t epoch);
  void Revoke(const std::string& broker, uint64_t epoch);

  // Who holds it; empty: nobody.
  std::string Holder() const;
  // How long it would live without a renewal.
  absl::Duration Left() const;
  uint64_t epoch() const { return epoch_; }

  // From now on leases live up to twice as long as they should.
  void SetOutlives(bool outlives) { outlives_ = outlives; }
  // The lease ends although it was renewed.
  void EndEarly();

 private:
  absl::Duration Life() const;

  World& world_;
  MemoryStore* const store_;
  std::string holder_;
  uint64_t epoch_ = 0;
  absl::Duration expires_;
  bool outlives_ = false;
};

}  // namespace werkplek::sim
