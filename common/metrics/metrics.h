// Counters, gauges and histograms in the Prometheus text format, on a loopback port.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace werkplek {

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

// Thread-safe. Names follow Prometheus: base units, `_total` for counters, `_seconds` for times. At
// most 1,000 label combinations are kept for one name; further ones are counted under the label
// value "other".
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // Serves http://ADDRESS:PORT/metrics until destruction. INVALID_ARGUMENT: the address is not a
  // loopback address (what is measured is nobody's business outside). UNAVAILABLE: the port is
  // taken. Port 0 takes a free one.
  absl::Status Serve(const std::string& address);
  // Ends serving; no scrape, and no refresh of BeforeScrape, runs once this has returned.
  void StopServing();
  // The port being served; 0: none.
  int port() const;

  void Count(absl::string_view name, absl::string_view help, const MetricLabels& labels = {},
             double by = 1);
  void SetGauge(absl::string_view name, absl::string_view help, const MetricLabels& labels,
                double value);
  // Takes the gauge away under all its labels, until it is set again: what it told is not known
  // now.
  void ClearGauge(absl::string_view name);
  // Buckets from 1 ms to 5 minutes.
  void ObserveSeconds(absl::string_view name, absl::string_view help, const MetricLabels& labels,
                      absl::Duration took);

  // Called before each scrape, to set gauges that are read off something.
  void BeforeScrape(std::function<void()> refresh);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace werkplek
