// A libvirtd that dies and comes back. It runs in a mount namespace of its own (no file of the
// system's libvirt is touched) and serves libvirt's test driver.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/hypervisor/libvirt_hypervisor.h"
#include "common/base/mutex.h"
#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

using absl::StatusCode;

class Libvirtd {
 public:
  explicit Libvirtd(const TemporaryFolder& folder)
      : process_({"unshare", "-m", "sh", "-c",
                  "for folder in /run /var/lib /var/log /var/cache /etc/libvirt; do "
                  "mkdir -p $folder && mount -t tmpfs none $folder || exit 1; done; "
                  "mkdir -p /run/libvirt; exec libvirtd -f \"$0\" -p \"$1\"",
                  folder.File("libvirtd.conf"), folder.File("libvirtd.pid")},
                 {.output_file = folder.File("libvirtd.log")}) {}
  ChildProcess& process() { return process_; }

 private:
  ChildProcess process_;
};

class ReconnectTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "a mount namespace takes root";
    std::filesystem::create_directories("/etc/libvirt");
    folder_.Write("libvirtd.conf",
                  absl::StrCat("unix_sock_dir = \"", folder_.path(), "\"\n",
                               "auth_unix_rw = \"none\"\nunix_sock_rw_perms = \"0700\"\n"));
    folder_.Write("node.xml", "<node><memory>4194304</memory></node>");
  }
  std::string Uri() const {
    return absl::StrCat("test+unix://", folder_.File("node.xml"),
                        "?socket=", folder_.File("libvirt-sock"));
  }
  // Tries until `holds` or a minute passed; waits between for events.
  template <typename Holds>
  bool Await(Holds holds) {
    const absl::Time deadline = absl::Now() + absl::Minutes(1);
    while (!holds()) {
      if (absl::Now() > deadline) return false;
      MutexLock lock(mutex_);
      happened_.WaitFor(mutex_, absl::Milliseconds(100));
    }
    return true;
  }
  void ListenTo(Hypervisor& hypervisor) {
    hypervisor.Listen([this](const HypervisorEvent& event) {
      MutexLock lock(mutex_);
      if (event.kind == HypervisorEvent::Kind::kConnectionLost) lost_ = true;
      happened_.SignalAll();
    });
  }
  bool Lost() {
    MutexLock lock(mutex_);
    return lost_;
  }

  TemporaryFolder folder_;
  Mutex mutex_;
  CondVar happened_;
  bool lost_ ABSL_GUARDED_BY(mutex_) = false;
};

DomainSpec Spec(const std::string& desktop) {
  DomainSpec spec;
  spec.tag.desktop = desktop;
  spec.uuid = "7f9c2ba4-e88f-4270-9b5f-0000000000aa";
  spec.memory_mib = 64;
  spec.disk = "/nonexistent/disk.qcow2";
  return spec;
}

TEST_F(ReconnectTest, ALostConnectionIsToldAndOpenedAgain) {
  std::unique_ptr<LibvirtHypervisor> hypervisor;
  auto daemon = std::make_unique<Libvirtd>(folder_);
  absl::Status status;
  ASSERT_TRUE(Await([&] {
    auto opened = LibvirtHypervisor::Open({.uri = Uri()});
    status = opened.status();
    if (opened.ok()) hypervisor = *std::move(opened);
    return opened.ok();
  })) << status
      << ReadWholeFile(folder_.File("libvirtd.log"));
  ListenTo(*hypervisor);
  ASSERT_EQ(hypervisor->Create(Spec("d1")), absl::OkStatus());
  EXPECT_EQ(hypervisor->List()->size(), 1u);

  daemon->process().Signal(SIGKILL);
  EXPECT_TRUE(Await([&] { return Lost(); }));
  EXPECT_EQ(hypervisor->List().status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(hypervisor->Start("d1").code(), StatusCode::kUnavailable);
  EXPECT_EQ(hypervisor->Stats().status().code(), StatusCode::kUnavailable);

  daemon = std::make_unique<Libvirtd>(folder_);
  EXPECT_TRUE(Await([&] { return hypervisor->List().ok(); }));
  // The test driver's domains went with its daemon; new ones can be made.
  EXPECT_EQ(hypervisor->Create(Spec("d1")), absl::OkStatus());
  EXPECT_EQ(hypervisor->List()->size(), 1u);
  hypervisor->Listen(nullptr);
}

TEST_F(ReconnectTest, AStoppedDaemonDoesNotStopItsCallers) {
  std::unique_ptr<LibvirtHypervisor> hypervisor;
  Libvirtd daemon(folder_);
  ASSERT_TRUE(Await([&] {
    auto opened = LibvirtHypervisor::Open({.uri = Uri(), .call_bound = absl::Milliseconds(300)});
    if (opened.ok()) hypervisor = *std::move(opened);
    return opened.ok();
  }));
  ListenTo(*hypervisor);
  daemon.process().Signal(SIGSTOP);
  EXPECT_EQ(hypervisor->List().status().code(), StatusCode::kDeadlineExceeded);
  // The keep-alive finds out (5 s, three times), and the stuck call ends with the connection.
  EXPECT_TRUE(Await([&] { return Lost(); }));
  EXPECT_EQ(hypervisor->List().status().code(), StatusCode::kUnavailable);
  daemon.process().Signal(SIGCONT);
  EXPECT_TRUE(Await([&] { return hypervisor->List().ok(); }));
  hypervisor->Listen(nullptr);
}

}  // namespace
}  // namespace werkplek
