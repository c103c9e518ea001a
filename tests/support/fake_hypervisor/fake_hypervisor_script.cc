// The script's and the guests' side of the fake.
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/support/fake_hypervisor/fake_hypervisor.h"

namespace werkplek {
namespace {

constexpr char kHook[] = "/usr/lib/werkplek/session-hook";
constexpr char kFolder[] = "/run/werkplek/";
constexpr char kBootIdFile[] = "/proc/sys/kernel/random/boot_id";

using Files = std::map<std::string, std::string>;
using Kind = HypervisorEvent::Kind;

std::string FileOr(const Files& files, const std::string& path) {
  const auto found = files.find(path);
  return found == files.end() ? "" : found->second;
}

// What deploy/images/tiny/guest/session-hook does.
GuestExecResult RunHook(Files& files, const std::string& what, const std::string& input) {
  const auto file = [](const char* name) { return absl::StrCat(kFolder, name); };
  if (what == "state") {
    std::string session = FileOr(files, file("session"));
    if (session.empty()) session = "\n";
    return {0, absl::StrCat("boot_id=", FileOr(files, kBootIdFile), "session=", session,
                            "state=", FileOr(files, file("state")))};
  }
  if (what == "end") {
    for (const char* name : {"session", "user", "display_name"}) files.erase(file(name));
    files[file("state")] = "none\n";
    return {};
  }
  if (what != "begin") return {2, "usage: session-hook begin | end | state\n"};
  for (const absl::string_view line : absl::StrSplit(input, '\n', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> field = absl::StrSplit(line, absl::MaxSplits('=', 1));
    files[file(field.first.c_str())] = field.second + "\n";
  }
  if (FileOr(files, file("user")).empty()) return {2, "begin: no user given\n"};
  files[file("state")] = "session\n";
  return {};
}

}  // namespace

GuestExecResult FakeHypervisor::RunInside(Domain& domain, const std::vector<std::string>& command,
                                          const std::string& input) {
  if (const auto program = programs_.find(command[0]); program != programs_.end()) {
    return program->second(domain.info.tag.desktop, command, input);
  }
  if (command[0] == kHook) {
    return RunHook(domain.files, command.size() == 2 ? command[1] : "", input);
  }
  if (command[0] == "cat" || command[0] == "/bin/cat") {
    GuestExecResult result;
    for (size_t i = 1; i < command.size(); ++i) {
      const auto found = domain.files.find(command[i]);
      if (found == domain.files.end()) result.exit_code = 1;
      if (found != domain.files.end()) result.output += found->second;
    }
    return result;
  }
  return {127, absl::StrCat(command[0], ": not found\n")};
}

void FakeHypervisor::FailNext(Call call, const std::string& desktop, absl::Status status, int times,
                              bool after_acting) {
  MutexLock lock(mutex_);
  faults_.push_back({call, desktop, std::move(status), times, after_acting});
}

void FakeHypervisor::SetDelay(Call call, absl::Duration delay) {
  MutexLock lock(mutex_);
  delays_[call] = delay;
}

absl::Duration FakeHypervisor::TakeDelay() {
  MutexLock lock(mutex_);
  return std::exchange(delayed_, absl::ZeroDuration());
}

void FakeHypervisor::ConnectTo(const std::string& uri, FakeHypervisor* peer) {
  MutexLock lock(mutex_);
  peers_[uri] = peer;
}

void FakeHypervisor::SetConnected(bool connected) {
  bool lost = false;
  {
    MutexLock lock(mutex_);
    lost = connected_ && !connected;
    connected_ = connected;
  }
  if (lost) Deliver({{Kind::kConnectionLost, ""}});
}

void FakeHypervisor::SetGuestAgent(const std::string& desktop, bool connected) {
  {
    MutexLock lock(mutex_);
    const auto found = domains_.find(desktop);
    if (found == domains_.end()) return;
    found->second.info.guest_agent_connected = connected;
  }
  Deliver({{Kind::kGuestAgent, desktop}});
}

void FakeHypervisor::SetStubborn(const std::string& desktop, bool stubborn) {
  MutexLock lock(mutex_);
  const auto found = domains_.find(desktop);
  if (found != domains_.end()) found->second.stubborn = stubborn;
}

void FakeHypervisor::SetStats(const HostStats& stats) {
  MutexLock lock(mutex_);
  stats_ = stats;
}

void FakeHypervisor::LogOutInside(const std::string& desktop) {
  WriteGuestFile(desktop, absl::StrCat(kFolder, "state"), "logged-out\n");
}

void FakeHypervisor::PowerOffInside(const std::string& desktop) {
  Events events;
  {
    MutexLock lock(mutex_);
    const auto found = domains_.find(desktop);
    if (found == domains_.end() || found->second.info.power == DomainPower::kSaved) return;
    if (found->second.handed_over) return;
    PowerOff(found->second, events);
  }
  Deliver(events);
}

void FakeHypervisor::RestartHost() {
  Events events;
  {
    MutexLock lock(mutex_);
    incoming_.clear();
    for (auto& [desktop, domain] : domains_) {
      if (domain.info.power != DomainPower::kSaved) PowerOff(domain, events);
      domain.peer = nullptr;
      domain.handed_over = false;
    }
  }
  Deliver(events);
}

void FakeHypervisor::WriteGuestFile(const std::string& desktop, const std::string& path,
                                    const std::string& content) {
  MutexLock lock(mutex_);
  const auto found = domains_.find(desktop);
  if (found != domains_.end()) found->second.files[path] = content;
}

std::string FakeHypervisor::ReadGuestFile(const std::string& desktop,
                                          const std::string& path) const {
  MutexLock lock(mutex_);
  const auto found = domains_.find(desktop);
  return found == domains_.end() ? "" : FileOr(found->second.files, path);
}

void FakeHypervisor::SetGuestProgram(const std::string& path, GuestProgram program) {
  MutexLock lock(mutex_);
  programs_[path] = std::move(program);
}

int FakeHypervisor::Count(Call call) const {
  MutexLock lock(mutex_);
  const auto found = counts_.find(call);
  return found == counts_.end() ? 0 : found->second;
}

std::vector<std::string> FakeHypervisor::Journal() const {
  MutexLock lock(mutex_);
  return {journal_.begin(), journal_.end()};
}

int FakeHypervisor::TakeDisplay(const std::string& desktop) {
  MutexLock lock(mutex_);
  const auto found = domains_.find(desktop);
  if (found == domains_.end() || found->second.displays.empty()) return -1;
  const int fd = found->second.displays.front();
  found->second.displays.pop_front();
  return fd;
}

}  // namespace werkplek
