// The load of the machine below the desktops.
#pragma once

#include <libvirt/libvirt.h>

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/hypervisor/hypervisor.h"

namespace werkplek {

struct HostReading {
  // Without cpu_used and memory_pressure.
  HostStats stats;
  // Of all processors since boot; 0: unknown.
  uint64_t cpu_busy_ns = 0;
  uint64_t cpu_total_ns = 0;
};

// virNodeGetInfo, virNodeGetMemoryStats and virNodeGetCPUStats. Where a driver has no memory stats,
// free is what the active domains leave. Blocking.
absl::StatusOr<HostReading> ReadHost(virConnectPtr connection);

// The share of the last ten seconds in which some work waited for memory, 0 to 1 (the kernel's
// Documentation/accounting/psi.rst). 0 where the kernel does not tell.
double ReadMemoryPressure(const std::string& path);
double ParseMemoryPressure(absl::string_view text);

// The busy share between two readings of (busy, total); 0 for the first.
double CpuShare(std::pair<uint64_t, uint64_t> before, std::pair<uint64_t, uint64_t> now);

}  // namespace werkplek
