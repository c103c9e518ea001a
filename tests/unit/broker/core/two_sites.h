// A fixture: two sites with hosts and pools, driven.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/core/site_views.h"
#include "tests/unit/broker/core/driver.h"
#include "tests/unit/broker/core/municipality.h"

namespace werkplek {

// Two sites, a and b, of hosts hv-a1, hv-a2, ... and hv-b1, ...
class TwoSites : public Municipality {
 protected:
  void Build(int of_a, int of_b, v1::SiteReturn on_return = v1::SITE_RETURN_AUTOMATIC) {
    for (const char* name : {"a", "b"}) {
      v1::Resource site = MakeSite(name);
      site.mutable_site()->set_on_return(on_return);
      driver_.Create(site);
      for (int i = 1; i <= (name[0] == 'a' ? of_a : of_b); ++i) {
        driver_.Create(MakeHost(absl::StrCat("hv-", name, i), name));
      }
    }
    driver_.Create(MakeImage("tiny"));
    for (const auto& entry : Fleet(driver_.fleet()).hosts) driver_.AddHost(entry.key);
  }
  void AddPool(const std::string& name, uint32_t priority, uint32_t min, uint32_t max,
               uint32_t spares, const std::string& home = "") {
    v1::Resource pool = MakePool(name, min, max, spares);
    pool.mutable_pool()->set_priority(priority);
    pool.mutable_pool()->set_home_site(home);
    driver_.Create(pool);
    driver_.Create(MakeEntitlement(name));
    driver_.Advance(absl::Seconds(3));
  }
  void Silence(const std::string& site, bool silent = true) {
    for (auto& [name, host] : driver_.hosts) {
      if (name[3] != site[0]) continue;
      if (!silent && host.silent) {
        host.silent = false;
        driver_.Apply(AgentAttached{name, host.link});
      }
      host.silent = silent;
    }
  }
  std::string Loss(const std::string& site) {
    return SiteStatusOf({driver_.fleet(), {}, driver_.now}, site).loss();
  }
  std::string SiteOf(const std::string& user) {
    const v1::Desktop* desktop = driver_.DesktopOf(user);
    return desktop == nullptr ? "" : desktop->host().substr(3, 1);
  }
  // "site-loss site:a lost", ...
  std::vector<std::string> Audited(const std::string& action) {
    std::vector<std::string> lines;
    for (const v1::AuditRecord& record : driver_.audit()) {
      if (record.action() != action) continue;
      lines.push_back(absl::StrCat(record.actor(), " ", record.object(), " ", record.result()));
    }
    return lines;
  }
  absl::Status ConfirmLoss(const std::string& site, const std::string& reason = "power is out") {
    v1::ConfirmSiteLossRequest request;
    request.set_site(site);
    request.set_reason(reason);
    return driver_.Call(driver_.Admin(), request).status();
  }
  absl::Status Readmit(const std::string& site) {
    v1::ReadmitSiteRequest request;
    request.set_site(site);
    return driver_.Call(driver_.Admin(), request).status();
  }
  int At(const std::string& site, v1::DesktopState state) {
    int count = 0;
    for (const auto& entry : driver_.fleet().desktops) {
      const v1::Desktop& desktop = *entry.record;
      count += desktop.state() == state && desktop.host()[3] == site[0] ? 1 : 0;
    }
    return count;
  }
};

}  // namespace werkplek
