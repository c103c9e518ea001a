#include "agent/program/host_load.h"

#include <filesystem>
#include <system_error>

#include "common/base/status_macros.h"

namespace werkplek {

absl::StatusOr<v1::HostLoad> ReadHostLoad(Hypervisor& hypervisor,
                                          const std::string& overlay_folder) {
  ASSIGN_OR_RETURN(const HostStats stats, hypervisor.Stats());
  v1::HostLoad load;
  load.set_memory_total_mib(stats.memory_total_mib);
  load.set_memory_free_mib(stats.memory_free_mib);
  load.set_cpus(stats.cpus);
  load.set_cpu_used(stats.cpu_used);
  load.set_memory_pressure(stats.memory_pressure);
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(overlay_folder, error);
  if (!error) load.set_disk_free_mib(space.available >> 20);
  return load;
}

}  // namespace werkplek
