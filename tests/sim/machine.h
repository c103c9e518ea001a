// One hypervisor host of a simulation: the fake hypervisor, overlays in memory, and the truth about
// who used which overlay. It outlives agents, and loses power when it is told to.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/core/agent_core.h"
#include "agent/operation/run_operation.h"
#include "tests/sim/scenario.h"
#include "tests/support/fake_hypervisor/fake_hypervisor.h"
#include "tests/support/fake_shared_storage.h"

namespace werkplek::sim {

class Machine {
 public:
  Machine(std::string name, const Scenario& scenario);

  const std::string& name() const { return name_; }
  FakeHypervisor& hypervisor() { return hypervisor_; }
  const ImageFunctions& images() const { return images_; }

  // The overlay file that the desktop's domain stands on, its generation, and whether it runs.
  struct Place {
    std::string overlay;
    uint64_t generation = 0;
    DomainPower power = DomainPower::kOff;
  };
  Place PlaceOf(const std::string& desktop);
  std::vector<std::string> Desktops();

  // What libvirt elsewhere calls this one's by.
  std::string migration_uri() const { return "qemu+tls://" + name_ + "/system"; }

  // In memory here, or kept for what is on its way here.
  uint64_t RunningMib();
  uint64_t physical_mib() const { return scenario_.host_memory_mib; }
  v1::HostLoad Load();

  // Sees every event of the hypervisor, until the next call.
  void Listen(std::function<void(const HypervisorEvent&)> listener) {
    listener_ = std::move(listener);
  }
  // Told whenever a desktop's virtual machine has come to run here, or runs here no longer.
  std::function<void(const std::string& desktop, bool runs)> runs_changed;

  // Starts of desktops fail while an image is broken.
  void SetImageBroken(bool broken) { image_broken_ = broken; }
  // The machine stops, and starts again: memory is lost, disks stay.
  void PowerOff() {
    powered = false;
    ++boots;
    hypervisor_.RestartHost();
    heard = {};
    NoteRuns();
  }
  bool powered = true;

  // The shared storages of this machine; they outlive it.
  std::vector<FakeSharedStorage*> storages;

  // On the host's disk.
  uint64_t epoch_on_disk = 0;
  // What the agent saved of when it was last heard; of this boot.
  HeardState heard;
  // The truth about the same.
  uint64_t epoch_persisted = 0;
  // How much of a second passes on its agent's clock in each second, in thousandths.
  int64_t clock_permille = 1000;
  uint64_t boots = 1;
  uint64_t agent_runs = 0;

 private:
  void NoteRuns();
  absl::StatusOr<Overlay> CreateOverlay(const DiskKey& disk, const std::string& sha256);
  void AddKeptDisks();
  absl::StatusOr<FakeSharedStorage*> StorageOf(const DiskKey& disk);

  const std::string name_;
  const Scenario scenario_;
  FakeHypervisor hypervisor_;
  ImageFunctions images_;
  // By storage and name.
  std::map<std::pair<std::string, std::string>, v1::ImageReport> at_hand_;
  bool image_broken_ = false;
  std::function<void(const HypervisorEvent&)> listener_;
  std::set<std::string> running_;
  uint64_t next_inode_ = 1;
  // By path.
  std::map<std::string, std::string> overlays_;
};

}  // namespace werkplek::sim
