// Drives a Broker in tests: time that only goes when told, entropy that counts, hosts that obey
// commands, and what the effects said. Every change set is also applied to a second fleet, which
// must stay equal to the broker's hard tables.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/core/broker.h"

namespace werkplek {

// A host that obeys: commands change its desktops at once; a report is sent when told.
class FakeHost {
 public:
  explicit FakeHost(std::string name) : name_(std::move(name)) {
    report_.set_host(name_);
    report_.set_agent_run("run-1");
    report_.set_adopted(true);
    report_.mutable_load()->set_memory_total_mib(65536);
    report_.add_relays("192.0.2.1:5900");
  }

  void Obey(const v1::AgentCommand& command);
  // The next full report.
  std::shared_ptr<const v1::AgentReport> Report();

  v1::AgentReport& report() { return report_; }
  v1::DesktopReport* Find(const std::string& desktop);
  const std::string& name() const { return name_; }

  // Has the shared storage "san" at hand, with libvirt's locks.
  void AttachStorage();

  uint64_t link = 0;
  // Starts fail with this message; empty: they work.
  std::string start_error;
  // Commands are heard but not obeyed.
  bool stuck = false;
  // Guests have the agent that begins and ends sessions.
  bool guest_agent = true;
  // It does not report.
  bool silent = false;
  // Moves from here fail with this message; empty: they work.
  std::string move_error;

 private:
  void Start(const v1::AgentCommand& command);
  // START of a disk that is kept.
  void StartKept(const v1::AgentCommand& command, v1::DesktopReport& desktop);

  const std::string name_;
  v1::AgentReport report_;
  int64_t overlays_ = 0;
};

class Driver {
 public:
  explicit Driver(BrokerSettings settings = {}, Fleet fleet = {});

  // ------------------------------------------------------------ events
  void Apply(decltype(Event::what) what);
  // Time goes by in steps of 250 ms; hosts report each second and after commands.
  void Advance(absl::Duration time);
  // One round of reports from every host that is not silent.
  void ReportAll();
  FakeHost& AddHost(const std::string& name);
  // Moves that hosts are at are over: the desktop is with the target when that is there.
  void FinishMoves();
  // A new broker with what was committed.
  void Restart();

  // ------------------------------------------------------------ people
  // Enrols the user's token (active) without the help desk.
  void Enrol(const std::string& user);
  // A sign-in that works; its token's hash.
  std::string SignIn(const std::string& user, std::vector<v1::Role> roles = {},
                     std::vector<std::string> groups = {});
  SignInChecked GoodSignIn(const std::string& user);
  Caller CallerOf(const std::string& token_sha256) const;
  // The same person by browser, through this gateway.
  Caller AtGateway(const std::string& name, const std::string& token_sha256 = "") const;

  // A call by the sign-in; its status and response.
  absl::StatusOr<std::shared_ptr<const google::protobuf::Message>> CallAs(
      const Caller& caller, std::shared_ptr<google::protobuf::Message> request);
  template <typename Request>
  absl::StatusOr<std::shared_ptr<const google::protobuf::Message>> CallAs(const Caller& caller,
                                                                          Request request) {
    std::shared_ptr<google::protobuf::Message> shared =
        std::make_shared<Request>(std::move(request));
    return CallAs(caller, std::move(shared));
  }
  template <typename Request>
  absl::StatusOr<std::shared_ptr<const google::protobuf::Message>> Call(
      const std::string& token_sha256, Request request) {
    return CallAs(CallerOf(token_sha256), std::move(request));
  }
  // The administrator's token; signs in once.
  const std::string& Admin();
  void Create(v1::Resource resource);

  // `again`: the client had the screen and lost it.
  CallId Connect(const std::string& token_sha256, const std::string& pool, bool again = false);
  // Everything the call was told, in order.
  std::vector<v1::ConnectUpdate> Updates(CallId call) const;
  // The last thing it was told; empty when nothing.
  v1::ConnectUpdate Last(CallId call) const;
  // The status it ended with, when it failed.
  absl::Status Failure(CallId call) const;

  // ------------------------------------------------------------ what is there
  const Fleet& fleet() const { return broker_->fleet(); }
  const v1::Desktop* DesktopOf(const std::string& user) const;
  const v1::Session* SessionOf(const std::string& user) const;
  int Desktops(v1::DesktopState state) const;
  const std::vector<Effect>& effects() const { return effects_; }
  std::vector<v1::AgentCommand> Commands(v1::CommandVerb verb) const;
  std::vector<v1::AuditRecord> audit() const { return audit_; }
  uint64_t Counted(const std::string& what, const std::string& label) const;
  void Forget() { effects_.clear(); }
  bool Logged(const std::string& event, const std::string& field, const std::string& value) const;

  // Called after each Apply, before its commands go out.
  std::function<void(const Event& event, const Decision& decision)> check;
  // Moves go on until FinishMoves; otherwise they are over with the next reports.
  bool hold_moves = false;
  // Whether a command is lost on its way.
  std::function<bool()> lose_command;

  absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  absl::Time last_report = absl::InfinitePast();
  // Effects of the last Apply.
  std::vector<Effect> latest;
  Broker& broker() { return *broker_; }
  const Fleet& stored() const { return stored_; }
  std::map<std::string, FakeHost> hosts;

 private:
  void Take(const Effect& effect);

  BrokerSettings settings_;
  std::unique_ptr<Broker> broker_;
  // What a store would hold.
  Fleet stored_;
  uint64_t epoch_ = 1;
  uint64_t next_ = 1;
  std::string admin_;
  std::vector<Effect> effects_;
  std::vector<v1::AuditRecord> audit_;
  std::map<CallId, Reply> replies_;
  std::map<CallId, std::vector<v1::ConnectUpdate>> updates_;
  std::map<CallId, absl::Status> failures_;
  std::deque<std::pair<std::string, v1::AgentCommand>> commands_;
  std::map<std::string, int64_t> steps_;
};

// Resources with sensible values.
v1::Resource MakeSite(const std::string& name);
v1::Resource MakeHost(const std::string& name, const std::string& site = "a");
v1::Resource MakeImage(const std::string& name, char digit = 'a');
v1::Resource MakePool(const std::string& name, uint32_t min, uint32_t max, uint32_t spares);
v1::Resource MakeEntitlement(const std::string& pool, const std::string& group = "staff");

}  // namespace werkplek
