#include "tests/sim/machine.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace werkplek::sim {

Machine::Machine(std::string name, const Scenario& scenario)
    : name_(std::move(name)), scenario_(scenario) {
  hypervisor_.Listen([this](const HypervisorEvent& event) {
    NoteRuns();
    if (listener_) listener_(event);
  });
  images_.fetch = [this](const std::string& storage, const std::string& image,
                         const v1::Image& facts) {
    v1::ImageReport& report = at_hand_[{storage, image}];
    report.set_image(image);
    report.set_sha256(facts.sha256());
    report.set_verified(true);
    return absl::OkStatus();
  };
  images_.report = [this](const std::string& storage) {
    std::vector<v1::ImageReport> reports;
    for (const auto& [key, report] : at_hand_) {
      if (key.first == storage) reports.push_back(report);
    }
    return reports;
  };
  images_.create_overlay = [this](const DiskKey& disk, const std::string& sha256) {
    return CreateOverlay(disk, sha256);
  };
  images_.drop = [this](const std::string& storage, const std::string& image) {
    at_hand_.erase({storage, image});
    return absl::OkStatus();
  };
  AddKeptDisks();
}

void Machine::AddKeptDisks() {
  images_.take_disk = [this](const DiskKey& disk) -> absl::StatusOr<std::string> {
    if (!disk.storage.empty()) {
      ASSIGN_OR_RETURN(FakeSharedStorage* const storage, StorageOf(disk));
      return storage->TakeDisk(name_, disk);
    }
    for (const auto& [path, owner] : overlays_) {
      if (owner == disk.desktop) return path;
    }
    return absl::NotFoundError("its disk is not here");
  };
  images_.remove_overlays = [this](const DiskKey& disk, const std::string& except) -> absl::Status {
    if (!disk.storage.empty()) {
      ASSIGN_OR_RETURN(FakeSharedStorage* const storage, StorageOf(disk));
      return storage->RemoveDisks(name_, disk, except);
    }
    for (auto at = overlays_.begin(); at != overlays_.end();) {
      at = at->second == disk.desktop && at->first != except ? overlays_.erase(at) : std::next(at);
    }
    return absl::OkStatus();
  };
  images_.hand_over = [this](const DiskKey& disk, const std::string& host) -> absl::Status {
    if (scenario_.sabotage == Sabotage::kForgetDeed) return absl::OkStatus();
    ASSIGN_OR_RETURN(FakeSharedStorage* const storage, StorageOf(disk));
    return storage->HandOver(disk, host);
  };
  images_.take_back = [this](const DiskKey& disk) -> absl::Status {
    ASSIGN_OR_RETURN(FakeSharedStorage* const storage, StorageOf(disk));
    return storage->HandOver(disk, name_);
  };
}

absl::StatusOr<FakeSharedStorage*> Machine::StorageOf(const DiskKey& disk) {
  for (FakeSharedStorage* storage : storages) {
    if (storage->name() == disk.storage) return storage;
  }
  return absl::NotFoundError("this machine has no storage " + disk.storage);
}

absl::StatusOr<Overlay> Machine::CreateOverlay(const DiskKey& disk, const std::string& sha256) {
  if (image_broken_) return absl::InternalError("the image does not open");
  if (!disk.storage.empty()) {
    ASSIGN_OR_RETURN(FakeSharedStorage* const storage, StorageOf(disk));
    return storage->CreateOverlay(name_, disk, sha256);
  }
  const std::string& desktop = disk.desktop;
  Overlay overlay;
  overlay.path =
      absl::StrCat("/overlays/", name_, "/", desktop, ".", disk.generation, ".", next_inode_);
  if (scenario_.sabotage == Sabotage::kReuseDirtyDesktop) {
    for (const auto& [path, owner] : overlays_) {
      if (owner == desktop) overlay.path = path;
    }
  }
  overlay.identity = absl::StrCat("1:", next_inode_);
  overlay.created_unix_ns = static_cast<int64_t>(next_inode_);
  overlay.backing_sha256 = sha256;
  ++next_inode_;
  overlays_[overlay.path] = desktop;
  return overlay;
}

void Machine::NoteRuns() {
  // Suspended in memory, it may still write to its disk.
  const std::set<std::string> running = hypervisor_.AliveHere();
  const std::set<std::string> before = std::exchange(running_, running);
  if (!runs_changed) return;
  for (const std::string& desktop : before) {
    if (running.count(desktop) == 0) runs_changed(desktop, false);
  }
  for (const std::string& desktop : running) {
    if (before.count(desktop) == 0) runs_changed(desktop, true);
  }
}

Machine::Place Machine::PlaceOf(const std::string& desktop) {
  for (const DomainInfo& domain : hypervisor_.Domains()) {
    if (domain.tag.desktop == desktop) return {domain.disk, domain.tag.generation, domain.power};
  }
  return {};
}

std::vector<std::string> Machine::Desktops() {
  std::vector<std::string> desktops;
  for (const DomainInfo& domain : hypervisor_.Domains()) desktops.push_back(domain.tag.desktop);
  return desktops;
}

uint64_t Machine::RunningMib() {
  uint64_t total = hypervisor_.IncomingMib();
  for (const DomainInfo& domain : hypervisor_.Domains()) {
    const bool in_memory =
        domain.power == DomainPower::kRunning || domain.power == DomainPower::kSuspended;
    if (in_memory) total += domain.memory_mib;
  }
  return total;
}

v1::HostLoad Machine::Load() {
  v1::HostLoad load;
  load.set_memory_total_mib(physical_mib());
  load.set_memory_free_mib(physical_mib() - std::min(physical_mib(), RunningMib()));
  load.set_cpus(8);
  load.set_cpu_used(0.2);
  return load;
}

}  // namespace werkplek::sim
