// The views that add up: hosts and pools.
#include <map>
#include <string>

#include "broker/core/views.h"
#include "broker/model/desktop_machine.h"

namespace werkplek {

absl::StatusOr<v1::ListHostsResponse> View(const ViewContext& context,
                                           const v1::ListHostsRequest&) {
  struct Counts {
    uint32_t desktops = 0;
    uint32_t starts = 0;
    uint64_t memory_mib = 0;
  };
  std::map<std::string, Counts> counts;
  for (const auto& entry : context.fleet.desktops) {
    Counts& host = counts[entry.record->host()];
    ++host.desktops;
    host.starts += IsStarting(entry.record->state()) ? 1 : 0;
    host.memory_mib += entry.record->memory_mib();
    if (!entry.record->moving_to().empty()) {
      counts[entry.record->moving_to()].memory_mib += entry.record->memory_mib();
    }
  }
  v1::ListHostsResponse response;
  for (const auto& entry : context.fleet.hosts) {
    const v1::Host& host = entry.record->host();
    const Counts& count = counts[entry.key];
    v1::HostStatus& status = *response.add_hosts();
    status.set_host(entry.key);
    status.set_site(host.site());
    status.set_schedulability(host.schedulability());
    status.set_desktops(count.desktops);
    status.set_starts_in_flight(count.starts);
    status.set_memory_committed_mib(count.memory_mib);
    status.set_silent_ms(-1);
    const HostSoft* soft = context.fleet.host_soft.Find(entry.key);
    if (soft == nullptr) {
      status.set_memory_limit_mib(host.memory_limit_mib());
      continue;
    }
    status.set_memory_limit_mib(HostMemoryLimitMib(host, soft->report->load()));
    status.set_liveness(soft->liveness);
    *status.mutable_load() = soft->report->load();
    status.set_agent_version(soft->report->agent_version());
    if (soft->last_heard != absl::InfinitePast()) {
      status.set_silent_ms(absl::ToInt64Milliseconds(context.now - soft->last_heard));
    }
  }
  return response;
}

absl::StatusOr<v1::ListPoolStatusResponse> View(const ViewContext& context,
                                                const v1::ListPoolStatusRequest&) {
  std::map<std::string, v1::PoolStatus> pools;
  for (const auto& entry : context.fleet.desktops) {
    v1::PoolStatus& status = pools[entry.record->pool()];
    status.set_desktops(status.desktops() + 1);
    const v1::DesktopState state = entry.record->state();
    if (state == v1::DESKTOP_STATE_READY) status.set_spares(status.spares() + 1);
    if (state == v1::DESKTOP_STATE_ASSIGNED) status.set_assigned(status.assigned() + 1);
    if (state == v1::DESKTOP_STATE_ERROR) status.set_errors(status.errors() + 1);
    if (IsStarting(state)) status.set_starting(status.starting() + 1);
  }
  v1::ListPoolStatusResponse response;
  for (const auto& entry : context.fleet.pools) {
    v1::PoolStatus& status = *response.add_pools();
    status = pools[entry.key];
    status.set_pool(entry.key);
    status.set_schedulability(entry.record->pool().schedulability());
    if (const PoolSoft* soft = context.fleet.pool_soft.Find(entry.key)) {
      status.set_waiting(soft->waiting);
      status.set_breaker(soft->breaker);
    }
  }
  return response;
}

}  // namespace werkplek
