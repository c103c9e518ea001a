// The gateways that are there: what each said of itself last, for as long as that counts.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "werkplek/v1/gateway.pb.h"
#include "werkplek/v1/session.pb.h"

namespace werkplek {

// Soft state of the broker that leads; a new leader hears of each gateway within a second.
// Thread-safe. Times are monotonic.
class GatewayBook {
 public:
  // A gateway that was silent for longer is told to nobody.
  static constexpr absl::Duration kHeardFor = absl::Seconds(3);
  static constexpr size_t kMaxGateways = 256;
  static constexpr int kMaxAddresses = 8;

  // `peer`: "gateway/gw-a". INVALID_ARGUMENT names the field; RESOURCE_EXHAUSTED: too many
  // gateways.
  absl::Status Put(const std::string& peer, const v1::AnnounceGatewayRequest& said,
                   absl::Duration now);

  // Puts the addresses of all gateways into the answer, in the order in which they are to be tried:
  // those of `site` first, then those with the fewest displays, then by name.
  void Tell(const std::string& site, absl::Duration now, v1::Ready& ready);

  // Names of those that are there, in byte order.
  std::vector<std::string> Names(absl::Duration now);

 private:
  struct Entry {
    v1::AnnounceGatewayRequest said;
    absl::Duration heard;
  };

  void Forget(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  std::map<std::string, Entry> gateways_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace werkplek
