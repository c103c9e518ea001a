// What every Hypervisor promises, as one suite; a kit says how to get one.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "agent/hypervisor/hypervisor.h"
#include "common/base/mutex.h"

namespace werkplek {

// A host without desktops of ours.
class HypervisorKit {
 public:
  virtual ~HypervisorKit() = default;
  virtual Hypervisor& hypervisor() = 0;
  // A spec that this host can run, with what the guest needs; `number` makes it unique.
  virtual DomainSpec Spec(const std::string& desktop, int number) = 0;
  virtual bool has_displays() const = 0;
  virtual bool has_guests() const = 0;
  // Another host that takes moves from this one, and its URI; null: there is none.
  virtual Hypervisor* other() { return nullptr; }
  virtual std::string other_uri() { return ""; }
};

struct KitParameter {
  std::string name;
  std::function<std::unique_ptr<HypervisorKit>()> make;
};

inline std::ostream& operator<<(std::ostream& out, const KitParameter& kit) {
  return out << kit.name;
}

// Collects events; Wait blocks until one like `kind` of `desktop` came, or a minute passed.
class EventCollector {
 public:
  explicit EventCollector(Hypervisor& hypervisor) : hypervisor_(hypervisor) {
    hypervisor.Listen([this](const HypervisorEvent& event) {
      MutexLock lock(mutex_);
      events_.emplace(event.kind, event.desktop);
      came_.SignalAll();
    });
  }
  ~EventCollector() { hypervisor_.Listen(nullptr); }

  bool Wait(HypervisorEvent::Kind kind, const std::string& desktop) {
    MutexLock lock(mutex_);
    const absl::Time deadline = absl::Now() + absl::Minutes(1);
    while (events_.count({kind, desktop}) == 0) {
      const absl::Duration left = deadline - absl::Now();
      if (left <= absl::ZeroDuration()) return false;
      came_.WaitFor(mutex_, left);
    }
    return true;
  }
  void Clear() {
    MutexLock lock(mutex_);
    events_.clear();
  }

 private:
  Hypervisor& hypervisor_;
  Mutex mutex_;
  CondVar came_;
  std::set<std::pair<HypervisorEvent::Kind, std::string>> events_ ABSL_GUARDED_BY(mutex_);
};

class HypervisorContract : public testing::TestWithParam<KitParameter> {
 protected:
  HypervisorContract() : kit_(GetParam().make()) {}
  ~HypervisorContract() override {
    if (kit_ == nullptr) return;
    const auto left = hv().List();
    if (!left.ok()) return;
    for (const DomainInfo& info : *left) {
      hv().Shutdown(info.tag.desktop, ShutdownMode::kPowerOff).IgnoreError();
      hv().Remove(info.tag.desktop).IgnoreError();
    }
  }

  Hypervisor& hv() { return kit_->hypervisor(); }
  DomainSpec Make(const std::string& desktop) {
    DomainSpec spec = kit_->Spec(desktop, ++made_);
    EXPECT_EQ(hv().Create(spec), absl::OkStatus());
    return spec;
  }
  // The one desktop of that name; a failure when it is not listed exactly once.
  DomainInfo Info(const std::string& desktop) {
    const auto all = hv().List();
    EXPECT_EQ(all.status(), absl::OkStatus());
    std::vector<DomainInfo> found;
    if (all.ok()) {
      for (const DomainInfo& info : *all) {
        if (info.tag.desktop == desktop) found.push_back(info);
      }
    }
    EXPECT_EQ(found.size(), 1u) << desktop;
    return found.empty() ? DomainInfo() : found[0];
  }

  std::unique_ptr<HypervisorKit> kit_;
  int made_ = 0;
};

inline bool operator==(const DomainTag& a, const DomainTag& b) {
  return a.desktop == b.desktop && a.pool == b.pool && a.image == b.image &&
         a.generation == b.generation && a.overlay_identity == b.overlay_identity &&
         a.overlay_created_unix_ns == b.overlay_created_unix_ns &&
         a.backing_sha256 == b.backing_sha256 && a.session == b.session && a.used == b.used &&
         a.kept == b.kept && a.fencing_required == b.fencing_required && a.fenced == b.fenced &&
         a.storage == b.storage;
}

inline DomainSpec PlainSpec(const std::string& desktop, int number) {
  DomainSpec spec;
  spec.tag = {.desktop = desktop,
              .pool = "office <& \"quoted\" 'é'",
              .image = "tiny",
              .generation = 7,
              .overlay_identity = "65024:1234",
              .overlay_created_unix_ns = 1700000000123456789,
              .backing_sha256 = std::string(64, 'a'),
              .session = "s-1",
              .used = false};
  spec.uuid = absl::StrFormat("7f9c2ba4-e88f-4270-9b5f-%012x", number);
  spec.memory_mib = 128;
  spec.vcpus = 1;
  spec.disk = absl::StrCat("/nonexistent/", desktop, ".qcow2");
  return spec;
}

}  // namespace werkplek
