// Compares this machine's wall clock with those of etcd's members, again and again.
//
// One-time codes are judged by the wall clock, so a broker whose clock is wrong must not judge any.
// Three members tell which clock is wrong, where two brokers could only differ.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "broker/etcd/etcd_settings.h"
#include "common/base/executor.h"
#include "common/base/mutex.h"

namespace werkplek {

struct ClockWatchSettings {
  absl::Duration interval = absl::Seconds(2);
  // Of one member.
  absl::Duration limit = absl::Milliseconds(500);
  // Codes live 30 s; NTP keeps clocks within milliseconds.
  absl::Duration most = absl::Seconds(2);
};

// Thread-safe.
class ClockWatch {
 public:
  // The time of one member, asked by HTTPS over its client port. Blocks for at most `limit`.
  using Ask =
      std::function<absl::StatusOr<absl::Time>(const std::string& endpoint, absl::Duration limit)>;

  // `clock` outlives the watch.
  ClockWatch(ClockWatchSettings settings, std::vector<std::string> endpoints, Ask ask,
             const Executor* clock);
  // Waits for an answer that is under way.
  ~ClockWatch();
  ClockWatch(const ClockWatch&) = delete;
  ClockWatch& operator=(const ClockWatch&) = delete;

  // False: most of the members that answered last have another time.
  bool good() const { return good_; }

 private:
  void Run();
  void Look();

  const ClockWatchSettings settings_;
  const std::vector<std::string> endpoints_;
  const Ask ask_;
  const Executor* const clock_;
  std::atomic<bool> good_{true};
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

// Asks etcd, as its client with these files.
ClockWatch::Ask AskEtcdForTime(const EtcdSettings& settings);

}  // namespace werkplek
