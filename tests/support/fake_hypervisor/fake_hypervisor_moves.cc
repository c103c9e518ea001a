// How desktops go from one fake to another.
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "tests/support/fake_hypervisor/fake_hypervisor.h"

namespace werkplek {
namespace {

using Kind = HypervisorEvent::Kind;

bool IsInMemory(DomainPower power) {
  return power == DomainPower::kRunning || power == DomainPower::kSuspended;
}

absl::Status NoDomain(const std::string& desktop) {
  return absl::NotFoundError(absl::StrCat("desktop ", desktop, ": no such domain"));
}

}  // namespace

absl::Status FakeHypervisor::Migrate(const std::string& desktop, const std::string& uri) {
  absl::Status late_fault;
  RETURN_IF_ERROR(Enter(Call::kMigrate, desktop, late_fault));
  RETURN_IF_ERROR(BeginMove(desktop, uri));
  RETURN_IF_ERROR(HandOver(desktop));
  EndMove(desktop).IgnoreError();
  return late_fault;
}

absl::Status FakeHypervisor::BeginMove(const std::string& desktop, const std::string& uri) {
  FakeHypervisor* peer = nullptr;
  uint64_t memory_mib = 0;
  {
    MutexLock lock(mutex_);
    const auto found = domains_.find(desktop);
    if (found == domains_.end()) return NoDomain(desktop);
    const Domain& domain = found->second;
    if (domain.info.power == DomainPower::kOff) {
      return absl::FailedPreconditionError("it is off: there is nothing to move");
    }
    if (domain.peer != nullptr) return absl::AbortedError("a move of it is under way already");
    const auto at = peers_.find(uri);
    if (at == peers_.end() || at->second == nullptr) {
      return absl::InternalError(absl::StrCat("cannot move to ", uri));
    }
    peer = at->second;
    memory_mib = domain.info.memory_mib;
  }
  RETURN_IF_ERROR(peer->Expect(desktop, memory_mib));
  MutexLock lock(mutex_);
  const auto found = domains_.find(desktop);
  if (found == domains_.end()) return NoDomain(desktop);
  if (found->second.info.power == DomainPower::kSaved) {
    found->second.info.power = DomainPower::kSuspended;
  }
  found->second.peer = peer;
  found->second.sent_tag = found->second.info.tag;
  return absl::OkStatus();
}

absl::Status FakeHypervisor::HandOver(const std::string& desktop) {
  Domain leaving;
  FakeHypervisor* peer = nullptr;
  {
    MutexLock lock(mutex_);
    const auto found = domains_.find(desktop);
    if (found == domains_.end()) return NoDomain(desktop);
    peer = found->second.peer;
    if (peer == nullptr) return absl::InternalError("the move has ended");
    leaving = found->second;
    leaving.displays.clear();
    leaving.peer = nullptr;
    leaving.info.tag = leaving.sent_tag;
    found->second.handed_over = true;
  }
  if (const absl::Status arrived = peer->Arrive(leaving); !arrived.ok()) {
    MutexLock lock(mutex_);
    const auto found = domains_.find(desktop);
    if (found == domains_.end()) return arrived;
    found->second.peer = nullptr;
    found->second.handed_over = false;
    return arrived;
  }
  {
    MutexLock lock(mutex_);
    const auto found = domains_.find(desktop);
    if (found != domains_.end()) CloseDisplays(found->second);
  }
  // In this order nobody is told of two that run.
  Deliver({{Kind::kLifecycle, desktop}});
  peer->Deliver({{Kind::kLifecycle, desktop}});
  return absl::OkStatus();
}

absl::Status FakeHypervisor::EndMove(const std::string& desktop) {
  {
    MutexLock lock(mutex_);
    const auto found = domains_.find(desktop);
    if (found == domains_.end() || !found->second.handed_over) return NoDomain(desktop);
    CloseDisplays(found->second);
    domains_.erase(found);
    Note("move", desktop);
  }
  Deliver({{Kind::kLifecycle, desktop}});
  return absl::OkStatus();
}

void FakeHypervisor::CallOffMove(const std::string& desktop) {
  {
    MutexLock lock(mutex_);
    const auto found = domains_.find(desktop);
    if (found != domains_.end()) EndHere(found->second);
  }
  Deliver({});
}

void FakeHypervisor::EndHere(Domain& domain) {
  if (domain.peer == nullptr || domain.handed_over) return;
  void_moves_.emplace_back(std::exchange(domain.peer, nullptr), domain.info.tag.desktop);
}

absl::Status FakeHypervisor::Expect(const std::string& desktop, uint64_t memory_mib) {
  MutexLock lock(mutex_);
  if (!connected_) return absl::InternalError("cannot move: the other host does not answer");
  if (domains_.count(desktop) != 0 || !incoming_.emplace(desktop, memory_mib).second) {
    return absl::InternalError("cannot move: the other host has a domain of that name");
  }
  return absl::OkStatus();
}

void FakeHypervisor::Forget(const std::string& desktop) {
  MutexLock lock(mutex_);
  incoming_.erase(desktop);
}

absl::Status FakeHypervisor::Arrive(const Domain& domain) {
  const std::string& desktop = domain.info.tag.desktop;
  MutexLock lock(mutex_);
  if (incoming_.erase(desktop) == 0) {
    return absl::InternalError("cannot move: the other host expects it no more");
  }
  if (!domains_.emplace(desktop, domain).second) {
    return absl::InternalError("cannot move: the other host has a domain of that name");
  }
  Note("arrive", desktop);
  return absl::OkStatus();
}

std::vector<DomainInfo> FakeHypervisor::Domains() const {
  MutexLock lock(mutex_);
  std::vector<DomainInfo> infos;
  for (const auto& [name, domain] : domains_) {
    infos.push_back(domain.info);
    infos.back().moving = domain.peer != nullptr;
  }
  return infos;
}

std::set<std::string> FakeHypervisor::AliveHere() const {
  MutexLock lock(mutex_);
  std::set<std::string> alive;
  for (const auto& [name, domain] : domains_) {
    if (IsInMemory(domain.info.power) && !domain.handed_over) alive.insert(name);
  }
  return alive;
}

uint64_t FakeHypervisor::IncomingMib() const {
  MutexLock lock(mutex_);
  uint64_t total = 0;
  for (const auto& [desktop, memory_mib] : incoming_) total += memory_mib;
  return total;
}

}  // namespace werkplek
