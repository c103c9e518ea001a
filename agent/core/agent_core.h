// An agent's decisions: commands from the broker, domains on the host, viewers at the relay.
//
// Pure: no clock, no chance, no I/O, no threads. The same events at the same times give the same
// effects on every machine. Not thread-safe; one loop calls it.
//
// What it holds to, whatever comes in:
//  - a command of an epoch below the highest ever seen is refused, and one of a new epoch waits
//    until that epoch is on disk;
//  - a command of a generation below the desktop's is refused;
//  - one operation of a desktop at a time, and a bounded number on the host;
//  - a proof of cleanness is reported only for an overlay that was made for the generation and on
//    which no session was begun and no display opened;
//  - nothing is done to any desktop before every domain of the host was seen once;
//  - a ticket opens once, in time, for its certificate.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "agent/core/agent_effect.h"
#include "agent/core/agent_event.h"
#include "agent/core/desktop_plan.h"
#include "agent/core/ticket_book.h"

namespace werkplek {

struct AgentSettings {
  // Where this host's relay listens, "ADDRESS:PORT", best first.
  std::vector<std::string> relays;
  std::string agent_version;
  // "kvm" or "tcg".
  std::string accelerator;
  // Folders that image sources, kernels and initrds may lie in, absolute. Empty: anywhere.
  std::vector<std::string> image_folders;

  // The broker's HEARD says another.
  absl::Duration report_interval = absl::Seconds(1);
  // Reports that tell of changes are at least this far apart.
  absl::Duration report_gap = absl::Milliseconds(20);
  absl::Duration list_interval = absl::Seconds(5);
  absl::Duration stats_interval = absl::Seconds(2);
  // How often a guest is asked for its boot id until it answers, and for its session afterwards.
  absl::Duration guest_wait_poll = absl::Seconds(1);
  absl::Duration guest_poll = absl::Seconds(3);
  // How long each kind of shutdown may take before the next, harder one.
  absl::Duration guest_shutdown = absl::Seconds(20);
  absl::Duration acpi_shutdown = absl::Seconds(20);
  // While a shutdown is waited for.
  absl::Duration shutdown_poll = absl::Seconds(1);
  // Suspend to disk instead of pausing in memory.
  bool suspend_to_disk = false;

  // Creating, starting, saving, removing.
  size_t max_operations = 4;
  // Telling and asking guests, pausing, tags.
  size_t max_light_operations = 16;
  size_t max_desktops = 2'000;
  // Commands that wait for an epoch to be on disk.
  size_t max_waiting_commands = 4'096;
};

class AgentCore {
 public:
  // `host` is the name in the certificate. `agent_run` and `boot_id` go into reports. `seen_epoch`
  // is the highest epoch on disk.
  AgentCore(AgentSettings settings, std::string host, std::string agent_run, std::string boot_id,
            uint64_t seen_epoch);

  // `monotonic_now` never goes back. The first call may be any event; a Tick starts the work.
  AgentDecision Apply(const AgentEvent& event, absl::Duration monotonic_now);

  // The full state as it would be reported now; its sequence is the next one's.
  v1::AgentReport Report() const;

  bool adopted() const { return adopted_; }
  uint64_t seen_epoch() const { return durable_epoch_; }

 private:
  // A shutdown's way from the kindest request to power off.
  struct Shutdown {
    ShutdownMode mode = ShutdownMode::kGuestAgent;
    // When the next, harder request is made; InfinitePast while a request is under way.
    absl::Duration harder_at = -absl::InfiniteDuration();
  };

  struct Desktop {
    // The domain as last known; absent: none.
    std::optional<DomainInfo> domain;
    // The highest generation that was ever here or commanded.
    uint64_t generation = 0;
    // The operation in a worker, and the verb it is for (UNSPECIFIED: the core's own).
    std::optional<Operation> running;
    v1::CommandVerb verb = v1::COMMAND_UNSPECIFIED;
    std::optional<Shutdown> shutdown;
    // Accepted commands that wait for their turn, oldest first.
    std::deque<v1::AgentCommand> waiting;
    // Lists with an id up to this one may tell of a time before the last operation.
    uint64_t stale_lists = 0;
    GuestReading guest;
    // When the guest is asked next.
    absl::Duration read_guest_at = absl::ZeroDuration();
    TicketBook tickets;
    // The session that the viewer's state belongs to, and whether it was ever connected.
    std::string viewer_session;
    bool viewer_seen = false;
    v1::CommandVerb failed_verb = v1::COMMAND_UNSPECIFIED;
    std::string error;
  };
  using Desktops = std::map<std::string, Desktop>;

  struct Image {
    v1::ImageReport report;
    // The fetch or drop under way; 0: none.
    uint64_t operation = 0;
  };

  // One handler for each event.
  void On(const agent::CommandReceived& event);
  void On(const agent::DomainsObserved& event);
  void On(const agent::OperationDone& event);
  void On(const agent::DomainChanged& event);
  void On(const agent::EpochPersisted& event);
  void On(const agent::TicketPresented& event);
  void On(const agent::DisplayOpened& event);
  void On(const agent::DisplayClosed& event);
  void On(const agent::LinkUp& event);
  void On(const agent::LinkDown& event);
  void On(const agent::ImagesKnown& event);
  void On(const agent::StatsRead& event);
  void On(const agent::Tick& event);

  // Commands.
  void Obey(const v1::AgentCommand& command);
  void ObeyDesktop(const v1::AgentCommand& command);
  void ObeyImage(const v1::AgentCommand& command);
  void Enqueue(Desktop& desktop, const v1::AgentCommand& command);
  DesktopAction Plan(const Desktop& desktop, const v1::AgentCommand& command) const;
  // True: the command is dealt with; false: it must wait (for an image or for a free worker).
  bool Start(const std::string& id, Desktop& desktop, const v1::AgentCommand& command);
  bool StartFresh(const std::string& id, Desktop& desktop, const v1::AgentCommand& command);
  void StartShutdown(const std::string& id, Desktop& desktop);
  bool StartSession(Desktop& desktop, const v1::AgentCommand& command);
  void GrantTicket(const std::string& id, Desktop& desktop, const v1::AgentCommand& command);
  void CloseDisplays(const std::string& id, Desktop& desktop);
  void Fail(Desktop& desktop, v1::CommandVerb verb, absl::string_view why);
  void Refuse(const v1::AgentCommand& command, absl::string_view rule);
  std::string CheckCommand(const v1::AgentCommand& command) const;

  // Work.
  void RunWaiting();
  void Wake(const std::string& id, Desktop& desktop);
  void ContinueShutdown(const std::string& id, Desktop& desktop);
  void ReadGuestWhenDue(const std::string& id, Desktop& desktop);
  bool HasRoom(OperationKind kind) const;
  void Launch(Desktop& desktop, Operation operation, v1::CommandVerb verb);
  void Succeeded(const std::string& id, Desktop& desktop, const OperationResult& result);
  void ImageDone(const OperationResult& result);
  void Observe(Desktop& desktop, const DomainInfo* info);
  void NoteGuest(Desktop& desktop, const GuestReading& reading);
  void WantList() { list_wanted_ = true; }

  // Reports.
  v1::DesktopReport DesktopReportOf(const std::string& id, const Desktop& desktop) const;
  bool IsReportable(const Desktop& desktop) const;
  void SendReportWhenDue();
  void Changed() { changed_ = true; }
  absl::Duration WakeAt() const;

  void Note(Severity severity, absl::string_view event,
            std::vector<std::pair<std::string, std::string>> fields);
  void Count(absl::string_view what, absl::string_view label);
  void Emit(AgentEffect effect) { effects_.push_back(std::move(effect)); }

  const AgentSettings settings_;
  const std::string host_;
  const std::string agent_run_;
  const std::string boot_id_;

  // On disk; seen, and perhaps on its way to the disk.
  uint64_t durable_epoch_;
  uint64_t highest_epoch_;
  bool persisting_ = false;
  std::deque<v1::AgentCommand> waiting_for_epoch_;

  Desktops desktops_;
  std::map<std::string, Image> images_;
  std::map<uint64_t, std::string> channel_desktop_;
  uint64_t next_operation_ = 1;
  size_t heavy_running_ = 0;
  size_t light_running_ = 0;

  bool adopted_ = false;
  bool list_wanted_ = true;
  bool listing_ = false;
  uint64_t last_list_ = 0;
  absl::Duration list_at_ = -absl::InfiniteDuration();
  bool reading_stats_ = false;
  absl::Duration stats_at_ = -absl::InfiniteDuration();
  v1::HostLoad load_;

  bool link_up_ = false;
  bool changed_ = true;
  uint64_t sequence_ = 0;
  absl::Duration report_interval_;
  absl::Duration last_report_ = -absl::InfiniteDuration();

  // Of the Apply that runs.
  absl::Duration now_;
  std::vector<AgentEffect> effects_;
};

}  // namespace werkplek
