// Real desktops on real QEMU, through libvirt's embedded driver.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libvirt/libvirt.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "agent/hypervisor/embed_root.h"
#include "agent/hypervisor/libvirt_hypervisor.h"
#include "agent/image/image_store.h"
#include "common/base/mutex.h"
#include "tests/integration/hypervisor/vnc_viewer.h"
#include "tests/support/process/child_process.h"
#include "tests/support/tiny_guest/tiny_guest.h"

namespace werkplek {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;
using testing::HasSubstr;

constexpr absl::Duration kLong = absl::Seconds(60);
constexpr char kHook[] = "/usr/lib/werkplek/session-hook";

// One host for the whole process: libvirt keeps one embed root per process.
struct Host {
  TemporaryFolder folder;
  TinyGuest guest;
  std::unique_ptr<ImageStore> images;
  std::unique_ptr<LibvirtHypervisor> hypervisor;
  Mutex mutex;
  CondVar happened;
  uint64_t events ABSL_GUARDED_BY(mutex) = 0;

  std::string Root() const { return folder.path() + "/hv"; }
};

Host& TheHost() {
  static Host& host = *[] {
    auto made = std::make_unique<Host>();
    auto guest = BuildTinyGuest();
    EXPECT_TRUE(guest.ok()) << guest.status();
    made->guest = *guest;
    auto images = ImageStore::Open(made->folder.path() + "/store");
    EXPECT_TRUE(images.ok()) << images.status();
    made->images = std::make_unique<ImageStore>(*std::move(images));
    v1::Image image;
    image.set_source(made->guest.disk);
    image.set_sha256(made->guest.sha256);
    image.set_format("qcow2");
    EXPECT_EQ(made->images->Fetch("tiny", image), absl::OkStatus());
    auto accelerator = TestAccelerator();
    EXPECT_TRUE(accelerator.ok()) << accelerator.status();
    auto opened =
        LibvirtHypervisor::Open({.uri = EmbedUri(made->Root()), .accelerator = *accelerator});
    EXPECT_TRUE(opened.ok()) << opened.status();
    made->hypervisor = *std::move(opened);
    made->hypervisor->Listen([host = made.get()](const HypervisorEvent&) {
      MutexLock lock(host->mutex);
      ++host->events;
      host->happened.SignalAll();
    });
    return made.release();
  }();
  return host;
}

// The folder goes with the process.
class CloseHost : public testing::Environment {
 public:
  void TearDown() override { delete &TheHost(); }
};
const auto* const kCloseHost = testing::AddGlobalTestEnvironment(new CloseHost);

class RealDesktopTest : public testing::Test {
 protected:
  ~RealDesktopTest() override {
    const auto left = hv().List();
    if (!left.ok()) return;
    for (const DomainInfo& info : *left) Destroy(info.tag.desktop);
  }

  static LibvirtHypervisor& hv() { return *TheHost().hypervisor; }

  static void Destroy(const std::string& desktop) {
    EXPECT_EQ(hv().Shutdown(desktop, ShutdownMode::kPowerOff), absl::OkStatus());
    EXPECT_EQ(hv().Remove(desktop), absl::OkStatus());
    EXPECT_EQ(TheHost().images->RemoveOverlays(desktop, ""), absl::OkStatus());
  }

  // A desktop on a new overlay, running.
  static DomainSpec Make(const std::string& desktop, uint64_t generation) {
    static int made = 0;
    const TinyGuest& guest = TheHost().guest;
    const auto overlay =
        TheHost().images->CreateOverlay({desktop, generation, "", false}, guest.sha256);
    EXPECT_TRUE(overlay.ok()) << overlay.status();
    DomainSpec spec;
    spec.tag.desktop = desktop;
    spec.tag.generation = generation;
    spec.tag.overlay_identity = overlay->identity;
    spec.tag.overlay_created_unix_ns = overlay->created_unix_ns;
    spec.tag.backing_sha256 = overlay->backing_sha256;
    spec.uuid = absl::StrFormat("7f9c2ba4-e88f-4270-9b5f-%012x", ++made);
    spec.memory_mib = 128;
    spec.disk = overlay->path;
    spec.kernel = guest.kernel;
    spec.initrd = guest.initrd;
    spec.kernel_arguments = guest.kernel_arguments;
    spec.guest_agent = true;
    EXPECT_EQ(hv().Create(spec), absl::OkStatus());
    return spec;
  }

  static DomainInfo Info(const std::string& desktop) {
    const auto all = hv().List();
    EXPECT_TRUE(all.ok()) << all.status();
    for (const DomainInfo& info : *all) {
      if (info.tag.desktop == desktop) return info;
    }
    ADD_FAILURE() << desktop << " is not there";
    return {};
  }

  // Looks again after each event until it holds.
  static bool Await(const std::function<bool()>& holds) {
    Host& host = TheHost();
    const absl::Time deadline = absl::Now() + kLong;
    for (;;) {
      uint64_t seen;
      {
        MutexLock lock(host.mutex);
        seen = host.events;
      }
      if (holds()) return true;
      MutexLock lock(host.mutex);
      while (host.events == seen) {
        const absl::Duration left = deadline - absl::Now();
        if (left <= absl::ZeroDuration()) return false;
        host.happened.WaitFor(host.mutex, left);
      }
    }
  }
  static bool AwaitGuest(const std::string& desktop) {
    return Await([&] { return Info(desktop).guest_agent_connected; });
  }
  static bool AwaitPower(const std::string& desktop, DomainPower power) {
    return Await([&] { return Info(desktop).power == power; });
  }

  // Runs a command in the guest; its output without the space around it.
  static std::string Inside(const std::string& desktop, const std::vector<std::string>& command,
                            const std::string& input = "") {
    const auto result = hv().GuestExec(desktop, command, input, absl::Seconds(30));
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok()) return "";
    EXPECT_EQ(result->exit_code, 0) << result->output;
    return std::string(absl::StripAsciiWhitespace(result->output));
  }
  static std::string BootId(const std::string& desktop) {
    return Inside(desktop, {"cat", "/proc/sys/kernel/random/boot_id"});
  }
  static void Begin(const std::string& desktop, const std::string& user) {
    Inside(desktop, {kHook, "begin"},
           absl::StrCat("session=s-", user, "\nuser=", user, "\ndisplay_name=", user, "\n"));
  }

  static pid_t QemuPid(const std::string& desktop) {
    std::ifstream file(absl::StrCat(TheHost().Root(), "/run/qemu/werkplek-", desktop, ".pid"));
    pid_t pid = 0;
    file >> pid;
    EXPECT_GT(pid, 0);
    return pid;
  }
};

TEST_F(RealDesktopTest, TheWholeLifeOfADesktop) {
  const DomainSpec first = Make("d1", 1);
  ASSERT_TRUE(AwaitGuest("d1"));
  const std::string boot_id = BootId("d1");
  EXPECT_EQ(boot_id.size(), 36u);
  Inside("d1", {"sh", "-c", "echo mine > /data/marker; echo here > /run/memory; sync"});

  // In memory and back.
  EXPECT_EQ(hv().Suspend("d1", false), absl::OkStatus());
  EXPECT_EQ(hv().GuestExec("d1", {"true"}, "", absl::Seconds(3)).status().code(),
            StatusCode::kUnavailable);
  EXPECT_EQ(hv().Resume("d1"), absl::OkStatus());
  EXPECT_EQ(BootId("d1"), boot_id);

  // On disk and back: the same boot, its memory kept, its QEMU gone meanwhile.
  const pid_t before = QemuPid("d1");
  EXPECT_EQ(hv().Suspend("d1", true), absl::OkStatus());
  EXPECT_NE(kill(before, 0), 0);
  EXPECT_EQ(hv().Start("d1"), absl::OkStatus());
  ASSERT_TRUE(AwaitGuest("d1"));
  EXPECT_EQ(BootId("d1"), boot_id);
  EXPECT_EQ(Inside("d1", {"cat", "/run/memory"}), "here");

  // Off by its agent, and on again: another boot of the same disk.
  EXPECT_EQ(hv().Shutdown("d1", ShutdownMode::kGuestAgent), absl::OkStatus());
  ASSERT_TRUE(AwaitPower("d1", DomainPower::kOff));
  EXPECT_EQ(hv().Start("d1"), absl::OkStatus());
  ASSERT_TRUE(AwaitGuest("d1"));
  EXPECT_NE(BootId("d1"), boot_id);
  EXPECT_EQ(Inside("d1", {"cat", "/data/marker"}), "mine");

  // Off by the power button.
  EXPECT_EQ(hv().Shutdown("d1", ShutdownMode::kAcpi), absl::OkStatus());
  ASSERT_TRUE(AwaitPower("d1", DomainPower::kOff));

  // Reset: a new overlay, and nothing of the old.
  EXPECT_EQ(hv().Remove("d1"), absl::OkStatus());
  const DomainSpec second = Make("d1", 2);
  EXPECT_EQ(TheHost().images->RemoveOverlays("d1", second.disk), absl::OkStatus());
  EXPECT_FALSE(fs::exists(first.disk));
  EXPECT_NE(std::make_pair(first.tag.overlay_identity, first.tag.overlay_created_unix_ns),
            std::make_pair(second.tag.overlay_identity, second.tag.overlay_created_unix_ns));
  ASSERT_TRUE(AwaitGuest("d1"));
  EXPECT_EQ(Inside("d1", {"ls", "/data"}), "lost+found");
}

TEST_F(RealDesktopTest, AFreshOverlayNeedsNoSavedMemory) {
  Make("d1", 1);
  ASSERT_TRUE(AwaitGuest("d1"));
  Inside("d1", {"sh", "-c", "echo secret > /run/memory"});
  EXPECT_EQ(hv().Suspend("d1", true), absl::OkStatus());
  EXPECT_EQ(hv().Remove("d1"), absl::OkStatus());
  // The memory of whoever was there is gone from the host.
  EXPECT_TRUE(fs::is_empty(TheHost().Root() + "/lib/qemu/save"));
  Make("d1", 2);
  ASSERT_TRUE(AwaitGuest("d1"));
  EXPECT_EQ(Inside("d1", {"sh", "-c", "cat /run/memory 2>/dev/null || echo none"}), "none");
}

TEST_F(RealDesktopTest, TheScreenIsThatOfTheDesktopAndItsUser) {
  Make("office-0001", 1);
  Make("office-0002", 1);
  const std::map<std::string, std::string> users = {{"office-0001", "jan.devries"},
                                                    {"office-0002", "fatima"}};
  for (const auto& entry : users) {
    const std::string& desktop = entry.first;
    const std::string& user = entry.second;
    ASSERT_TRUE(AwaitGuest(desktop));
    Begin(desktop, user);
    const auto fd = hv().OpenDisplay(desktop, DisplayKind::kVnc);
    ASSERT_TRUE(fd.ok()) << fd.status();
    VncViewer viewer(*fd);
    ASSERT_TRUE(viewer.ok());
    TinyScreen screen;
    EXPECT_TRUE(viewer.WaitFor([&](const TinyScreen& s) { return s.user == user; }, kLong, screen));
    EXPECT_EQ(screen.desktop, desktop);
    EXPECT_EQ(screen.state, "session");
    // What a person types reaches the guest: a marker on the disk, and a log-out that the host
    // sees.
    viewer.Type(absl::StrCat("write ", desktop, "\n"));
    EXPECT_TRUE(
        viewer.WaitFor([&](const TinyScreen& s) { return s.marker == desktop; }, kLong, screen));
    EXPECT_EQ(Inside(desktop, {"cat", "/data/marker"}), desktop);
    viewer.Type("logout\n");
    EXPECT_TRUE(viewer.WaitFor([&](const TinyScreen& s) { return s.state == "logged-out"; }, kLong,
                               screen));
    EXPECT_THAT(Inside(desktop, {kHook, "state"}), HasSubstr("state=logged-out"));
    Inside(desktop, {kHook, "end"}, "session=s\n");
    EXPECT_TRUE(
        viewer.WaitFor([&](const TinyScreen& s) { return s.state == "none"; }, kLong, screen));
    EXPECT_EQ(screen.user, "");
  }
}

// Every TCP and UDP socket that the process has open, as a line of /proc/PID/net.
std::vector<std::string> NetworkSockets(pid_t pid) {
  std::set<std::string> inodes;
  std::error_code error;
  const std::string proc = absl::StrCat("/proc/", pid);
  for (const auto& entry : fs::directory_iterator(proc + "/fd", error)) {
    const std::string target = fs::read_symlink(entry.path(), error).string();
    if (target.rfind("socket:[", 0) == 0) inodes.insert(target.substr(8, target.size() - 9));
  }
  EXPECT_FALSE(inodes.empty()) << "QEMU has at least its monitor's socket";
  std::vector<std::string> found;
  for (const char* table : {"tcp", "tcp6", "udp", "udp6"}) {
    std::ifstream file(absl::StrCat(proc, "/net/", table));
    std::string line;
    while (std::getline(file, line)) {
      const std::vector<std::string> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
      if (fields.size() > 9 && inodes.count(fields[9]) > 0) found.push_back(line);
    }
  }
  return found;
}

TEST_F(RealDesktopTest, NoDisplayPortIsOpen) {
  Make("d1", 1);
  ASSERT_TRUE(AwaitGuest("d1"));
  const auto vnc = hv().OpenDisplay("d1", DisplayKind::kVnc);
  const auto spice = hv().OpenDisplay("d1", DisplayKind::kSpice);
  ASSERT_TRUE(vnc.ok() && spice.ok());
  EXPECT_THAT(NetworkSockets(QemuPid("d1")), testing::IsEmpty());
  close(*vnc);
  close(*spice);
}

TEST_F(RealDesktopTest, ADisplayComesBackAfterEachConnection) {
  Make("d1", 1);
  for (int i = 0; i < 3; ++i) {
    const auto fd = hv().OpenDisplay("d1", DisplayKind::kVnc);
    ASSERT_TRUE(fd.ok()) << fd.status();
    EXPECT_TRUE(VncViewer(*fd).ok());
  }
}

TEST_F(RealDesktopTest, AProgramInTheGuestThatDoesNotEndIsLeft) {
  Make("d1", 1);
  ASSERT_TRUE(AwaitGuest("d1"));
  const auto result = hv().GuestExec("d1", {"tail", "-f", "/dev/null"}, "", absl::Seconds(1));
  EXPECT_EQ(result.status().code(), StatusCode::kDeadlineExceeded) << result.status();
  EXPECT_EQ(Inside("d1", {"echo", "next"}), "next");
  const auto missing = hv().GuestExec("d1", {"/no/such/program"}, "", absl::Seconds(10));
  EXPECT_FALSE(missing.ok());
}

TEST_F(RealDesktopTest, OtherPeoplesDomainsAreLeftAlone) {
  constexpr char kStranger[] = R"(<domain type='qemu'><name>werkplek-stranger</name>
      <memory unit='MiB'>16</memory><os><type machine='pc'>hvm</type></os></domain>)";
  const virConnectPtr connection = virConnectOpen(EmbedUri(TheHost().Root()).c_str());
  ASSERT_NE(connection, nullptr);
  const virDomainPtr stranger = virDomainDefineXML(connection, kStranger);
  ASSERT_NE(stranger, nullptr);
  ASSERT_EQ(virDomainCreate(stranger), 0);
  Make("d1", 1);
  const auto all = hv().List();
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->size(), 1u);
  EXPECT_EQ((*all)[0].tag.desktop, "d1");
  EXPECT_EQ(hv().Shutdown("stranger", ShutdownMode::kPowerOff).code(), StatusCode::kNotFound);
  EXPECT_EQ(hv().Suspend("stranger", true).code(), StatusCode::kNotFound);
  EXPECT_EQ(hv().OpenDisplay("stranger", DisplayKind::kVnc).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(virDomainIsActive(stranger), 1);
  virDomainDestroy(stranger);
  virDomainUndefine(stranger);
  virDomainFree(stranger);
  virConnectClose(connection);
}

TEST_F(RealDesktopTest, ManyAtOnce) {
  std::vector<std::thread> threads;
  std::vector<DomainSpec> specs;
  for (int i = 0; i < 4; ++i) specs.push_back(Make(absl::StrCat("d", i), 1));
  for (const DomainSpec& spec : specs) {
    threads.emplace_back([&spec] {
      const std::string& desktop = spec.tag.desktop;
      for (int n = 0; n < 5; ++n) {
        EXPECT_EQ(hv().Suspend(desktop, false), absl::OkStatus());
        EXPECT_EQ(hv().Resume(desktop), absl::OkStatus());
        EXPECT_TRUE(hv().List().ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const DomainSpec& spec : specs) {
    EXPECT_EQ(Info(spec.tag.desktop).power, DomainPower::kRunning);
  }
}

TEST_F(RealDesktopTest, TheHostsLoad) {
  const auto first = hv().Stats();
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->cpus, static_cast<uint32_t>(sysconf(_SC_NPROCESSORS_ONLN)));
  EXPECT_EQ(first->cpu_used, 0);
  EXPECT_GT(first->memory_free_mib, 0u);
  EXPECT_EQ(first->memory_total_mib, static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                                             static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) >>
                                         20);
  Make("d1", 1);
  ASSERT_TRUE(AwaitGuest("d1"));
  const auto second = hv().Stats();
  ASSERT_TRUE(second.ok());
  EXPECT_GT(second->cpu_used, 0);
}

// Each probe is an agent of its own on another root; the first is killed.
TEST(AgentRestartTest, DesktopsOutliveTheAgentAndAreFoundAgain) {
  TemporaryFolder folder;
  const auto guest = BuildTinyGuest();
  ASSERT_TRUE(guest.ok()) << guest.status();
  const std::string disk = folder.File("d1.qcow2");
  ASSERT_EQ(MakeTinyOverlay(*guest, disk), absl::OkStatus());
  const std::string root = folder.path() + "/hv";
  const std::string probe = std::string(getenv("WERKPLEK_BIN_DIR")) + "/hypervisor_probe";
  std::string booted;
  for (int life = 0; life < 2; ++life) {
    ChildProcess agent({probe, root, life == 0 ? "create" : "list", "d1", disk},
                       {.output_file = folder.File("out")});
    if (life == 0) {
      const absl::Time deadline = absl::Now() + kLong;
      while (ReadWholeFile(folder.File("out")).find("made") == std::string::npos &&
             absl::Now() < deadline && agent.Running()) {
        std::this_thread::yield();
      }
      agent.Signal(SIGKILL);
      EXPECT_EQ(agent.Wait(kLong), 128 + SIGKILL);
    } else {
      EXPECT_EQ(agent.Wait(kLong), 0);
    }
  }
  pid_t qemu = 0;
  std::ifstream(root + "/run/qemu/werkplek-d1.pid") >> qemu;
  ASSERT_GT(qemu, 0);
  EXPECT_EQ(kill(qemu, 0), 0);
  // A third agent finds the same boot as the second.
  const auto again = RunProgram({probe, root, "list"});
  EXPECT_TRUE(again.ok()) << again.status();
  kill(qemu, SIGKILL);
  const std::string out = ReadWholeFile(folder.File("out"));
  EXPECT_THAT(out, HasSubstr("d1 7f9c2ba4-e88f-4270-9b5f-0000000000ff 1 "));
  if (again.ok()) {
    EXPECT_THAT(out, HasSubstr(*again));
  }
}

}  // namespace
}  // namespace werkplek
