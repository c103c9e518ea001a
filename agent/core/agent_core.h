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
//  - a ticket opens once, in time, for its certificate;
//  - what must be fenced is made to run only while the leader was heard in time, is killed when it
//    was not, and its generation never runs here again.
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
#include "agent/core/at_hand.h"
#include "agent/core/desktop_plan.h"
#include "agent/core/ticket_book.h"

namespace werkplek {

// Of one desktop's or image's error in a report: QEMU's own words, which libvirt passes on, may be
// pages.
inline constexpr size_t kMaxReportedErrorBytes = 256;

// The error in the report of a desktop that stands still for want of room.
inline constexpr char kOutOfRoom[] =
    "stopped by QEMU: no room where its disk is; make room, it goes on by itself";

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
  // Lists that follow events are at least this far apart.
  absl::Duration list_gap = absl::Milliseconds(100);
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

  // Shared storages of this host, by name.
  std::vector<std::string> storages;
  // Networks of this host, by name.
  std::vector<HostNetwork> networks;
  // How often it is asked which of the two are at hand.
  absl::Duration at_hand_interval = absl::Seconds(5);
  // A check that takes longer finds none at hand.
  absl::Duration at_hand_patience = absl::Seconds(10);
  // The same of the networks: libvirt is asked for each in turn, and may be busy with starts.
  absl::Duration networks_patience = absl::Minutes(2);
  // libvirt's lock manager; empty: not known.
  std::string lock_manager;
  // Where other hosts move desktops to: a libvirt URI of this host. Empty: nowhere.
  std::string migration_uri;
  // Before a desktop that QEMU stopped for want of room is resumed again.
  absl::Duration room_retry = absl::Seconds(10);
  // Before the fence tries again what failed.
  absl::Duration fence_retry = absl::Seconds(1);

  // Creating, starting, saving, removing.
  size_t max_operations = 4;
  // Telling and asking guests, pausing, tags.
  size_t max_light_operations = 16;
  size_t max_image_operations = 16;
  // Desktops on their way to another host.
  size_t max_moves = 1;
  size_t max_desktops = 2'000;
  // Commands that wait for an epoch to be on disk.
  size_t max_waiting_commands = 4'096;
  // Reports whose time of sending is remembered; a HEARD of an older one wins nothing.
  size_t max_sent_reports = 1'024;
};

// When a leader was last heard: the time at which this host sent the newest report of which it was
// told that it was heard, and how long that is good for. Never: desktops that must be fenced do not
// run.
struct HeardState {
  absl::Duration heard_at = -absl::InfiniteDuration();
  // Zero: not told yet.
  absl::Duration fence_after;
};

class AgentCore {
 public:
  // `host` is the name in the certificate. `agent_run` and `boot_id` go into reports. `seen_epoch`
  // is the highest epoch on disk, `heard` what an earlier run of this boot saved.
  AgentCore(AgentSettings settings, std::string host, std::string agent_run, std::string boot_id,
            uint64_t seen_epoch, HeardState heard = {});

  // `monotonic_now` never goes back. The first call may be any event; a Tick starts the work.
  AgentDecision Apply(const AgentEvent& event, absl::Duration monotonic_now);

  // The full state as it would be reported now; its sequence is the next one's.
  v1::AgentReport Report() const;

  bool adopted() const { return adopted_; }
  uint64_t seen_epoch() const { return durable_epoch_; }

 private:
  // A shutdown's way from the kindest request to power off.
  struct Shutdown {
    v1::AgentCommand command;
    ShutdownMode mode = ShutdownMode::kGuestAgent;
    // The request of `mode` was made; the next, harder one is due at `harder_at`.
    bool asked = false;
    absl::Duration harder_at;
  };

  // An accepted command that waits for its turn.
  struct Waiting {
    v1::AgentCommand command;
    absl::Duration received;
    // Orders what waits on the whole host.
    uint64_t order = 0;
  };

  struct Desktop {
    // The domain as last known; absent: none.
    std::optional<DomainInfo> domain;
    // The highest generation that was ever here or commanded.
    uint64_t generation = 0;
    // The operation in a worker, and the command it is for (UNSPECIFIED: the core's own).
    std::optional<Operation> running;
    v1::AgentCommand running_for;
    std::optional<Shutdown> shutdown;
    std::deque<Waiting> waiting;  // Oldest first; at most one of each verb.
    // Lists with an id up to this one may tell of a time before the last operation.
    uint64_t stale_lists = 0;
    GuestReading guest;
    // When the guest is asked next.
    absl::Duration read_guest_at = -absl::InfiniteDuration();
    TicketBook tickets;
    // The session that the viewer's state belongs to, and whether it was ever connected.
    std::string viewer_session;
    bool viewer_seen = false;
    // The domain's tag on disk has `used`; before that no ticket opens.
    bool used_on_disk = false;
    // Stopped for want of room, it is not resumed before this time.
    absl::Duration resume_at = -absl::InfiniteDuration();
    // No generation up to this one may run here again: no leader was heard in time.
    uint64_t doomed = 0;
    bool killing = false;
    // A start whose outcome is not known yet; told as under way, so that nobody counts on it not to
    // run.
    v1::CommandVerb unsure = v1::COMMAND_UNSPECIFIED;
    // When the fence may try again.
    absl::Duration fence_at = -absl::InfiniteDuration();
    v1::CommandVerb failed_verb = v1::COMMAND_UNSPECIFIED;
    std::string error;
  };
  using Desktops = std::map<std::string, Desktop>;

  // The shared storage (empty: the host's own) and the image's name.
  using ImageKey = std::pair<std::string, std::string>;
  struct Image {
    v1::ImageReport report;
    // A fetch or drop is under way.
    bool busy = false;
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
  void On(const agent::StoragesChecked& event);
  void On(const agent::NetworksChecked& event);
  void On(const agent::HeardSaved& event);
  void On(const agent::Tick& event);

  // Commands.
  void Obey(const v1::AgentCommand& command);
  void ObeyDesktop(const v1::AgentCommand& command);
  void ObeyImage(const v1::AgentCommand& command);
  std::string FaultOf(const v1::AgentCommand& command) const;
  std::string FaultOfImage(const v1::AgentCommand& command) const;
  std::string FaultOfMove(const v1::AgentCommand& command) const;
  // Why the fence forbids it, as (rule, reason); empty: it does not.
  std::pair<std::string, std::string> FenceFaultOf(const Desktop* desktop,
                                                   const v1::AgentCommand& command) const;
  void Enqueue(Desktop& desktop, const v1::AgentCommand& command);
  DesktopAction Plan(const Desktop& desktop, const v1::AgentCommand& command) const;
  // True: the command is dealt with; false: it must wait (for an image, a shutdown, a worker).
  bool Begin(const std::string& id, Desktop& desktop, const Waiting& waiting);
  bool BeginAction(DesktopAction action, const std::string& id, Desktop& desktop,
                   const Waiting& waiting);
  bool BeginFresh(const std::string& id, Desktop& desktop, const v1::AgentCommand& command);
  // A new domain: of a fresh overlay, or of the kept disk.
  bool BeginMaking(OperationKind kind, const std::string& id, Desktop& desktop,
                   const v1::AgentCommand& command);
  bool BeginMove(const std::string& id, Desktop& desktop, const v1::AgentCommand& command);
  bool BeginSimple(OperationKind kind, Desktop& desktop, const v1::AgentCommand& command);
  // As configured; null: it is not.
  const HostNetwork* FindNetwork(const std::string& name) const;
  // Why nothing starts here with this storage and this network; empty: it may.
  std::string WhatIsAway(const std::string& storage, const std::string& network) const;
  bool BeginResume(Desktop& desktop, const v1::AgentCommand& command);
  bool BeginRemove(const std::string& id, Desktop& desktop, const v1::AgentCommand& command);
  bool BeginShutdown(const std::string& id, Desktop& desktop, const v1::AgentCommand& command);
  bool BeginSession(Desktop& desktop, const v1::AgentCommand& command);
  bool EndSession(Desktop& desktop, const v1::AgentCommand& command);
  void GrantTicket(const std::string& id, Desktop& desktop, const Waiting& waiting);
  // Kills the tickets and cuts the displays.
  void CloseDisplays(const std::string& id, Desktop& desktop);
  void CutChannels(const std::string& id, std::vector<uint64_t> channels);
  // What a report may say of a failure, in whose words guests and files have a part: reports have a
  // bound, and one byte that is no text makes a whole one unreadable (the log has it all).
  static std::string ShortError(absl::string_view why);
  void Fail(Desktop& desktop, const v1::AgentCommand& command, absl::string_view why);
  void Refuse(const v1::AgentCommand& command, absl::string_view rule, absl::string_view why);

  // Work.
  void RunAll();
  void RunDesktop(const std::string& id, Desktop& desktop);
  void ContinueShutdown(const std::string& id, Desktop& desktop);
  void MarkUsedWhenNeeded(Desktop& desktop);
  void ReadGuestWhenDue(const std::string& id, Desktop& desktop);
  bool HasRoom(OperationKind kind, bool to_disk) const;
  size_t& RunningOf(const Operation& operation);
  Operation NewOperation(OperationKind kind, const std::string& id) const;
  void Launch(Desktop& desktop, Operation operation, const v1::AgentCommand& command);
  void Succeeded(const std::string& id, Desktop& desktop, const Operation& operation,
                 const OperationResult& result);
  void SessionBegun(Desktop& desktop, const Operation& operation);
  void SessionEnded(Desktop& desktop);
  void Failed(const std::string& id, Desktop& desktop, const Operation& operation,
              const v1::AgentCommand& command, const OperationResult& result);
  void FetchImage(const ImageKey& key, const v1::Image& image);
  void LaunchImage(OperationKind kind, const ImageKey& key, const v1::Image& image);
  void ImageDone(const Operation& operation, const OperationResult& result);
  void KnowImages(const std::string& storage, const std::vector<v1::ImageReport>& images);
  bool IsAtHand(const ImageKey& key, const std::string& sha256) const;
  void NoteUnread(const std::vector<DomainInfo>& domains);
  void Observe(const std::string& id, Desktop& desktop, const DomainInfo* info);
  void NoteOutOfRoom(const std::string& id, Desktop& desktop);
  void NoteGuest(Desktop& desktop, const GuestReading& reading);
  // Lets go of desktops of which only the generation is remembered, when there are too many.
  void ForgetGone();
  void WantList();
  void ListWhenDue();
  void ReadStatsWhenDue();

  // The fence.
  void Heard(const v1::AgentCommand& command);
  absl::Duration FenceDeadline() const { return heard_.heard_at + heard_.fence_after; }
  // Dooms what must be fenced, once the deadline has passed.
  void JudgeFence();
  static bool MustBeFenced(const Desktop& desktop);
  void Doom(const std::string& id, Desktop& desktop);
  // Kills what is doomed and runs, and marks it.
  void FenceDoomed(const std::string& id, Desktop& desktop);
  static bool IsDoomed(const Desktop& desktop);
  void KillDone(const std::string& id, const OperationResult& result);
  absl::Duration FenceWakeAt() const;
  void SaveHeardWhenNeeded();
  void CheckAtHandWhenDue();

  // Reports.
  v1::DesktopReport DesktopReportOf(const std::string& id, const Desktop& desktop) const;
  static bool IsReportable(const Desktop& desktop);
  static v1::CommandVerb VerbUnderWay(const Desktop& desktop);
  static bool IsBeingMade(const Desktop& desktop);
  // Libvirt moves it, or may do so, without an operation of this run.
  static bool IsOnItsWay(const Desktop& desktop);
  static v1::GuestState GuestStateOf(const Desktop& desktop);
  bool HasProof(const Desktop& desktop) const;
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
  std::map<ImageKey, Image> images_;
  std::map<uint64_t, std::string> channel_desktop_;
  std::map<uint64_t, std::string> operation_desktop_;
  std::map<uint64_t, Operation> image_operations_;
  uint64_t last_operation_ = 0;
  uint64_t last_order_ = 0;
  size_t heavy_running_ = 0;
  size_t light_running_ = 0;
  size_t moves_running_ = 0;
  // Kills run beside the operation of their desktop.
  std::map<uint64_t, std::string> kill_desktop_;

  bool adopted_ = false;
  // Desktops whose domain the last list could not read.
  std::set<std::string> unread_;
  bool listing_ = false;
  uint64_t last_list_ = 0;
  // When the last list was asked for, and when the next is.
  absl::Duration listed_ = -absl::InfiniteDuration();
  absl::Duration list_at_ = -absl::InfiniteDuration();
  bool reading_stats_ = false;
  absl::Duration stats_at_ = -absl::InfiniteDuration();
  v1::HostLoad load_;

  HeardState heard_;
  bool saving_heard_ = false;
  bool heard_unsaved_ = false;
  // When each of the last reports was handed to the link, oldest first. That is before it was sent,
  // so whoever counts from its arrival counts longer.
  std::deque<std::pair<uint64_t, absl::Duration>> sent_reports_;

  AtHand storages_;
  AtHand networks_;

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
