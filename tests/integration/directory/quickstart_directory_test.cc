// The quick start's directory, made by its own script, served by slapd, and read by LdapDirectory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/integration/directory/directory_harness.h"

namespace werkplek {
namespace {

using testing::Contains;
using testing::IsSupersetOf;
using testing::Not;

class QuickstartDirectoryTest : public testing::Test {
 protected:
  QuickstartDirectoryTest() : QuickstartDirectoryTest(std::vector<std::string>()) {}
  explicit QuickstartDirectoryTest(const std::vector<std::string>& more_arguments) {
    const ServerCertificate certificate = authority_.Issue({}, {"127.0.0.1"});
    std::vector<std::string> command = {
        absl::StrCat(getenv("WERKPLEK_SOURCE_DIR"), "/deploy/quickstart/directory/make-directory"),
        "--folder",
        path(),
        "--certificate",
        certificate.certificate,
        "--key",
        certificate.key};
    command.insert(command.end(), more_arguments.begin(), more_arguments.end());
    const absl::StatusOr<std::string> made = RunProgram(command);
    if (!made.ok()) {
      ADD_FAILURE() << made.status();
      return;
    }
    for (const absl::string_view line :
         absl::StrSplit(ReadWholeFile(path() + "/passwords.tsv"), '\n', absl::SkipEmpty())) {
      people_.push_back(absl::StrSplit(line, '\t'));
    }
    slapd_ = std::make_unique<ChildProcess>(std::vector<std::string>{
        "slapd", "-d", "0", "-f", path() + "/slapd.conf", "-h", absl::StrCat(url_, "/")});
    EXPECT_TRUE(WaitForListener(*slapd_, port_));
  }

  ~QuickstartDirectoryTest() override {
    if (slapd_ != nullptr) slapd_->Stop();
  }

  void EverybodySignsInWithTheirGroups();

  std::string path() const { return folder_.File("the directory"); }

  DirectorySettings Settings() const {
    const nlohmann::json facts = nlohmann::json::parse(ReadWholeFile(path() + "/directory.json"));
    DirectorySettings settings;
    settings.servers = {url_};
    settings.ca_file = authority_.ca_file();
    settings.bind_dn = facts["bind_dn"];
    settings.bind_password = Secret(ReadWholeFile(path() + "/service.password"));
    settings.user_base = facts["user_base"];
    settings.user_filter = facts["user_filter"];
    settings.user_attribute = facts["user_attribute"];
    settings.group_base = facts["group_base"];
    settings.group_filter = facts["group_filter"];
    settings.decoy_dn = facts["decoy_dn"];
    return settings;
  }

  static std::string Group(const std::string& name) {
    return absl::StrCat("cn=", name, ",ou=groups,dc=voorbeeld,dc=nl");
  }

  DirectoryAuthority authority_;
  TemporaryFolder folder_;
  const int port_ = FreeLoopbackPort();
  const std::string url_ = absl::StrCat("ldaps://127.0.0.1:", port_);
  std::vector<std::vector<std::string>> people_;
  std::unique_ptr<ChildProcess> slapd_;
};

void QuickstartDirectoryTest::EverybodySignsInWithTheirGroups() {
  DirectoryHarness harness(Settings());
  ASSERT_TRUE(harness.status().ok()) << harness.status();
  for (size_t i = 0; i < people_.size(); ++i) {
    const std::vector<std::string>& person = people_[i];
    const DirectoryAnswer answer = harness.Authenticate(person[0], person[1]);
    ASSERT_EQ(answer.outcome, DirectoryOutcome::kOk) << person[0] << ": " << answer.detail;
    EXPECT_EQ(answer.person.display_name, person[2]);
    EXPECT_THAT(answer.person.groups, IsSupersetOf({Group("gemeente"), Group(person[3])}));
    const auto role = [&](const std::string& name, bool has) {
      if (has) {
        EXPECT_THAT(answer.person.groups, Contains(Group(name))) << i;
      } else {
        EXPECT_THAT(answer.person.groups, Not(Contains(Group(name)))) << i;
      }
    };
    role("beheerders", i < 2);
    role("helpdesk", i >= 2 && i < 5);
    role("auditors", i >= 5 && i < 7);
  }
  EXPECT_EQ(harness.Authenticate(people_[0][0], people_[1][1]).outcome, DirectoryOutcome::kDenied);
  EXPECT_EQ(harness.Authenticate("nobody.atall", "x").detail, "unknown user");
}

TEST_F(QuickstartDirectoryTest, EverybodySignsInWithTheirGroups) {
  ASSERT_EQ(people_.size(), 200u);
  EverybodySignsInWithTheirGroups();
}

// Too few for every department: a group without a member is no group.
class SmallestDirectoryTest : public QuickstartDirectoryTest {
 protected:
  SmallestDirectoryTest() : QuickstartDirectoryTest({"--employees", "20"}) {}
};

TEST_F(SmallestDirectoryTest, EverybodySignsInWithTheirGroups) {
  ASSERT_EQ(people_.size(), 20u);
  EverybodySignsInWithTheirGroups();
}

TEST_F(QuickstartDirectoryTest, PasswordsAreForTheOwnerOnly) {
  for (const char* name : {"passwords.tsv", "service.password", "admin.password", "slapd.conf"}) {
    struct stat facts = {};
    ASSERT_EQ(stat((path() + "/" + name).c_str(), &facts), 0) << name;
    EXPECT_EQ(facts.st_mode & 0777, 0600u) << name;
  }
  // Hashes of the people's passwords stay in the database.
  EXPECT_EQ(ReadWholeFile(path() + "/directory.ldif"), "");
}

}  // namespace
}  // namespace werkplek
