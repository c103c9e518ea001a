#include "broker/rpc/watch_source.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace werkplek {
namespace {

v1::Change DesktopChange(const std::string& id) {
  v1::Desktop desktop;
  desktop.set_id(id);
  v1::Change change;
  change.set_table(std::string(kDesktopTable));
  change.set_key(id);
  change.set_value(desktop.SerializeAsString());
  return change;
}

v1::Change Deletion(absl::string_view table, const std::string& key) {
  v1::Change change;
  change.set_table(std::string(table));
  change.set_key(key);
  return change;
}

v1::Change OtherChange(absl::string_view table) {
  v1::Change change = Deletion(table, "x");
  change.set_value("");
  return change;
}

Committed Commit(uint64_t revision, std::vector<v1::Change> changes) {
  auto fleet = std::make_shared<Fleet>();
  fleet->revision = revision;
  Committed committed;
  committed.picture = fleet;
  committed.changes = std::make_shared<const ChangeSet>(std::move(changes));
  return committed;
}

Picture PictureAt(uint64_t revision, int desktops) {
  auto fleet = std::make_shared<Fleet>();
  fleet->revision = revision;
  for (int i = 0; i < desktops; ++i) {
    auto desktop = std::make_shared<v1::Desktop>();
    desktop->set_id(absl::StrCat("d", i));
    fleet->desktops.Put(desktop->id(), desktop);
  }
  return fleet;
}

// "1 d0": the revision and what changed.
std::vector<std::string> All(WatchSource& source) {
  std::vector<std::string> all;
  while (auto event = source.Next()) {
    std::string what = "?";
    if (event->has_resource()) what = event->resource().name();
    if (event->has_desktop()) what = event->desktop().id();
    if (event->has_session()) what = event->session().id();
    if (!event->deleted().empty()) what = "-" + event->deleted();
    if (event->caught_up()) what = "caught up";
    all.push_back(absl::StrCat(event->revision(), " ", what));
  }
  return all;
}

using Told = std::vector<std::string>;

TEST(WatchSource, TellsAllThatIsThereThenThatItHas) {
  auto fleet = std::make_shared<Fleet>(*PictureAt(7, 2));
  const auto resource = [](const std::string& name) {
    auto made = std::make_shared<v1::Resource>();
    made->set_name(name);
    return made;
  };
  fleet->sites.Put("s", resource("s"));
  fleet->hosts.Put("h", resource("h"));
  fleet->images.Put("i", resource("i"));
  fleet->pools.Put("p", resource("p"));
  fleet->entitlements.Put("e", resource("e"));
  auto session = std::make_shared<v1::Session>();
  session->set_id("x");
  fleet->sessions.Put("x", session);
  WatchSource source(10);
  EXPECT_EQ(All(source), Told{}) << "not begun";
  source.Begin(fleet);
  EXPECT_EQ(All(source),
            (Told{"7 s", "7 h", "7 i", "7 p", "7 e", "7 d0", "7 d1", "7 x", "7 caught up"}));
}

TEST(WatchSource, TellsACommitOnceWhicheverSideOfThePictureItCame) {
  WatchSource source(10);
  EXPECT_TRUE(source.Add(Commit(4, {DesktopChange("in-picture")})));
  EXPECT_TRUE(source.Add(Commit(5, {DesktopChange("in-picture-too")})));
  EXPECT_TRUE(source.Add(Commit(6, {DesktopChange("after")})));
  source.Begin(PictureAt(5, 0));
  EXPECT_TRUE(source.Add(Commit(5, {DesktopChange("late")})));
  EXPECT_TRUE(source.Add(Commit(7, {DesktopChange("a"), Deletion(kPoolTable, "b")})));
  EXPECT_EQ(All(source), (Told{"5 caught up", "6 after", "7 a", "7 -pool/b"}));
}

TEST(WatchSource, NeverTellsOfSignInsTokensAnswersAndAudit) {
  WatchSource source(10);
  source.Begin(PictureAt(1, 0));
  source.Add(Commit(
      2, {OtherChange(kSignInTable), OtherChange(kTokenTable), OtherChange(kAnsweredTable),
          OtherChange(kAuditTable), Deletion(kSignInTable, "si-1"), Deletion(kTokenTable, "jan")}));
  source.Add(Commit(3, {DesktopChange("d")}));
  EXPECT_EQ(All(source), (Told{"1 caught up", "3 d"}));
}

TEST(WatchSource, KeepsABoundedNumberOfCommits) {
  WatchSource source(2);
  source.Begin(PictureAt(1, 0));
  EXPECT_TRUE(source.Add(Commit(2, {DesktopChange("a")})));
  EXPECT_TRUE(source.Add(Commit(3, {DesktopChange("b")})));
  EXPECT_FALSE(source.Add(Commit(4, {DesktopChange("c")})));
  EXPECT_EQ(All(source), (Told{"1 caught up", "2 a", "3 b"}));
  EXPECT_TRUE(source.Add(Commit(4, {DesktopChange("c")})));
}

TEST(WatchSource, ALargeFleetIsTakenOneByOne) {
  WatchSource source(10);
  const Picture picture = PictureAt(1, 5000);
  source.Begin(picture);
  int told = 0;
  while (auto event = source.Next()) {
    if (event->has_desktop()) ++told;
  }
  EXPECT_EQ(told, 5000);
  EXPECT_EQ(picture.use_count(), 1) << "a picture that was told is let go";
}

}  // namespace
}  // namespace werkplek
