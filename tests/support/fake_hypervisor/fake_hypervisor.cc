#include "tests/support/fake_hypervisor/fake_hypervisor.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr char kStateFile[] = "/run/werkplek/state";
constexpr char kBootIdFile[] = "/proc/sys/kernel/random/boot_id";
constexpr size_t kMaxJournal = 10000;

absl::Status Wrong(absl::string_view what) { return absl::FailedPreconditionError(what); }

using Kind = HypervisorEvent::Kind;

}  // namespace

FakeHypervisor::FakeHypervisor(std::function<void(absl::Duration)> wait) : wait_(std::move(wait)) {
  stats_ = {.memory_total_mib = 65536, .memory_free_mib = 65536, .cpus = 16};
}

FakeHypervisor::~FakeHypervisor() {
  for (auto& [name, domain] : domains_) CloseDisplays(domain);
}

absl::Status FakeHypervisor::Enter(Call call, const std::string& desktop,
                                   absl::Status& late_fault) {
  absl::Duration delay;
  absl::Status fault;
  {
    MutexLock lock(mutex_);
    ++counts_[call];
    if (const auto found = delays_.find(call); found != delays_.end()) delay = found->second;
    delayed_ += delay;
    if (!connected_ && call != Call::kKill) {
      return absl::UnavailableError("no connection to the fake");
    }
    const auto scripted = std::find_if(faults_.begin(), faults_.end(), [&](const Fault& f) {
      return f.call == call && (f.desktop.empty() || f.desktop == desktop);
    });
    if (scripted != faults_.end()) {
      (scripted->after_acting ? late_fault : fault) = scripted->status;
      if (--scripted->times == 0) faults_.erase(scripted);
    }
  }
  if (wait_ && delay > absl::ZeroDuration()) wait_(delay);
  return fault;
}

absl::Status FakeHypervisor::Act(Call call, const std::string& desktop, const char* word,
                                 const std::function<absl::Status(Domain&, Events&)>& act) {
  absl::Status late_fault;
  RETURN_IF_ERROR(Enter(call, desktop, late_fault));
  Events events;
  {
    MutexLock lock(mutex_);
    const auto found = domains_.find(desktop);
    if (found == domains_.end()) {
      return absl::NotFoundError(absl::StrCat("desktop ", desktop, ": no such domain"));
    }
    RETURN_IF_ERROR(act(found->second, events));
    if (word != nullptr) Note(word, desktop);
  }
  Deliver(events);
  return late_fault;
}

void FakeHypervisor::Deliver(const Events& events) {
  std::vector<std::pair<FakeHypervisor*, std::string>> void_moves;
  {
    MutexLock lock(mutex_);
    void_moves.swap(void_moves_);
  }
  for (const auto& [peer, desktop] : void_moves) peer->Forget(desktop);
  for (const HypervisorEvent& event : events) {
    std::shared_ptr<absl::AnyInvocable<void(const HypervisorEvent&)>> listener;
    {
      MutexLock lock(mutex_);
      listener = listener_;
    }
    if (listener != nullptr) (*listener)(event);
  }
}

void FakeHypervisor::Note(const char* word, const std::string& desktop) {
  journal_.push_back(absl::StrCat(word, " ", desktop));
  if (journal_.size() > kMaxJournal) journal_.pop_front();
}

void FakeHypervisor::Boot(Domain& domain, Events& events) {
  domain.info.power = DomainPower::kRunning;
  domain.info.guest_agent_connected = domain.info.guest_agent;
  domain.files[kBootIdFile] = absl::StrFormat("00000000-0000-4000-8000-%012x\n", ++boots_);
  for (auto file = domain.files.begin(); file != domain.files.end();) {
    file = absl::StartsWith(file->first, "/run/") ? domain.files.erase(file) : std::next(file);
  }
  domain.files[kStateFile] = "none\n";
  events.push_back({Kind::kLifecycle, domain.info.tag.desktop});
  if (domain.info.guest_agent) events.push_back({Kind::kGuestAgent, domain.info.tag.desktop});
}

void FakeHypervisor::PowerOff(Domain& domain, Events& events) {
  domain.info.power = DomainPower::kOff;
  domain.info.guest_agent_connected = false;
  CloseDisplays(domain);
  EndHere(domain);
  events.push_back({Kind::kLifecycle, domain.info.tag.desktop});
}

void FakeHypervisor::CloseDisplays(Domain& domain) {
  for (const int fd : domain.displays) close(fd);
  domain.displays.clear();
}

absl::StatusOr<std::vector<DomainInfo>> FakeHypervisor::List() {
  absl::Status late_fault;
  RETURN_IF_ERROR(Enter(Call::kList, "", late_fault));
  RETURN_IF_ERROR(late_fault);
  return Domains();
}

absl::Status FakeHypervisor::Create(const DomainSpec& spec) {
  absl::Status late_fault;
  RETURN_IF_ERROR(Enter(Call::kCreate, spec.tag.desktop, late_fault));
  Events events;
  {
    MutexLock lock(mutex_);
    if (spec.tag.desktop.empty()) return absl::InvalidArgumentError("desktop: is empty");
    if (domains_.count(spec.tag.desktop) > 0) {
      return absl::AlreadyExistsError(absl::StrCat("a domain of ", spec.tag.desktop, " is there"));
    }
    Domain& domain = domains_[spec.tag.desktop];
    domain.spec = spec;
    domain.info.tag = spec.tag;
    domain.info.uuid = spec.uuid;
    domain.info.memory_mib = spec.memory_mib;
    domain.info.vcpus = spec.vcpus;
    domain.info.disk = spec.disk;
    domain.info.guest_agent = spec.guest_agent;
    Boot(domain, events);
    Note("create", spec.tag.desktop);
  }
  Deliver(events);
  return late_fault;
}

absl::Status FakeHypervisor::Start(const std::string& desktop) {
  return Act(Call::kStart, desktop, "start",
             [this](Domain& domain, Events& events) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
               if (domain.info.power == DomainPower::kSuspended) {
                 return Wrong("it is suspended in memory: resume it");
               }
               if (domain.info.power == DomainPower::kOff) Boot(domain, events);
               if (domain.info.power == DomainPower::kSaved) {
                 domain.info.power = DomainPower::kRunning;
                 domain.info.guest_agent_connected = domain.info.guest_agent;
                 events.push_back({Kind::kLifecycle, domain.info.tag.desktop});
               }
               return absl::OkStatus();
             });
}

absl::Status FakeHypervisor::Suspend(const std::string& desktop, bool to_disk) {
  return Act(Call::kSuspend, desktop, to_disk ? "save" : "suspend",
             [to_disk](Domain& domain, Events& events) {
               DomainPower& power = domain.info.power;
               if (power == DomainPower::kOff) return Wrong("it is off");
               if (power == DomainPower::kSaved && !to_disk) {
                 return Wrong("it is saved to disk: start it");
               }
               if (to_disk && power != DomainPower::kSaved) {
                 if (domain.peer != nullptr) return Wrong("it is being moved");
                 domain.info.guest_agent_connected = false;
                 CloseDisplays(domain);
               }
               power = to_disk ? DomainPower::kSaved : DomainPower::kSuspended;
               events.push_back({Kind::kLifecycle, domain.info.tag.desktop});
               return absl::OkStatus();
             });
}

absl::Status FakeHypervisor::Resume(const std::string& desktop) {
  return Act(Call::kResume, desktop, "resume", [](Domain& domain, Events& events) {
    DomainPower& power = domain.info.power;
    if (power == DomainPower::kRunning) return absl::OkStatus();
    if (power != DomainPower::kSuspended) return Wrong("it is not suspended in memory: start it");
    power = DomainPower::kRunning;
    events.push_back({Kind::kLifecycle, domain.info.tag.desktop});
    return absl::OkStatus();
  });
}

absl::Status FakeHypervisor::Shutdown(const std::string& desktop, ShutdownMode mode) {
  const char* word = mode == ShutdownMode::kPowerOff     ? "power-off"
                     : mode == ShutdownMode::kGuestAgent ? "shutdown-agent"
                                                         : "shutdown-acpi";
  return Act(Call::kShutdown, desktop, word,
             [this, mode](Domain& domain, Events& events) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
               if (domain.info.power == DomainPower::kOff) return absl::OkStatus();
               if (mode == ShutdownMode::kPowerOff) {
                 PowerOff(domain, events);
                 return absl::OkStatus();
               }
               if (domain.info.power != DomainPower::kRunning) {
                 return Wrong("only a running desktop can shut down");
               }
               if (mode == ShutdownMode::kGuestAgent && !domain.info.guest_agent_connected) {
                 return absl::UnavailableError("no guest agent answers");
               }
               if (!domain.stubborn) PowerOff(domain, events);
               return absl::OkStatus();
             });
}

absl::Status FakeHypervisor::Remove(const std::string& desktop) {
  RETURN_IF_ERROR(Act(Call::kRemove, desktop, nullptr, [](Domain& domain, Events&) {
    const bool off =
        domain.info.power == DomainPower::kOff || domain.info.power == DomainPower::kSaved;
    return off ? absl::OkStatus() : Wrong("it is not off");
  }));
  {
    MutexLock lock(mutex_);
    domains_.erase(desktop);
    Note("remove", desktop);
  }
  Deliver({{Kind::kLifecycle, desktop}});
  return absl::OkStatus();
}

absl::Status FakeHypervisor::Kill(const std::string& desktop, const std::string& uuid) {
  const absl::Status status =
      Act(Call::kKill, desktop, nullptr,
          [&, this](Domain& domain, Events& events) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
            const bool runs = domain.info.power == DomainPower::kRunning ||
                              domain.info.power == DomainPower::kSuspended;
            if (domain.info.uuid != uuid || !runs) return absl::OkStatus();
            PowerOff(domain, events);
            Note("kill", desktop);
            return absl::OkStatus();
          });
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::Status FakeHypervisor::Retag(const DomainTag& tag) {
  return Act(Call::kRetag, tag.desktop, "retag", [&tag](Domain& domain, Events&) {
    domain.info.tag = tag;
    return absl::OkStatus();
  });
}

absl::StatusOr<int> FakeHypervisor::OpenDisplay(const std::string& desktop, DisplayKind) {
  int ours = -1;
  const absl::Status status =
      Act(Call::kOpenDisplay, desktop, nullptr, [&ours](Domain& domain, Events& events) {
        if (domain.info.power != DomainPower::kRunning &&
            domain.info.power != DomainPower::kSuspended) {
          return Wrong("it does not run");
        }
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
          return absl::ErrnoToStatus(errno, "socketpair");
        }
        ours = ends[0];
        domain.displays.push_back(ends[1]);
        events.push_back({Kind::kGraphicsConnected, domain.info.tag.desktop});
        return absl::OkStatus();
      });
  if (!status.ok()) {
    if (ours >= 0) close(ours);
    return status;
  }
  return ours;
}

absl::StatusOr<GuestExecResult> FakeHypervisor::GuestExec(const std::string& desktop,
                                                          const std::vector<std::string>& command,
                                                          const std::string& input,
                                                          absl::Duration) {
  if (command.empty()) return absl::InvalidArgumentError("no command given");
  GuestExecResult result;
  RETURN_IF_ERROR(
      Act(Call::kGuestExec, desktop, nullptr,
          [&, this](Domain& domain, Events&) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
            if (domain.info.power != DomainPower::kRunning || !domain.info.guest_agent_connected) {
              return absl::UnavailableError(absl::StrCat(desktop, ": no guest agent answers"));
            }
            result = RunInside(domain, command, input);
            return absl::OkStatus();
          }));
  return result;
}

absl::StatusOr<HostStats> FakeHypervisor::Stats() {
  absl::Status late_fault;
  RETURN_IF_ERROR(Enter(Call::kStats, "", late_fault));
  RETURN_IF_ERROR(late_fault);
  MutexLock lock(mutex_);
  return stats_;
}

void FakeHypervisor::Listen(absl::AnyInvocable<void(const HypervisorEvent&)> listener) {
  MutexLock lock(mutex_);
  listener_ =
      listener
          ? std::make_shared<absl::AnyInvocable<void(const HypervisorEvent&)>>(std::move(listener))
          : nullptr;
}

}  // namespace werkplek
