#include "common/metrics/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <exception>
#include <functional>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"

namespace werkplek {
namespace {

constexpr size_t kMaxCombinations = 1000;

const prometheus::Histogram::BucketBoundaries& Buckets() {
  static const auto& buckets = *new prometheus::Histogram::BucketBoundaries{
      0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300};
  return buckets;
}

// Runs a function of ours before the registry is read.
class Refresher : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override {
    MutexLock lock(mutex_);
    for (const auto& refresh : refreshes_) refresh();
    return {};
  }
  void Add(std::function<void()> refresh) {
    MutexLock lock(mutex_);
    refreshes_.push_back(std::move(refresh));
  }

 private:
  mutable Mutex mutex_;
  std::vector<std::function<void()>> refreshes_ ABSL_GUARDED_BY(mutex_);
};

// The metrics of one name, each found again by its labels: asking the family anew would check and
// hash them every time.
template <typename Metric>
struct Kind {
  // Lives until it is taken out of the registry, or as long as that.
  prometheus::Family<Metric>* family = nullptr;
  std::map<MetricLabels, Metric*> known;
};
template <typename Metric>
using Kinds = std::map<std::string, Kind<Metric>, std::less<>>;

}  // namespace

struct Metrics::Parts {
  Mutex mutex;
  std::shared_ptr<prometheus::Registry> registry = std::make_shared<prometheus::Registry>();
  std::shared_ptr<Refresher> refresher = std::make_shared<Refresher>();
  Kinds<prometheus::Counter> counters ABSL_GUARDED_BY(mutex);
  Kinds<prometheus::Gauge> gauges ABSL_GUARDED_BY(mutex);
  Kinds<prometheus::Histogram> histograms ABSL_GUARDED_BY(mutex);
  std::unique_ptr<prometheus::Exposer> exposer;

  // The metric with these labels, or with "other" in place of each value when the name has too
  // many. `more` is what the metric is made with.
  template <typename Metric, typename Builder, typename... More>
  Metric& Find(Kinds<Metric>& kinds, Builder builder, absl::string_view name,
               absl::string_view help, const MetricLabels& labels, const More&... more)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    auto at = kinds.find(name);
    if (at == kinds.end()) {
      at = kinds.emplace(std::string(name), Kind<Metric>()).first;
      at->second.family = &builder.Name(at->first).Help(std::string(help)).Register(*registry);
    }
    Kind<Metric>& kind = at->second;
    if (const auto known = kind.known.find(labels); known != kind.known.end()) {
      return *known->second;
    }
    const bool full = kind.known.size() >= kMaxCombinations;
    prometheus::Labels own;
    for (const auto& [key, value] : labels) own[key] = full ? "other" : value;
    Metric& metric = kind.family->Add(own, more...);
    if (!full) kind.known.emplace(labels, &metric);
    return metric;
  }
};

Metrics::Metrics() : parts_(std::make_unique<Parts>()) {}
Metrics::~Metrics() = default;

absl::Status Metrics::Serve(const std::string& address) {
  if (!absl::StartsWith(address, "127.") && !absl::StartsWith(address, "[::1]:")) {
    return absl::InvalidArgumentError(
        absl::StrCat("metrics are served on loopback only (127.0.0.1:PORT), not on ", address));
  }
  try {
    parts_->exposer = std::make_unique<prometheus::Exposer>(address, 1);
  } catch (const std::exception& failure) {
    return absl::UnavailableError(
        absl::StrCat("metrics cannot listen on ", address, ": ", failure.what()));
  }
  // In this order: the gauges are refreshed, then read.
  parts_->exposer->RegisterCollectable(parts_->refresher);
  parts_->exposer->RegisterCollectable(parts_->registry);
  return absl::OkStatus();
}

void Metrics::StopServing() { parts_->exposer.reset(); }

int Metrics::port() const {
  if (parts_->exposer == nullptr) return 0;
  const std::vector<int> ports = parts_->exposer->GetListeningPorts();
  return ports.empty() ? 0 : ports.front();
}

void Metrics::Count(absl::string_view name, absl::string_view help, const MetricLabels& labels,
                    double by) {
  MutexLock lock(parts_->mutex);
  parts_->Find(parts_->counters, prometheus::BuildCounter(), name, help, labels).Increment(by);
}

void Metrics::SetGauge(absl::string_view name, absl::string_view help, const MetricLabels& labels,
                       double value) {
  MutexLock lock(parts_->mutex);
  parts_->Find(parts_->gauges, prometheus::BuildGauge(), name, help, labels).Set(value);
}

void Metrics::ClearGauge(absl::string_view name) {
  MutexLock lock(parts_->mutex);
  const auto at = parts_->gauges.find(name);
  if (at == parts_->gauges.end()) return;
  parts_->registry->Remove(*at->second.family);
  parts_->gauges.erase(at);
}

void Metrics::ObserveSeconds(absl::string_view name, absl::string_view help,
                             const MetricLabels& labels, absl::Duration took) {
  MutexLock lock(parts_->mutex);
  parts_->Find(parts_->histograms, prometheus::BuildHistogram(), name, help, labels, Buckets())
      .Observe(absl::ToDoubleSeconds(took));
}

void Metrics::BeforeScrape(std::function<void()> refresh) {
  parts_->refresher->Add(std::move(refresh));
}

}  // namespace werkplek
