// Groups as a real slapd keeps them: nested, in circles, many, and too many.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/integration/directory/directory_harness.h"

namespace werkplek {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAreArray;

class GroupsTest : public testing::Test {
 protected:
  static constexpr int kMany = 1'000;

  static SlapdOptions Options(DirectoryAuthority& authority) {
    SlapdOptions options;
    options.certificate = authority.Issue({}, {"127.0.0.1"});
    std::string& ldif = options.ldif;
    for (const char* uid : {"deep", "circle", "many", "toomany", "none"}) {
      ldif += PersonLdif(uid, "right");
    }
    ldif += PersonLdif("listed", "right", "seeAlso: " + GroupDn("depth3") + "\n");
    ldif += GroupLdif("depth1", {PersonDn("deep")});
    for (int depth = 2; depth <= 10; ++depth) {
      ldif += GroupLdif(absl::StrCat("depth", depth), {GroupDn(absl::StrCat("depth", depth - 1))});
    }
    ldif += GroupLdif("round1", {PersonDn("circle"), GroupDn("round3"), GroupDn("round1")});
    ldif += GroupLdif("round2", {GroupDn("round1")});
    ldif += GroupLdif("round3", {GroupDn("round2")});
    for (int i = 0; i < kMany; ++i) {
      ldif += GroupLdif(absl::StrCat("many", i), {PersonDn("many"), PersonDn("toomany")});
    }
    ldif += GroupLdif("one-more", {GroupDn("many7"), PersonDn("toomany")});
    return options;
  }

  DirectorySettings Settings() const {
    DirectorySettings settings = SettingsFor({slapd_.url()}, authority_.ca_file());
    settings.max_groups = kMany + 1;
    return settings;
  }

  DirectoryAuthority authority_;
  Slapd slapd_{Options(authority_)};
};

TEST_F(GroupsTest, NestedTenDeep) {
  DirectoryHarness harness(Settings());
  const DirectoryAnswer answer = harness.Authenticate("deep", "right");
  ASSERT_EQ(answer.outcome, DirectoryOutcome::kOk) << answer.detail;
  std::vector<std::string> expected;
  for (int depth = 1; depth <= 10; ++depth) {
    expected.push_back(GroupDn(absl::StrCat("depth", depth)));
  }
  EXPECT_THAT(answer.person.groups, UnorderedElementsAreArray(expected));
  EXPECT_TRUE(std::is_sorted(answer.person.groups.begin(), answer.person.groups.end()));
}

TEST_F(GroupsTest, CirclesEnd) {
  DirectoryHarness harness(Settings());
  EXPECT_THAT(harness.Authenticate("circle", "right").person.groups,
              ElementsAre(GroupDn("round1"), GroupDn("round2"), GroupDn("round3")));
}

TEST_F(GroupsTest, NobodysGroups) {
  DirectoryHarness harness(Settings());
  const DirectoryAnswer answer = harness.Authenticate("none", "right");
  EXPECT_EQ(answer.outcome, DirectoryOutcome::kOk);
  EXPECT_THAT(answer.person.groups, IsEmpty());
}

TEST_F(GroupsTest, AThousandWithinTheDeadline) {
  DirectoryHarness harness(Settings());
  const DirectoryAnswer answer = harness.Authenticate("many", "right");
  ASSERT_EQ(answer.outcome, DirectoryOutcome::kOk) << answer.detail;
  EXPECT_THAT(answer.person.groups, SizeIs(kMany + 1));
  EXPECT_THAT(answer.person.groups, Contains(GroupDn("one-more")));
}

TEST_F(GroupsTest, MoreThanTheCapIsAnErrorAndNeverAPart) {
  DirectorySettings settings = Settings();
  settings.max_groups = kMany;
  DirectoryHarness harness(settings);
  // One too many in the first answer; one too many found by the walk.
  for (const char* user : {"toomany", "many"}) {
    const DirectoryAnswer answer = harness.Authenticate(user, "right");
    EXPECT_EQ(answer.outcome, DirectoryOutcome::kUnavailable);
    EXPECT_THAT(answer.detail, HasSubstr("1000 groups"));
    EXPECT_THAT(answer.person.groups, IsEmpty());
    EXPECT_EQ(harness.Find(user).status().code(), absl::StatusCode::kUnavailable);
  }
  EXPECT_EQ(harness.Authenticate("deep", "right").outcome, DirectoryOutcome::kOk);
}

TEST_F(GroupsTest, AListCutByTheServerIsAnErrorToo) {
  SlapdOptions options = Options(authority_);
  options.service_size_limit = "100";
  const Slapd strict(options);
  DirectorySettings settings = Settings();
  settings.servers = {strict.url()};
  DirectoryHarness harness(settings);
  const DirectoryAnswer answer = harness.Authenticate("many", "right");
  EXPECT_EQ(answer.outcome, DirectoryOutcome::kUnavailable);
  EXPECT_THAT(answer.detail, HasSubstr("gives only 100 groups"));
  EXPECT_EQ(harness.Authenticate("deep", "right").outcome, DirectoryOutcome::kOk);
}

TEST_F(GroupsTest, RememberedForAShortTimeOnly) {
  DirectorySettings settings = Settings();
  settings.group_cache_time = absl::Seconds(60);
  DirectoryHarness remembers(settings);
  settings.group_cache_time = absl::Nanoseconds(1);
  DirectoryHarness forgets(settings);
  for (DirectoryHarness* harness : {&remembers, &forgets}) {
    EXPECT_THAT(harness->Authenticate("none", "right").person.groups, IsEmpty());
  }
  slapd_.Modify("dn: " + GroupDn("depth9") +
                "\nchangetype: modify\nadd: member\nmember: " + PersonDn("none") + "\n");
  EXPECT_THAT(remembers.Authenticate("none", "right").person.groups, IsEmpty());
  EXPECT_THAT(forgets.Authenticate("none", "right").person.groups,
              ElementsAre(GroupDn("depth10"), GroupDn("depth9")));
  // A person's own entry is never remembered.
  slapd_.Modify("dn: " + PersonDn("none") + "\nchangetype: delete\n");
  EXPECT_EQ(remembers.Authenticate("none", "right").detail, "unknown user");
}

TEST_F(GroupsTest, GroupsOnThePersonSaveASearch) {
  DirectorySettings settings = Settings();
  settings.member_of_attribute = "seeAlso";
  DirectoryHarness harness(settings);
  const DirectoryAnswer answer = harness.Authenticate("listed", "right");
  ASSERT_EQ(answer.outcome, DirectoryOutcome::kOk) << answer.detail;
  EXPECT_THAT(answer.person.groups, SizeIs(8));
  EXPECT_EQ(slapd_.CountInLog("(member=" + PersonDn("listed")), 0);
}

TEST_F(GroupsTest, WithoutAGroupBaseNobodyHasGroups) {
  DirectorySettings settings = Settings();
  settings.group_base.clear();
  DirectoryHarness harness(settings);
  const DirectoryAnswer answer = harness.Authenticate("deep", "right");
  EXPECT_EQ(answer.outcome, DirectoryOutcome::kOk);
  EXPECT_THAT(answer.person.groups, IsEmpty());
}

}  // namespace
}  // namespace werkplek
