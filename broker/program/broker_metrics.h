// What the broker measures, under the names of docs/operating.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "broker/core/effect.h"
#include "broker/core/settings.h"
#include "broker/node/broker_node.h"
#include "common/base/mutex.h"
#include "common/metrics/metrics.h"

namespace werkplek {

// Thread-safe.
class BrokerMetrics {
 public:
  // `metrics` outlives this.
  explicit BrokerMetrics(Metrics* metrics) : metrics_(metrics) {}

  // For NodeParts::observe: times become werkplek_stage_seconds{stage}, counts become
  // werkplek_WHAT_total.
  void Observe(const Effect& effect);
  // For RpcParts::observe.
  void Count(absl::string_view what, absl::string_view label);

  // Before each scrape: gauges read off the fleet (nullptr: this broker does not lead).
  void ReadFleet(const Fleet* fleet);
  void SetAgentsConnected(size_t count);
  void SetSelfProbe(bool good);
  void SetClockGood(bool good);

 private:
  // Another broker leads: figures of before would be taken for those of now.
  void Forget();
  void ReadHosts(const Fleet& fleet);
  void ReadPools(const Fleet& fleet);
  // The rehearsal costs: it is made when the fleet changed (or a minute has passed), and takes a
  // twentieth of the time at most.
  void ReadSites(const Fleet& fleet);

  Metrics* const metrics_;
  // What sites and hosts do not declare, the rehearsal takes from the defaults.
  const BrokerSettings settings_;
  Mutex mutex_;
  uint64_t rehearsed_revision_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time rehearsed_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  absl::Duration rehearsal_took_ ABSL_GUARDED_BY(mutex_);
  // Sites that had a gauge: one that is gone falls to zero.
  std::set<std::string> known_sites_ ABSL_GUARDED_BY(mutex_);
  // Pools that had gauges: one that is gone falls to zero.
  std::set<std::string> known_pools_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace werkplek
