// A fixture: site a with hosts on one shared storage, and a pool whose desktops can move.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/core/views.h"
#include "tests/unit/broker/core/municipality.h"

namespace werkplek {

class MovingSite : public Municipality {
 protected:
  explicit MovingSite(BrokerSettings settings = {}) { driver_ = Driver(settings); }

  void AddMovingHost(const std::string& name, const std::string& site) {
    v1::Resource host = MakeHost(name, site);
    host.mutable_host()->set_memory_limit_mib(10 * 1024);
    driver_.Create(host);
    FakeHost& fake = driver_.AddHost(name);
    fake.report().add_storages("san");
    fake.report().set_migration_uri(absl::StrCat("qemu+tls://", name, "/system"));
    fake.report().set_lock_manager("lockd");
    driver_.ReportAll();
  }

  // Hosts hv-a1 .. of site a, and hv-b1 of site b.
  void Build(int hosts, uint32_t spares, uint32_t max = 20) {
    driver_.Create(MakeSite("a"));
    driver_.Create(MakeSite("b"));
    driver_.Create(MakeImage("tiny"));
    for (int i = 1; i <= hosts; ++i) AddMovingHost(absl::StrCat("hv-a", i), "a");
    AddMovingHost("hv-b1", "b");
    v1::Resource pool = MakePool("kantoor", 0, max, spares);
    pool.mutable_pool()->set_storage("san");
    pool.mutable_pool()->add_sites("a");
    driver_.Create(pool);
    driver_.Create(MakeEntitlement("kantoor"));
    driver_.Advance(absl::Seconds(3));
  }
  // While it does, only `host` of site a takes work.
  template <typename Do>
  void OnlyOn(const std::string& host, Do what) {
    SetOthers(host, v1::SCHEDULABILITY_MAINTENANCE);
    what();
    SetOthers(host, v1::SCHEDULABILITY_OPEN);
  }
  void SetOthers(const std::string& host, v1::Schedulability to) {
    for (const auto& [name, fake] : driver_.hosts) {
      if (name != host && name[3] == 'a') SetSchedulability(v1::RESOURCE_KIND_HOST, name, to);
    }
  }
  // The user works on a desktop of the host, whose display is open.
  void WorkOn(const std::string& host, const std::string& user) {
    OnlyOn(host, [&] {
      Come(user);
      driver_.Advance(absl::Seconds(4));
      ASSERT_NE(driver_.DesktopOf(user), nullptr);
      ASSERT_EQ(driver_.DesktopOf(user)->host(), host);
      Look(user);
    });
  }
  void Drain(const std::string& host) {
    SetSchedulability(v1::RESOURCE_KIND_HOST, host, v1::SCHEDULABILITY_DRAINING);
  }
  std::string HostOf(const std::string& user) {
    const v1::Desktop* desktop = driver_.DesktopOf(user);
    return desktop == nullptr ? "" : desktop->host();
  }
  std::string TargetOf(const std::string& user) {
    const v1::Desktop* desktop = driver_.DesktopOf(user);
    return desktop == nullptr ? "" : desktop->moving_to();
  }
  int Moving() {
    int moving = 0;
    for (const auto& entry : driver_.fleet().desktops) moving += entry.record->moving_to() != "";
    return moving;
  }
  std::map<std::string, uint64_t> Committed() {
    v1::ListHostsRequest request;
    const auto answer = View({driver_.fleet(), {}, driver_.now}, request);
    std::map<std::string, uint64_t> committed;
    for (const auto& host : answer->hosts()) committed[host.host()] = host.memory_committed_mib();
    return committed;
  }
  // What `explain` says of the desktop.
  std::vector<std::string> Explained(const std::string& id) {
    v1::ExplainRequest request;
    request.set_id(id);
    const auto answer = View({driver_.fleet(), {}, driver_.now}, request);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return {answer->steps().begin(), answer->steps().end()};
  }
  // "broker desktop:... ok hv-a1 to hv-a2".
  std::vector<std::string> Audited(const std::string& action) {
    std::vector<std::string> lines;
    for (const v1::AuditRecord& record : driver_.audit()) {
      if (record.action() != action) continue;
      lines.push_back(absl::StrCat(record.actor(), " ", record.object(), " ", record.result(), " ",
                                   record.origin()));
    }
    return lines;
  }
  void Wake(const std::string& name) {
    FakeHost& host = driver_.hosts.at(name);
    host.silent = false;
    driver_.Apply(AgentAttached{name, host.link});
  }
};

}  // namespace werkplek
