#include "broker/directory/directory_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class DirectorySettingsTest : public testing::Test {
 protected:
  DirectorySettings Good() const {
    DirectorySettings settings;
    settings.servers = {"ldaps://ldap.voorbeeld.nl"};
    settings.ca_file = ca_file_;
    settings.bind_dn = "cn=broker,dc=nl";
    settings.bind_password = Secret("secret");
    settings.user_base = "ou=people,dc=nl";
    settings.group_base = "ou=groups,dc=nl";
    return settings;
  }

  // The complaint after one change to good settings.
  std::string Complaint(const std::function<void(DirectorySettings&)>& change) const {
    DirectorySettings settings = Good();
    change(settings);
    return std::string(settings.Validate().message());
  }

  TemporaryFolder folder_;
  const std::string ca_file_ = folder_.Write("ca.pem", "x");
};

TEST_F(DirectorySettingsTest, GoodOnes) {
  EXPECT_TRUE(Good().Validate().ok()) << Good().Validate();
  EXPECT_EQ(Complaint([](auto& s) { s.servers = {"ldaps://10.0.0.1:636", "ldaps://b"}; }), "");
  EXPECT_EQ(Complaint([](auto& s) {
              s.servers = {"ldap://a:389"};
              s.start_tls = true;
            }),
            "");
  EXPECT_EQ(Complaint([](auto& s) { s.group_base.clear(); }), "");
}

TEST_F(DirectorySettingsTest, NoPasswordEverGoesInClear) {
  EXPECT_THAT(Complaint([](auto& s) { s.servers = {"ldap://a"}; }), HasSubstr("in clear"));
  EXPECT_THAT(Complaint([](auto& s) {
                s.servers = {"ldaps://a", "ldap://b"};
              }),
              HasSubstr("in clear"));
  EXPECT_THAT(Complaint([](auto& s) { s.start_tls = true; }), HasSubstr("TLS from the start"));
  EXPECT_THAT(Complaint([](auto& s) { s.ca_file.clear(); }), StartsWith("ca_file:"));
  EXPECT_THAT(Complaint([](auto& s) { s.ca_file = "/nonexistent"; }), HasSubstr("cannot be read"));
}

TEST_F(DirectorySettingsTest, EachComplaintNamesItsField) {
  using Change = std::function<void(DirectorySettings&)>;
  const std::vector<std::pair<std::string, Change>> bad = {
      {"servers:", [](auto& s) { s.servers.clear(); }},
      {"servers:", [](auto& s) { s.servers = std::vector<std::string>(9, "ldaps://a"); }},
      {"servers:", [](auto& s) { s.servers = {"ldapi:///x"}; }},
      {"servers:", [](auto& s) { s.servers = {"ldaps://"}; }},
      {"servers:", [](auto& s) { s.servers = {"ldaps://:636"}; }},
      {"servers:", [](auto& s) { s.servers = {"ldaps://a/dc=x??sub"}; }},
      {"servers:", [](auto& s) { s.servers = {"ldaps://a ldap://b"}; }},
      {"servers:", [](auto& s) { s.servers = {"ldaps://localhost:636"}; }},
      {"bind_dn:", [](auto& s) { s.bind_dn.clear(); }},
      {"bind_password:", [](auto& s) { s.bind_password = Secret(); }},
      {"user_base:", [](auto& s) { s.user_base.clear(); }},
      {"user_filter:", [](auto& s) { s.user_filter = "(uid=jan)"; }},
      {"user_filter:", [](auto& s) { s.user_filter = "(uid={user}"; }},
      {"user_filter:", [](auto& s) { s.user_filter = "uid={user}"; }},
      {"user_filter:", [](auto& s) { s.user_filter = ")uid={user}("; }},
      {"user_attribute:", [](auto& s) { s.user_attribute.clear(); }},
      {"name_attribute:", [](auto& s) { s.name_attribute.clear(); }},
      {"group_filter:", [](auto& s) { s.group_filter = "(member=x)"; }},
      {"decoy_dn:", [](auto& s) { s.decoy_dn = s.bind_dn; }},
      {"network_timeout:", [](auto& s) { s.network_timeout = absl::ZeroDuration(); }},
      {"operation_timeout:", [](auto& s) { s.operation_timeout = absl::Seconds(4); }},
      {"answer_timeout:", [](auto& s) { s.answer_timeout = absl::Seconds(6); }},
      {"answer_timeout:", [](auto& s) { s.answer_timeout = absl::Seconds(1); }},
      {"group_cache_time:", [](auto& s) { s.group_cache_time = absl::Seconds(61); }},
      {"search_connections:", [](auto& s) { s.search_connections = 0; }},
      {"max_bind_connections:", [](auto& s) { s.max_bind_connections = 1'000; }},
      {"max_calls:", [](auto& s) { s.max_calls = -1; }},
      {"max_groups:", [](auto& s) { s.max_groups = 0; }},
  };
  for (const auto& [field, change] : bad) EXPECT_THAT(Complaint(change), StartsWith(field));
}

}  // namespace
}  // namespace werkplek
