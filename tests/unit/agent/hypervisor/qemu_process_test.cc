// Killing a machine without libvirt, with `sleep` in QEMU's place.
#include "agent/hypervisor/qemu_process.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "agent/hypervisor/embed_root.h"
#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

constexpr char kUuid[] = "00000000-0000-4000-8000-000000000001";

class QemuProcessTest : public testing::Test {
 protected:
  // A program that lives, with QEMU's argument among its own.
  QemuProcessTest() : machine_({"sh", "-c", "echo up; read wait", "-uuid", kUuid}, Options()) {}

  ChildOptions Options() {
    ChildOptions options;
    options.output_file = folder_.File("out");
    return options;
  }
  std::string PidFile(int64_t pid) { return folder_.Write("d1.pid", absl::StrCat(pid, "\n")); }

  TemporaryFolder folder_;
  ChildProcess machine_;
};

TEST_F(QemuProcessTest, OnlyTheMachineOfThatUuidIsKilled) {
  ChildProcess other({"sleep", "1000"});
  EXPECT_EQ(*KillQemu(PidFile(other.pid()), kUuid, absl::Seconds(5)), false);
  EXPECT_TRUE(other.Running());
  EXPECT_EQ(*KillQemu(PidFile(other.pid()), "", absl::Seconds(5)), false);
  EXPECT_TRUE(other.Running());
}

TEST_F(QemuProcessTest, AMachineThatIsNotThereIsNone) {
  EXPECT_EQ(*KillQemu(folder_.File("none.pid"), kUuid, absl::Seconds(5)), false);
  EXPECT_EQ(*KillQemu(folder_.Write("bad.pid", "x"), kUuid, absl::Seconds(5)), false);
  EXPECT_EQ(*KillQemu(folder_.Write("init.pid", "1"), kUuid, absl::Seconds(5)), false);
  EXPECT_EQ(*KillQemu(folder_.Write("late.pid", "4194000"), kUuid, absl::Seconds(5)), false);
}

TEST(QemuStateFolderTest, EachDriverHasItsOwn) {
  EXPECT_EQ(QemuStateFolderOf("qemu:///system"), "/run/libvirt/qemu");
  EXPECT_EQ(QemuStateFolderOf(EmbedUri("/x")), "/x/run/qemu");
  EXPECT_EQ(QemuStateFolderOf("test:///default"), "");
}

TEST(LockManagerTest, WhatTheFileSays) {
  EXPECT_EQ(ParseLockManager(""), "nop");
  EXPECT_EQ(ParseLockManager("user = \"root\"\n# lock_manager = \"sanlock\"\n"), "nop");
  EXPECT_EQ(ParseLockManager("  lock_manager=\"lockd\" # yes\n"), "lockd");
  EXPECT_EQ(ParseLockManager("lock_manager = \"lockd\"\nlock_manager = \"sanlock\"\n"), "sanlock");
  EXPECT_EQ(ParseLockManager("lock_manager_x = \"lockd\"\n"), "nop");
  EXPECT_EQ(LockManagerOf("test:///default"), "");
}

TEST(LockManagerTest, TheEmbeddedDriverHasItsOwnFile) {
  TemporaryFolder folder;
  EXPECT_EQ(LockManagerOf(EmbedUri(folder.path())), "nop");
  ASSERT_EQ(PrepareEmbedRoot(folder.path()), absl::OkStatus());
  folder.Write("etc/qemu.conf", "lock_manager = \"lockd\"\n");
  EXPECT_EQ(LockManagerOf(EmbedUri(folder.path())), "lockd");
}

}  // namespace
}  // namespace werkplek
