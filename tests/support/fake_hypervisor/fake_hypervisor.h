// The one fake of Hypervisor: domains in memory, guests that boot at once, faults by script.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/hypervisor/hypervisor.h"
#include "common/base/mutex.h"

namespace werkplek {

// Thread-safe and deterministic: ids are counted, nothing waits. Events are delivered inside the
// call that causes them, on its thread, after the change; the listener may call back.
class FakeHypervisor : public Hypervisor {
 public:
  enum class Call {
    kList,
    kCreate,
    kStart,
    kSuspend,
    kResume,
    kShutdown,
    kRemove,
    kRetag,
    kKill,
    kMigrate,
    kOpenDisplay,
    kGuestExec,
    kStats
  };

  // `wait` is called with the scripted delay of a call before the call acts (never with zero);
  // tests on virtual time leave it out and read TakeDelay().
  explicit FakeHypervisor(std::function<void(absl::Duration)> wait = nullptr);
  ~FakeHypervisor() override;

  // --- The contract ---
  absl::StatusOr<std::vector<DomainInfo>> List() override;
  absl::Status Create(const DomainSpec& spec) override;
  absl::Status Start(const std::string& desktop) override;
  absl::Status Suspend(const std::string& desktop, bool to_disk) override;
  absl::Status Resume(const std::string& desktop) override;
  absl::Status Shutdown(const std::string& desktop, ShutdownMode mode) override;
  absl::Status Remove(const std::string& desktop) override;
  absl::Status Kill(const std::string& desktop, const std::string& uuid) override;
  // To the fake that ConnectTo named: BeginMove, HandOver and EndMove at once.
  absl::Status Migrate(const std::string& desktop, const std::string& uri) override;
  absl::Status Retag(const DomainTag& tag) override;
  absl::StatusOr<int> OpenDisplay(const std::string& desktop, DisplayKind kind) override;
  // Knows the session hook of the images (deploy/images/README.md), `cat FILE...` over the guest's
  // files, and what SetGuestProgram adds; anything else exits 127.
  absl::StatusOr<GuestExecResult> GuestExec(const std::string& desktop,
                                            const std::vector<std::string>& command,
                                            const std::string& input,
                                            absl::Duration timeout) override;
  absl::StatusOr<HostStats> Stats() override;
  void Listen(absl::AnyInvocable<void(const HypervisorEvent&)> listener) override;

  // --- Script ---
  // The next `times` calls of that kind (on that desktop; empty: any) fail with `status`.
  // `after_acting`: the change happens all the same, as when an answer is lost.
  void FailNext(Call call, const std::string& desktop, absl::Status status, int times = 1,
                bool after_acting = false);
  void SetDelay(Call call, absl::Duration delay);
  // The delays of the calls since the last TakeDelay, added up.
  absl::Duration TakeDelay();
  // Moves to `uri` arrive at `peer`, which outlives this fake or is set to null.
  void ConnectTo(const std::string& uri, FakeHypervisor* peer);
  // A move step by step, for tests in which it takes time. Until it is handed over it is here, and
  // the other fake keeps memory for it. What stops it here, or restarts the other host, ends the
  // move: HandOver fails then, and it is here as it is.
  absl::Status BeginMove(const std::string& desktop, const std::string& uri);
  // It goes on there. Both list it, here with the power that it had.
  absl::Status HandOver(const std::string& desktop);
  // It is gone from here. NOT_FOUND: it was gone, or the host was restarted since it was handed
  // over, and still defines it, off.
  absl::Status EndMove(const std::string& desktop);
  // Before it is handed over; then, and without a move, nothing happens.
  void CallOffMove(const std::string& desktop);
  // False: every call but Kill is UNAVAILABLE; the listener is told when the connection goes.
  void SetConnected(bool connected);
  // The guest's agent answers (true at the start for domains with one).
  void SetGuestAgent(const std::string& desktop, bool connected);
  // Shutdown by guest agent or ACPI is accepted and nothing happens.
  void SetStubborn(const std::string& desktop, bool stubborn);
  void SetStats(const HostStats& stats);

  // --- What happens in and around guests ---
  // As when the user types `logout`.
  void LogOutInside(const std::string& desktop);
  // The guest powers itself off, or its QEMU dies.
  void PowerOffInside(const std::string& desktop);
  // The machine restarts: every domain is off, memory is lost, saved ones stay saved.
  void RestartHost();
  // A file in the guest, by its whole path. Gone with the domain.
  void WriteGuestFile(const std::string& desktop, const std::string& path,
                      const std::string& content);
  std::string ReadGuestFile(const std::string& desktop, const std::string& path) const;
  using GuestProgram = std::function<GuestExecResult(const std::string& desktop,
                                                     const std::vector<std::string>& command,
                                                     const std::string& input)>;
  // Runs for commands whose first word is `path`.
  void SetGuestProgram(const std::string& path, GuestProgram program);

  // --- What there is, and what was done ---
  // As List, also without a connection.
  std::vector<DomainInfo> Domains() const;
  // Desktops whose machine runs here, or stands still in memory, and was not handed over.
  std::set<std::string> AliveHere() const;
  // Kept for what is on its way here.
  uint64_t IncomingMib() const;
  int Count(Call call) const;
  // "create d1", "suspend d1", ... in order; at most the last 10,000 changes.
  std::vector<std::string> Journal() const;
  // The QEMU side of the oldest display that was opened and not yet taken; -1: none. The caller
  // owns it.
  int TakeDisplay(const std::string& desktop);

 private:
  struct Domain {
    DomainInfo info;
    DomainSpec spec;
    bool stubborn = false;
    std::map<std::string, std::string> files;
    std::deque<int> displays;
    // Where it is being moved to; null: nowhere.
    FakeHypervisor* peer = nullptr;
    bool handed_over = false;
    // As it was when the move began: later ones stay here.
    DomainTag sent_tag;
  };
  struct Fault {
    Call call;
    std::string desktop;
    absl::Status status;
    int times;
    bool after_acting;
  };
  using Events = std::vector<HypervisorEvent>;

  // Counts, waits, and finds a scripted fault.
  absl::Status Enter(Call call, const std::string& desktop, absl::Status& late_fault);
  // Enter, then `act` on the domain, then the late fault and the events.
  absl::Status Act(Call call, const std::string& desktop, const char* word,
                   const std::function<absl::Status(Domain&, Events&)>& act);
  void Deliver(const Events& events);
  void Boot(Domain& domain, Events& events) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PowerOff(Domain& domain, Events& events) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void CloseDisplays(Domain& domain);
  // It stopped here: a move that has not handed it over is void.
  void EndHere(Domain& domain) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What another fake asks of the one that it moves a desktop to: to keep memory, to forget that,
  // to take it. Events are delivered by the sender.
  absl::Status Expect(const std::string& desktop, uint64_t memory_mib);
  void Forget(const std::string& desktop);
  absl::Status Arrive(const Domain& domain);
  void Note(const char* word, const std::string& desktop) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  GuestExecResult RunInside(Domain& domain, const std::vector<std::string>& command,
                            const std::string& input) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::function<void(absl::Duration)> wait_;
  mutable Mutex mutex_;
  bool connected_ ABSL_GUARDED_BY(mutex_) = true;
  std::map<std::string, Domain> domains_ ABSL_GUARDED_BY(mutex_);
  std::vector<Fault> faults_ ABSL_GUARDED_BY(mutex_);
  std::map<Call, absl::Duration> delays_ ABSL_GUARDED_BY(mutex_);
  absl::Duration delayed_ ABSL_GUARDED_BY(mutex_);
  std::map<Call, int> counts_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> journal_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, GuestProgram> programs_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, FakeHypervisor*> peers_ ABSL_GUARDED_BY(mutex_);
  // By desktop, in MiB.
  std::map<std::string, uint64_t> incoming_ ABSL_GUARDED_BY(mutex_);
  // Whom to tell that nothing comes, once the lock is free.
  std::vector<std::pair<FakeHypervisor*, std::string>> void_moves_ ABSL_GUARDED_BY(mutex_);
  HostStats stats_ ABSL_GUARDED_BY(mutex_);
  uint64_t boots_ ABSL_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<absl::AnyInvocable<void(const HypervisorEvent&)>> listener_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace werkplek
