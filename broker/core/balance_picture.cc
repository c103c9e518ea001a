#include "broker/core/balance_picture.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/core/candidates.h"
#include "broker/core/moves.h"
#include "broker/core/sites.h"
#include "broker/model/kept.h"
#include "common/base/words.h"

namespace werkplek {
namespace {

BalanceHost HostIn(const Turn& turn, const std::string& name, const v1::Host& host) {
  BalanceHost shown;
  shown.name = name;
  shown.site = host.site();
  shown.max_desktops = host.max_desktops();
  shown.max_starts = HostMaxStarts(turn.settings(), host);
  shown.rests = turn.state().balance.resting.count(name) != 0;
  if (const HostSoft* soft = turn.fleet().host_soft.Find(name)) {
    const v1::AgentReport& report = *soft->report;
    shown.reachable = soft->liveness == v1::LIVENESS_UP && soft->link != 0 && report.adopted();
    shown.open = shown.reachable && WorkAllowed(turn.fleet(), name) == v1::SCHEDULABILITY_OPEN;
    shown.receives = !report.migration_uri().empty();
    shown.locks = !report.lock_manager().empty() && report.lock_manager() != "nop";
    shown.storages.assign(report.storages().begin(), report.storages().end());
    shown.networks.assign(report.networks().begin(), report.networks().end());
    shown.memory_limit_mib = HostMemoryLimitMib(host, report.load());
    shown.cpus = report.load().cpus();
    shown.cpu_used = report.load().cpu_used();
    shown.memory_pressure = report.load().memory_pressure();
  }
  const auto own = turn.state().hosts.find(name);
  if (own == turn.state().hosts.end()) return shown;
  shown.memory_committed_mib = own->second.memory_committed_mib;
  shown.desktops = static_cast<uint32_t>(own->second.desktops.size() + own->second.incoming.size());
  shown.starts = own->second.starts;
  return shown;
}

// Why a desktop that serves nobody now, or serves somebody in this state, must not be touched.
std::string Stays(const Turn& turn, const v1::Desktop& desktop, const v1::Session* session) {
  if (IsMoving(desktop)) return absl::StrCat("is on its way to ", desktop.moving_to());
  const auto trouble = turn.state().balance.troubles.find(desktop.id());
  if (trouble != turn.state().balance.troubles.end() && trouble->second.not_before > turn.now()) {
    return absl::StrCat("its move to ", trouble->second.target, " failed (", trouble->second.why,
                        "); tried again in ", RoughTime(trouble->second.not_before - turn.now()));
  }
  switch (desktop.state()) {
    case v1::DESKTOP_STATE_READY:
      return "";
    case v1::DESKTOP_STATE_ASSIGNED:
      break;
    case v1::DESKTOP_STATE_OFF:
      return "is off; it can start on another host";
    case v1::DESKTOP_STATE_DIRTY:
      return "waits for its reset";
    case v1::DESKTOP_STATE_STOPPING:
      return "is being removed";
    case v1::DESKTOP_STATE_LOST:
      return "its host was down";
    case v1::DESKTOP_STATE_ERROR:
      return "has failed; an administrator resets it";
    default:
      return "is being started";
  }
  if (session == nullptr) return "its session has just ended";
  switch (session->state()) {
    case v1::SESSION_STATE_ACTIVE:
    case v1::SESSION_STATE_DISCONNECTED:
      return "";
    case v1::SESSION_STATE_ENDING:
      return "its session is ending";
    default:
      // A ticket would die with the move.
      return "its session is being opened";
  }
}

BalanceDesktop DesktopIn(const Turn& turn, const v1::Desktop& desktop) {
  BalanceDesktop shown;
  shown.id = desktop.id();
  shown.host = desktop.host();
  shown.memory_mib = desktop.memory_mib();
  shown.vcpus = desktop.vcpus();
  shown.network = desktop.network();
  shown.runs = desktop.wanted_power() == v1::POWER_RUNNING;
  if (const v1::Resource* record = turn.fleet().pools.Find(desktop.pool())) {
    const v1::Pool& pool = record->pool();
    shown.storage = pool.storage();
    shown.needs_lock = IsFenced(pool);
    shown.spare = desktop.state() == v1::DESKTOP_STATE_READY && desktop.owner().empty() &&
                  pool.kind() == v1::POOL_KIND_FLOATING;
  }
  const v1::Session* session = turn.fleet().sessions.Find(desktop.session());
  shown.stays = Stays(turn, desktop, session);
  if (session != nullptr) {
    shown.felt = session->state() == v1::SESSION_STATE_DISCONNECTED ? Felt::kLater : Felt::kAtOnce;
  }
  const BalanceState& balance = turn.state().balance;
  if (const auto trouble = balance.troubles.find(desktop.id()); trouble != balance.troubles.end()) {
    shown.avoids = trouble->second.target;
  }
  const auto moved = balance.moved_at.find(desktop.id());
  shown.settled =
      moved == balance.moved_at.end() || turn.now() - moved->second >= turn.settings().balance.rest;
  return shown;
}

BalancePicture HostsOfSite(const Turn& turn, const std::string& site) {
  BalancePicture picture;
  for (const auto& entry : turn.fleet().hosts) {
    if (entry.record->host().site() != site) continue;
    picture.hosts.push_back(HostIn(turn, entry.key, entry.record->host()));
  }
  // What leaves counts where it is until then; a plan looks further.
  for (const std::string& id : turn.state().moving) {
    const v1::Desktop& desktop = *turn.fleet().desktops.Find(id);
    for (BalanceHost& host : picture.hosts) {
      if (host.name != desktop.host()) continue;
      host.memory_committed_mib -= desktop.memory_mib();
      --host.desktops;
    }
  }
  return picture;
}

void AddDesktops(const Turn& turn, const std::string& host, BalancePicture& picture) {
  const auto own = turn.state().hosts.find(host);
  if (own == turn.state().hosts.end()) return;
  for (const std::string& id : own->second.desktops) {
    picture.desktops.push_back(DesktopIn(turn, *turn.fleet().desktops.Find(id)));
  }
}

}  // namespace

BalancePicture PictureOfSite(const Turn& turn, const std::string& site) {
  BalancePicture picture = HostsOfSite(turn, site);
  for (const BalanceHost& host : picture.hosts) AddDesktops(turn, host.name, picture);
  return picture;
}

BalancePicture PictureForHost(const Turn& turn, const std::string& host) {
  const v1::Resource* record = turn.fleet().hosts.Find(host);
  if (record == nullptr) return {};
  BalancePicture picture = HostsOfSite(turn, record->host().site());
  AddDesktops(turn, host, picture);
  return picture;
}

}  // namespace werkplek
