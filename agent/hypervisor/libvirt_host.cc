#include "agent/hypervisor/libvirt_host.h"

#include <libvirt/virterror.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/hypervisor/libvirt_error.h"
#include "agent/hypervisor/libvirt_handles.h"

namespace werkplek {
namespace {

struct Memory {
  int64_t total_kib = 0;
  // Free, and what the kernel would give back.
  int64_t available_kib = 0;
};

// From the machine's own counters; nullopt: the driver has none. (virNodeGetInfo adds up memory
// cells, and was seen to miss memory that was plugged in later.)
std::optional<Memory> ReadMemory(virConnectPtr connection) {
  int count = 0;
  if (virNodeGetMemoryStats(connection, VIR_NODE_MEMORY_STATS_ALL_CELLS, nullptr, &count, 0) < 0 ||
      count <= 0) {
    virResetLastError();
    return std::nullopt;
  }
  std::vector<virNodeMemoryStats> stats(count);
  if (virNodeGetMemoryStats(connection, VIR_NODE_MEMORY_STATS_ALL_CELLS, stats.data(), &count, 0) <
      0) {
    virResetLastError();
    return std::nullopt;
  }
  Memory memory;
  for (int i = 0; i < count; ++i) {
    const absl::string_view field = stats[i].field;
    if (field == VIR_NODE_MEMORY_STATS_FREE || field == VIR_NODE_MEMORY_STATS_BUFFERS ||
        field == VIR_NODE_MEMORY_STATS_CACHED) {
      memory.available_kib += static_cast<int64_t>(stats[i].value);
    }
    if (field == VIR_NODE_MEMORY_STATS_TOTAL) {
      memory.total_kib = static_cast<int64_t>(stats[i].value);
    }
  }
  if (memory.total_kib == 0) return std::nullopt;
  return memory;
}

// KiB given to active domains.
int64_t GivenKib(virConnectPtr connection) {
  virDomainPtr* found = nullptr;
  const int count = virConnectListAllDomains(connection, &found, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
  int64_t given = 0;
  for (int i = 0; i < count; ++i) {
    const DomainHandle domain(found[i]);
    given += static_cast<int64_t>(virDomainGetMaxMemory(domain.get()));
  }
  free(found);
  virResetLastError();
  return given;
}

void ReadCpu(virConnectPtr connection, HostReading& reading) {
  int count = 0;
  if (virNodeGetCPUStats(connection, VIR_NODE_CPU_STATS_ALL_CPUS, nullptr, &count, 0) < 0 ||
      count <= 0) {
    virResetLastError();
    return;
  }
  std::vector<virNodeCPUStats> stats(count);
  if (virNodeGetCPUStats(connection, VIR_NODE_CPU_STATS_ALL_CPUS, stats.data(), &count, 0) < 0) {
    virResetLastError();
    return;
  }
  for (int i = 0; i < count; ++i) {
    const absl::string_view field = stats[i].field;
    const bool busy = field == VIR_NODE_CPU_STATS_KERNEL || field == VIR_NODE_CPU_STATS_USER;
    const bool idle = field == VIR_NODE_CPU_STATS_IDLE || field == VIR_NODE_CPU_STATS_IOWAIT;
    if (busy) reading.cpu_busy_ns += stats[i].value;
    if (busy || idle) reading.cpu_total_ns += stats[i].value;
  }
}

}  // namespace

absl::StatusOr<HostReading> ReadHost(virConnectPtr connection) {
  virNodeInfo info;
  if (virNodeGetInfo(connection, &info) < 0) return LastLibvirtStatus("cannot read the host");
  HostReading reading;
  reading.stats.cpus = info.cpus;
  std::optional<Memory> known = ReadMemory(connection);
  const int64_t total = static_cast<int64_t>(info.memory);
  const Memory memory = known ? *known : Memory{total, total - GivenKib(connection)};
  reading.stats.memory_total_mib = static_cast<uint64_t>(memory.total_kib) / 1024;
  reading.stats.memory_free_mib =
      static_cast<uint64_t>(std::clamp<int64_t>(memory.available_kib, 0, memory.total_kib)) / 1024;
  ReadCpu(connection, reading);
  return reading;
}

double ParseMemoryPressure(absl::string_view text) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, "some ")) continue;
    for (absl::string_view field : absl::StrSplit(line, ' ')) {
      double percent = 0;
      if (absl::ConsumePrefix(&field, "avg10=") && absl::SimpleAtod(field, &percent)) {
        return std::clamp(percent / 100, 0.0, 1.0);
      }
    }
  }
  return 0;
}

double ReadMemoryPressure(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return ParseMemoryPressure(text.str());
}

double CpuShare(std::pair<uint64_t, uint64_t> before, std::pair<uint64_t, uint64_t> now) {
  if (before.second == 0 || now.second <= before.second || now.first < before.first) return 0;
  return std::clamp(static_cast<double>(now.first - before.first) /
                        static_cast<double>(now.second - before.second),
                    0.0, 1.0);
}

}  // namespace werkplek
