#include "broker/core/resources.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/core/desktops.h"
#include "broker/core/hosts.h"
#include "broker/core/pools.h"
#include "broker/core/sessions.h"
#include "broker/core/sites.h"
#include "broker/model/kept.h"
#include "broker/model/names.h"
#include "broker/model/validate.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

std::string Object(v1::ResourceKind kind, const std::string& name) {
  return absl::StrCat(KindName(kind), ":", name);
}

std::string Action(v1::ResourceKind kind, absl::string_view verb) {
  return absl::StrCat(KindName(kind), ".", verb);
}

std::shared_ptr<const v1::Resource> FindResource(const Turn& turn, v1::ResourceKind kind,
                                                 const std::string& name) {
  const auto* table = ResourceTable(turn.fleet(), kind);
  return table == nullptr ? nullptr : table->FindShared(name);
}

absl::Status NoSuch(v1::ResourceKind kind, const std::string& name) {
  return absl::NotFoundError(absl::StrCat("there is no ", KindName(kind), " \"", name, "\""));
}

// Starts that are under way, and desktops that failed for good, begin anew: what they rest on was
// changed.
void RestartPool(Turn& turn, const std::string& name, bool starts_too) {
  PoolState& own = turn.state().pools[name];
  own.stale = true;
  CloseBreaker(turn, name, "its pool or image was changed");
  std::set<std::string> ids = own.In(v1::DESKTOP_STATE_ERROR);
  if (starts_too) {
    for (const auto state : {v1::DESKTOP_STATE_PROVISIONING, v1::DESKTOP_STATE_STARTING,
                             v1::DESKTOP_STATE_RESETTING}) {
      ids.insert(own.In(state).begin(), own.In(state).end());
    }
  }
  for (const std::string& id : ids) {
    v1::Desktop desktop = *turn.fleet().desktops.Find(id);
    if (IsKept(desktop)) continue;
    desktop.set_failures(0);
    SpoilDesktop(turn, std::move(desktop), "its pool or image was changed");
  }
}

// Deadlines that come from the pool's record are reckoned anew.
void RearmPool(Turn& turn, const std::string& name) {
  BrokerState& state = turn.state();
  PoolState& own = state.pools[name];
  for (const std::string& id : own.In(v1::DESKTOP_STATE_ASSIGNED)) {
    const v1::Desktop* desktop = state.fleet.desktops.Find(id);
    const v1::Session* session = state.fleet.sessions.Find(desktop->session());
    if (session == nullptr) continue;
    state.timers.Arm(SessionTimer(session->id()), SessionDue(state, *session));
  }
  for (const auto starting :
       {v1::DESKTOP_STATE_PROVISIONING, v1::DESKTOP_STATE_STARTING, v1::DESKTOP_STATE_RESETTING}) {
    for (const std::string& id : own.In(starting)) {
      state.timers.Arm(DesktopTimer(id), DesktopDue(state, *state.fleet.desktops.Find(id)));
    }
  }
}

bool MakesOtherDesktops(const v1::Pool& before, const v1::Pool& after) {
  return before.image() != after.image() || before.memory_mib() != after.memory_mib() ||
         before.vcpus() != after.vcpus() || before.network() != after.network();
}

bool IsOtherDisk(const v1::Image& before, const v1::Image& after) {
  return before.SerializeAsString() != after.SerializeAsString();
}

void HostDeclared(Turn& turn, const std::string& name, const v1::Host& host) {
  BrokerState& state = turn.state();
  if (state.fleet.host_soft.Find(name) == nullptr) {
    auto soft = std::make_shared<HostSoft>();
    soft->counted_from = turn.now();
    soft->liveness = v1::LIVENESS_SUSPECT;
    state.fleet.host_soft.Put(name, std::move(soft));
    state.hosts[name];
    state.closed_hosts.insert(name);
  }
  RefreshHost(turn, name);
  if (host.schedulability() == v1::SCHEDULABILITY_DRAINING) DrainHost(turn, name);
}

// What follows from a resource's new value. `before` is nullptr for a new one.
void Declared(Turn& turn, const v1::Resource* before, const v1::Resource& after) {
  const std::string& name = after.name();
  switch (after.kind_case()) {
    case v1::Resource::kSite:
      SiteDeclared(turn, name);
      break;
    case v1::Resource::kHost:
      HostDeclared(turn, name, after.host());
      break;
    case v1::Resource::kImage:
      if (before == nullptr || !IsOtherDisk(before->image(), after.image())) break;
      for (const auto& entry : turn.fleet().pools) {
        if (entry.record->pool().image() == name) RestartPool(turn, entry.key, true);
      }
      break;
    case v1::Resource::kPool:
      ShowPool(turn, name);
      if (before != nullptr) {
        RestartPool(turn, name, MakesOtherDesktops(before->pool(), after.pool()));
        RearmPool(turn, name);
      } else {
        turn.state().pools[name];
        ShowPool(turn, name);
      }
      break;
    default:
      break;
  }
  turn.TouchAllPools();
}

void Deleted(Turn& turn, v1::ResourceKind kind, const std::string& name) {
  BrokerState& state = turn.state();
  if (kind == v1::RESOURCE_KIND_SITE) {
    turn.EraseSiteLoss(name);
  } else if (kind == v1::RESOURCE_KIND_HOST) {
    const std::set<std::string> ids = state.hosts[name].desktops;
    for (const std::string& id : ids) {
      v1::Desktop desktop = *turn.fleet().desktops.Find(id);
      if (!IsKept(desktop)) {
        turn.EraseDesktop(id);
        continue;
      }
      // It is off in shared storage, and finds a host when it starts.
      desktop.clear_host();
      turn.Put(std::move(desktop));
    }
    state.hosts.erase(name);
    state.closed_hosts.erase(name);
    state.fleet.host_soft.Erase(name);
  } else if (kind == v1::RESOURCE_KIND_POOL) {
    ServePool(turn, name);  // Refuses those who wait.
    state.pools.erase(name);
    state.fleet.pool_soft.Erase(name);
  }
  turn.TouchAllPools();
}

std::shared_ptr<const v1::Resource> Store(Turn& turn, const v1::Resource* before,
                                          v1::Resource resource, uint64_t version) {
  resource.set_version(version);
  auto stored = std::make_shared<const v1::Resource>(std::move(resource));
  turn.Put(KindOf(*stored), *stored);
  Declared(turn, before, *stored);
  return stored;
}

}  // namespace

CallAnswer CreateResource(Turn& turn, const CallRequested& event,
                          const v1::CreateResourceRequest& request, const std::string& actor) {
  const v1::Resource& resource = request.resource();
  RETURN_IF_ERROR(ValidateResource(resource));
  const v1::ResourceKind kind = KindOf(resource);
  if (resource.version() != 0) return absl::InvalidArgumentError("version: leave it 0 in a create");
  if (FindResource(turn, kind, resource.name()) != nullptr) {
    return absl::AlreadyExistsError(
        absl::StrCat(KindName(kind), " \"", resource.name(), "\" is there already"));
  }
  RETURN_IF_ERROR(ValidateReferences(turn.fleet(), resource));
  turn.Audit(actor, Action(kind, "create"), Object(kind, resource.name()), "ok",
             Origin(event.caller));
  return Store(turn, nullptr, resource, 1);
}

CallAnswer UpdateResource(Turn& turn, const CallRequested& event,
                          const v1::UpdateResourceRequest& request, const std::string& actor) {
  const v1::Resource& resource = request.resource();
  RETURN_IF_ERROR(ValidateResource(resource));
  const v1::ResourceKind kind = KindOf(resource);
  const auto before = FindResource(turn, kind, resource.name());
  if (before == nullptr) return NoSuch(kind, resource.name());
  if (resource.version() != before->version()) {
    return absl::AbortedError(absl::StrCat("version: ", resource.version(),
                                           " is not the current one, which is ", before->version(),
                                           "; read it again"));
  }
  RETURN_IF_ERROR(ValidateReferences(turn.fleet(), resource));
  turn.Audit(actor, Action(kind, "update"), Object(kind, resource.name()), "ok",
             Origin(event.caller));
  return Store(turn, before.get(), resource, before->version() + 1);
}

CallAnswer DeleteResource(Turn& turn, const CallRequested& event,
                          const v1::DeleteResourceRequest& request, const std::string& actor) {
  if (ResourceTable(turn.fleet(), request.kind()) == nullptr) {
    return absl::InvalidArgumentError("kind: name one of SITE, HOST, IMAGE, POOL, ENTITLEMENT");
  }
  const auto before = FindResource(turn, request.kind(), request.name());
  if (before == nullptr) return NoSuch(request.kind(), request.name());
  if (request.version() != 0 && request.version() != before->version()) {
    return absl::AbortedError(absl::StrCat("version: ", request.version(),
                                           " is not the current one, which is ", before->version(),
                                           "; read it again"));
  }
  const HostSoft* soft = turn.fleet().host_soft.Find(request.name());
  const bool down = soft != nullptr && soft->liveness == v1::LIVENESS_DOWN;
  RETURN_IF_ERROR(ValidateDelete(turn.fleet(), request.kind(), request.name(), down));
  turn.Audit(actor, Action(request.kind(), "delete"), Object(request.kind(), request.name()), "ok",
             Origin(event.caller));
  turn.EraseResource(request.kind(), request.name());
  Deleted(turn, request.kind(), request.name());
  return std::make_shared<const v1::DeleteResourceResponse>();
}

CallAnswer SetSchedulability(Turn& turn, const CallRequested& event,
                             const v1::SetSchedulabilityRequest& request,
                             const std::string& actor) {
  if (request.kind() != v1::RESOURCE_KIND_SITE && request.kind() != v1::RESOURCE_KIND_HOST &&
      request.kind() != v1::RESOURCE_KIND_POOL) {
    return absl::InvalidArgumentError("kind: give SITE, HOST or POOL");
  }
  if (!v1::Schedulability_IsValid(request.schedulability())) {
    return absl::InvalidArgumentError("schedulability: give OPEN, DRAINING or MAINTENANCE");
  }
  const auto before = FindResource(turn, request.kind(), request.name());
  if (before == nullptr) return NoSuch(request.kind(), request.name());
  v1::Resource resource = *before;
  if (request.kind() == v1::RESOURCE_KIND_SITE) {
    resource.mutable_site()->set_schedulability(request.schedulability());
  } else if (request.kind() == v1::RESOURCE_KIND_HOST) {
    resource.mutable_host()->set_schedulability(request.schedulability());
  } else {
    resource.mutable_pool()->set_schedulability(request.schedulability());
  }
  turn.Audit(actor, Action(request.kind(), "schedulability"),
             Object(request.kind(), request.name()), "ok", Origin(event.caller),
             {{"schedulability", v1::Schedulability_Name(request.schedulability())}});
  return Store(turn, before.get(), std::move(resource), before->version() + 1);
}

CallAnswer EndAnySession(Turn& turn, const CallRequested& event,
                         const v1::EndAnySessionRequest& request, const std::string& actor) {
  if (request.reason().size() > 256) {
    return absl::InvalidArgumentError("reason: give at most 256 bytes");
  }
  const auto session = turn.fleet().sessions.FindShared(request.session());
  if (session == nullptr) {
    return absl::NotFoundError(absl::StrCat("there is no session \"", request.session(), "\""));
  }
  if (session->state() != v1::SESSION_STATE_ENDED) {
    BeginEnding(turn, *session,
                request.reason().empty() ? "admin" : absl::StrCat("admin: ", request.reason()),
                actor, Origin(event.caller));
  }
  return std::shared_ptr<const google::protobuf::Message>(
      turn.fleet().sessions.FindShared(request.session()));
}

}  // namespace werkplek
