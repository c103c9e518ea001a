#include "broker/core/gateway_views.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/crypto.h"

namespace werkplek {
namespace {

using testing::ElementsAre;

class GatewayViewsTest : public testing::Test {
 protected:
  GatewayViewsTest() {
    v1::Resource host;
    host.mutable_host()->set_site("a");
    fleet_.hosts.Put("hv-a1", std::make_shared<const v1::Resource>(host));
    v1::Desktop desktop;
    desktop.set_id("kantoor-1");
    desktop.set_host("hv-a1");
    fleet_.desktops.Put("kantoor-1", std::make_shared<const v1::Desktop>(desktop));
    desktop.set_id("kantoor-2");
    desktop.set_host("hv-a2");
    fleet_.desktops.Put("kantoor-2", std::make_shared<const v1::Desktop>(desktop));
    auto report = std::make_shared<v1::AgentReport>();
    report->add_relays("hv-a1.example:7450");
    v1::DesktopReport* one = report->add_desktops();
    one->set_desktop("kantoor-1");
    one->add_open_tickets(Sha256("t1"));
    HostSoft soft;
    soft.report = report;
    fleet_.host_soft.Put("hv-a1", std::make_shared<const HostSoft>(soft));
  }

  absl::StatusOr<v1::FindDisplayResponse> Find(const std::string& desktop,
                                               const std::string& ticket_sha256) {
    v1::FindDisplayRequest request;
    request.set_desktop(desktop);
    request.set_ticket_sha256(ticket_sha256);
    return View(ViewContext{fleet_, settings_, absl::UnixEpoch()}, request);
  }

  Fleet fleet_;
  BrokerSettings settings_;
};

TEST_F(GatewayViewsTest, AnOpenTicketTellsWhereTheDisplayIs) {
  const auto found = Find("kantoor-1", Sha256("t1"));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->host(), "hv-a1");
  EXPECT_THAT(found->relays(), ElementsAre("hv-a1.example:7450"));
}

TEST_F(GatewayViewsTest, EverythingElseGetsOneAnswer) {
  const auto unknown = Find("kantoor-1", Sha256("t2"));
  EXPECT_TRUE(absl::IsNotFound(unknown.status()));
  EXPECT_EQ(Find("kantoor-9", Sha256("t1")).status(), unknown.status());
  // Its host has not reported.
  EXPECT_EQ(Find("kantoor-2", Sha256("t1")).status(), unknown.status());
}

TEST_F(GatewayViewsTest, ATicketIsNamedByItsHash) {
  EXPECT_TRUE(absl::IsInvalidArgument(Find("kantoor-1", "t1").status()));
}

TEST_F(GatewayViewsTest, AHostHasASite) {
  EXPECT_EQ(SiteOf(fleet_, "hv-a1"), "a");
  EXPECT_EQ(SiteOf(fleet_, "hv-a9"), "");
}

}  // namespace
}  // namespace werkplek
