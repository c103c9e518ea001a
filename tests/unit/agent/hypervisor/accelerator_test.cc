// Runs real QEMUs: the point is that they run here.
#include "agent/hypervisor/accelerator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

std::string Script(const TemporaryFolder& folder, const std::string& name,
                   const std::string& body) {
  const std::string path = folder.Write(name, "#!/bin/sh\n" + body);
  EXPECT_TRUE(RunProgram({"chmod", "755", path}).ok());
  return path;
}

TEST(AcceleratorTest, FoundByTryingAndRemembered) {
  TemporaryFolder folder;
  const auto found = FindAccelerator(folder.File("cache"));
  ASSERT_TRUE(found.ok()) << found.status();
  const std::string cached = ReadWholeFile(folder.File("cache"));
  EXPECT_THAT(cached, testing::StartsWith(std::string(AcceleratorName(*found)) + " "));
  EXPECT_EQ(*FindAccelerator(folder.File("cache")), *found);
}

// A QEMU that counts its trials, says it is a version and fails with KVM.
TEST(AcceleratorTest, TheAnswerHoldsForOneBootAndOneQemu) {
  TemporaryFolder folder;
  const std::string qemu =
      Script(folder, "qemu",
             "case \"$*\" in --version) cat \"$(dirname \"$0\")/version\"; exit ;; *accel=kvm*) "
             "exit 1 ;; esac\necho trial >> \"$(dirname \"$0\")/trials\"; exit 33\n");
  folder.Write("version", "QEMU 1\n");
  const auto trials = [&] { return std::string(ReadWholeFile(folder.File("trials"))).size() / 6; };
  EXPECT_EQ(*FindAccelerator(folder.File("cache"), qemu), Accelerator::kTcg);
  EXPECT_EQ(*FindAccelerator(folder.File("cache"), qemu), Accelerator::kTcg);
  EXPECT_EQ(trials(), 1u);
  folder.Write("version", "QEMU 2\n");
  EXPECT_EQ(*FindAccelerator(folder.File("cache"), qemu), Accelerator::kTcg);
  EXPECT_EQ(trials(), 2u);
  // From an earlier boot, or nonsense.
  folder.Write("cache", "kvm another-boot " + qemu + " QEMU 2\n");
  EXPECT_EQ(*FindAccelerator(folder.File("cache"), qemu), Accelerator::kTcg);
  EXPECT_EQ(trials(), 3u);
}

TEST(AcceleratorTest, WhereNoGuestRunsTheReasonIsTold) {
  TemporaryFolder folder;
  const std::string qemu =
      Script(folder, "qemu", "[ \"$1\" = --version ] && exit 0\necho no luck >&2; exit 1\n");
  const auto found = FindAccelerator("", qemu);
  EXPECT_EQ(found.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(found.status().message()), testing::HasSubstr("no luck"));
  EXPECT_EQ(FindAccelerator("", "no-such-qemu").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace werkplek
