// How people write durations, sizes and addresses in a configuration. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace werkplek {

// "250ms", "30s", "5m", "12h", "30d", or several parts from large to small: "1h30m". Whole numbers,
// always with a unit, at most 100 years. INVALID_ARGUMENT says how to write it.
absl::StatusOr<absl::Duration> ParseDurationText(absl::string_view text);
// As ParseDurationText reads it, for messages; rounded down to milliseconds.
std::string DurationText(absl::Duration duration);

// "512", "64KiB", "16MiB", "4GiB", "1TiB": bytes.
absl::StatusOr<uint64_t> ParseSizeText(absl::string_view text);

// "127.0.0.1:7443", "[2001:db8::1]:7443", "broker.example:7443". A port of 1 to 65535, or 0 where
// the system may choose.
struct HostPort {
  std::string host;
  uint16_t port = 0;
};
absl::StatusOr<HostPort> ParseHostPort(absl::string_view text);

// "192.0.2.0/24", "2001:db8::/32", or one address: INVALID_ARGUMENT also when bits are set below
// the prefix.
absl::Status CheckNetworkText(absl::string_view text);

}  // namespace werkplek
