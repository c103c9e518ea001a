#include "broker/model/fleet.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "absl/strings/str_cat.h"

namespace werkplek {
namespace {

template <typename Record>
v1::Change Write(absl::string_view table, const std::string& key, const Record& record) {
  v1::Change change;
  change.set_table(std::string(table));
  change.set_key(key);
  change.set_value(record.SerializeAsString());
  return change;
}

v1::Change Erase(absl::string_view table, const std::string& key) {
  v1::Change change;
  change.set_table(std::string(table));
  change.set_key(key);
  return change;
}

v1::Session SessionOf(const std::string& id, v1::SessionState state) {
  v1::Session session;
  session.set_id(id);
  session.set_user("jan");
  session.set_pool("kantoor");
  session.set_state(state);
  return session;
}

TEST(FleetTest, EveryTableIsWrittenAndErased) {
  Fleet fleet;
  v1::Resource resource;
  resource.set_name("x");
  for (const auto kind : {v1::RESOURCE_KIND_SITE, v1::RESOURCE_KIND_HOST, v1::RESOURCE_KIND_IMAGE,
                          v1::RESOURCE_KIND_POOL, v1::RESOURCE_KIND_ENTITLEMENT}) {
    EXPECT_TRUE(ApplyChange(Write(ResourceTableName(kind), "x", resource), fleet));
    EXPECT_NE(ResourceTable(fleet, kind)->Find("x"), nullptr);
    EXPECT_TRUE(ApplyChange(Erase(ResourceTableName(kind), "x"), fleet));
    EXPECT_TRUE(ResourceTable(fleet, kind)->empty());
  }
  EXPECT_TRUE(ApplyChange(Write(kDesktopTable, "d", v1::Desktop()), fleet));
  EXPECT_TRUE(ApplyChange(Write(kTokenTable, "jan", v1::TokenEnrolment()), fleet));
  EXPECT_TRUE(ApplyChange(Write(kAnsweredTable, "p/1", v1::AnsweredRequest()), fleet));
  EXPECT_TRUE(ApplyChange(Write(kRevocationTable, "host/hv-a1", v1::Revocation()), fleet));
  EXPECT_NE(fleet.revocations.Find("host/hv-a1"), nullptr);
  EXPECT_TRUE(ApplyChange(Write(kSiteLossTable, "a", v1::SiteLoss()), fleet));
  EXPECT_NE(fleet.site_losses.Find("a"), nullptr);
  EXPECT_EQ(fleet.desktops.size() + fleet.tokens.size() + fleet.answered.size(), 3u);
  EXPECT_TRUE(ApplyChange(Erase(kDesktopTable, "d"), fleet));
  EXPECT_TRUE(ApplyChange(Erase(kTokenTable, "jan"), fleet));
  EXPECT_TRUE(ApplyChange(Erase(kAnsweredTable, "p/1"), fleet));
  EXPECT_EQ(fleet.desktops.size() + fleet.tokens.size() + fleet.answered.size(), 0u);
  EXPECT_EQ(ResourceTable(fleet, v1::RESOURCE_KIND_UNSPECIFIED), nullptr);
  EXPECT_EQ(ResourceTableName(v1::RESOURCE_KIND_UNSPECIFIED), "");
}

TEST(FleetTest, TheRecordsOfAFleetMakeTheSameFleet) {
  Fleet fleet;
  std::set<std::string> tables;
  for (const absl::string_view table :
       {kSiteTable, kHostTable, kImageTable, kPoolTable, kEntitlementTable, kDesktopTable,
        kSessionTable, kSignInTable, kTokenTable, kAnsweredTable, kRevocationTable,
        kSiteLossTable}) {
    tables.insert(std::string(table));
    // A message without fields is a record of every table.
    ASSERT_TRUE(ApplyChange(Write(table, absl::StrCat("of ", table), v1::Resource()), fleet));
  }
  Fleet same;
  for (const v1::Change& change : RecordsOf(fleet)) {
    EXPECT_EQ(tables.erase(change.table()), 1u) << change.table();
    EXPECT_EQ(change.key(), "of " + change.table());
    EXPECT_TRUE(ApplyChange(change, same));
  }
  EXPECT_TRUE(tables.empty()) << "forgotten: " << *tables.begin();
  EXPECT_EQ(RecordsOf(same).size(), 12u);
}

TEST(FleetTest, UnknownTablesAndBrokenRecordsLeaveItAsItWas) {
  Fleet fleet;
  EXPECT_FALSE(ApplyChange(Write("planets", "x", v1::Desktop()), fleet));
  v1::Change broken = Erase(kDesktopTable, "d");
  broken.set_value("\xff\xff\xff");
  EXPECT_FALSE(ApplyChange(broken, fleet));
  broken.set_table(std::string(kSessionTable));
  EXPECT_FALSE(ApplyChange(broken, fleet));
  EXPECT_TRUE(fleet.desktops.empty());
  EXPECT_TRUE(fleet.sessions.empty());
}

TEST(FleetTest, LiveSessionsAreThoseThatHaveNotEnded) {
  Fleet fleet;
  ASSERT_TRUE(
      ApplyChange(Write(kSessionTable, "s-1", SessionOf("s-1", v1::SESSION_STATE_ACTIVE)), fleet));
  EXPECT_EQ(*fleet.live_sessions.Find("jan/kantoor"), "s-1");
  ASSERT_TRUE(
      ApplyChange(Write(kSessionTable, "s-1", SessionOf("s-1", v1::SESSION_STATE_ENDED)), fleet));
  EXPECT_TRUE(fleet.live_sessions.empty());
  ASSERT_TRUE(
      ApplyChange(Write(kSessionTable, "s-2", SessionOf("s-2", v1::SESSION_STATE_PENDING)), fleet));
  // The old one's end does not hide the new one.
  ASSERT_TRUE(ApplyChange(Erase(kSessionTable, "s-1"), fleet));
  EXPECT_EQ(*fleet.live_sessions.Find("jan/kantoor"), "s-2");
  ASSERT_TRUE(ApplyChange(Erase(kSessionTable, "s-2"), fleet));
  EXPECT_TRUE(fleet.live_sessions.empty());
}

TEST(FleetTest, ALiveSessionIsFoundHoweverTheNameIsSpelt) {
  EXPECT_EQ(LiveSessionKey("JansenJ", "kantoor"), "jansenj/kantoor");
  EXPECT_EQ(LiveSessionKey("jansenj", "kantoor"), LiveSessionKey("JansenJ", "kantoor"));
}

TEST(FleetTest, ASignInIsFoundByItsNewestToken) {
  Fleet fleet;
  v1::SignIn sign_in;
  sign_in.set_id("i-1");
  sign_in.set_token_sha256("old");
  ASSERT_TRUE(ApplyChange(Write(kSignInTable, "i-1", sign_in), fleet));
  EXPECT_EQ(*fleet.sign_in_by_token.Find("old"), "i-1");
  sign_in.set_token_sha256("new");
  ASSERT_TRUE(ApplyChange(Write(kSignInTable, "i-1", sign_in), fleet));
  EXPECT_EQ(fleet.sign_in_by_token.Find("old"), nullptr);
  EXPECT_EQ(*fleet.sign_in_by_token.Find("new"), "i-1");
  ASSERT_TRUE(ApplyChange(Erase(kSignInTable, "i-1"), fleet));
  EXPECT_TRUE(fleet.sign_in_by_token.empty());
}

TEST(FleetTest, TheAuditGrowsAndIsNeverErased) {
  Fleet fleet;
  ASSERT_TRUE(ApplyChange(Write(kAuditTable, AuditKey(7), v1::AuditRecord()), fleet));
  ASSERT_TRUE(ApplyChange(Write(kAuditTable, AuditKey(6), v1::AuditRecord()), fleet));
  EXPECT_EQ(fleet.audit_sequence, 7u);
  EXPECT_FALSE(ApplyChange(Erase(kAuditTable, AuditKey(7)), fleet));
  EXPECT_FALSE(ApplyChange(Write(kAuditTable, "seven", v1::AuditRecord()), fleet));
  EXPECT_LT(AuditKey(9), AuditKey(10));
}

TEST(FleetTest, AHostsDesktopIsFoundInItsReport) {
  HostSoft host;
  EXPECT_EQ(host.FindDesktop("a"), nullptr);
  auto report = std::make_shared<v1::AgentReport>();
  report->add_desktops()->set_desktop("a");
  report->add_desktops()->set_desktop("c");
  host.report = report;
  EXPECT_EQ(host.FindDesktop("c")->desktop(), "c");
  EXPECT_EQ(host.FindDesktop("b"), nullptr);
  EXPECT_EQ(host.FindDesktop("d"), nullptr);
}

TEST(FleetTest, AHostWithoutALimitGivesAllButATenth) {
  v1::Host host;
  v1::HostLoad load;
  EXPECT_EQ(HostMemoryLimitMib(host, load), 0u);
  load.set_memory_total_mib(1000);
  EXPECT_EQ(HostMemoryLimitMib(host, load), 900u);
  host.set_memory_limit_mib(512);
  EXPECT_EQ(HostMemoryLimitMib(host, load), 512u);
}

}  // namespace
}  // namespace werkplek
