// A fixture: one site, hosts and one pool, driven.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/unit/broker/core/driver.h"

namespace werkplek {

class Municipality : public testing::Test {
 protected:
  // `change` may change the pool before it is made.
  template <typename Change>
  void Open(uint32_t min, uint32_t max, uint32_t spares, Change change) {
    driver_.Create(MakeSite("a"));
    driver_.Create(MakeHost("hv-a1"));
    driver_.Create(MakeImage("tiny"));
    v1::Resource pool = MakePool("kantoor", min, max, spares);
    change(*pool.mutable_pool());
    driver_.Create(pool);
    driver_.Create(MakeEntitlement("kantoor"));
    driver_.AddHost("hv-a1");
    driver_.Advance(absl::Seconds(5));
  }
  void Open(uint32_t min, uint32_t max, uint32_t spares) {
    Open(min, max, spares, [](v1::Pool&) {});
  }

  FakeHost& Host(const std::string& name = "hv-a1") { return driver_.hosts.at(name); }

  // Signs in and connects.
  CallId Come(const std::string& user) { return driver_.Connect(driver_.SignIn(user), "kantoor"); }
  // The viewer opens the display with its ticket.
  void Look(const std::string& user) {
    v1::DesktopReport* desktop = Report(user);
    ASSERT_NE(desktop, nullptr);
    ASSERT_EQ(desktop->open_tickets_size(), 1);
    desktop->clear_open_tickets();
    desktop->set_viewer(v1::VIEWER_CONNECTED);
    driver_.ReportAll();
  }
  void LookAway(const std::string& user) {
    Report(user)->set_viewer(v1::VIEWER_GONE);
    driver_.ReportAll();
  }
  v1::DesktopReport* Report(const std::string& user) {
    const v1::Desktop* desktop = driver_.DesktopOf(user);
    return desktop == nullptr ? nullptr : Host(desktop->host()).Find(desktop->id());
  }
  v1::SessionState State(const std::string& user) {
    const v1::Session* session = driver_.SessionOf(user);
    return session == nullptr ? v1::SESSION_STATE_ENDED : session->state();
  }
  const v1::Session& Session(const std::string& id) { return *driver_.fleet().sessions.Find(id); }
  const v1::Desktop& Desktop(const std::string& id) { return *driver_.fleet().desktops.Find(id); }

  void SetSchedulability(v1::ResourceKind kind, const std::string& name, v1::Schedulability to) {
    v1::SetSchedulabilityRequest request;
    request.set_kind(kind);
    request.set_name(name);
    request.set_schedulability(to);
    const auto answer = driver_.Call(driver_.Admin(), request);
    EXPECT_TRUE(answer.ok()) << answer.status();
  }
  template <typename Change>
  void UpdatePool(Change change) {
    v1::UpdateResourceRequest request;
    *request.mutable_resource() = *driver_.fleet().pools.Find("kantoor");
    change(*request.mutable_resource()->mutable_pool());
    const auto answer = driver_.Call(driver_.Admin(), request);
    EXPECT_TRUE(answer.ok()) << answer.status();
  }
  template <typename Change>
  void UpdateImage(Change change) {
    v1::UpdateResourceRequest request;
    *request.mutable_resource() = *driver_.fleet().images.Find("tiny");
    change(*request.mutable_resource()->mutable_image());
    const auto answer = driver_.Call(driver_.Admin(), request);
    EXPECT_TRUE(answer.ok()) << answer.status();
  }
  absl::Status End(const std::string& user) {
    v1::EndSessionRequest request;
    request.set_session(driver_.SessionOf(user)->id());
    return driver_.Call(driver_.SignIn(user), request).status();
  }
  const PoolSoft& Pool() { return *driver_.fleet().pool_soft.Find("kantoor"); }

  Driver driver_;
};

}  // namespace werkplek
