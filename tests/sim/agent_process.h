// An agent of a simulation: the real core and the real operations, on a machine, with a link to
// the leading broker that stalls, breaks and heals. Killed and started again at will. Its clock
// runs faster or slower than the others'.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "agent/core/agent_core.h"
#include "tests/sim/machine.h"
#include "tests/sim/pipe.h"

namespace werkplek::sim {

class World;

class AgentProcess {
 public:
  AgentProcess(World& world, Machine& machine);

  void Start();
  // As by kill -9: what it was doing stops where it stands.
  void Kill();
  bool up() const { return core_ != nullptr; }
  Machine& machine() { return machine_; }

  // The link. While it is cut, nothing connects; a stall delays what is under way.
  void CutLink();
  void HealLink() { link_cut_ = false; }
  void StallLink(absl::Duration how_long);
  // A command that the broker sends on the link.
  void Deliver(uint64_t link, const v1::AgentCommand& command);
  // Sabotage: the leader takes what is there for unknown.
  void HearRemove(const std::string& desktop, uint64_t generation);
  // As by SIGSTOP and SIGCONT.
  void Pause() { paused_ = up(); }
  void Resume();
  // Whether it may be stopped or killed (again). Where something must be fenced, systemd has an
  // agent back before the leader counts on it, so it is neither absent twice in a row nor while its
  // line is cut. What else keeps such a desktop from running twice, the lock of its disk, is left
  // out here on purpose.
  bool MayFail() const;
  // The broker ended the link, or died; the agent hears soon.
  void Closed(uint64_t link);
  // The agent gives the link up, because nobody answers on it.
  void GiveUp(uint64_t link);
  // Displays whose viewers cannot be reached any more end.
  void BreakDisplays();

  // A viewer asks for the display. `answer` comes once, with the channel if it was granted; `gone`
  // when a granted channel ends from the host's side.
  struct Viewer {
    std::string desktop;
    std::string user;
    // Where it runs.
    std::string machine;
    // The session that sits before it.
    std::string session;
    std::string ticket_sha256;
    std::string certificate_sha256;
    std::string viewer;
    std::function<void(agent::TicketAnswer answer, uint64_t channel)> answer;
    std::function<void()> gone;
  };
  void Present(Viewer viewer);
  // The viewer closes a granted channel.
  void CloseChannel(uint64_t channel);

 private:
  void Apply(const AgentEvent& event);
  void Run(const AgentEffect& effect);
  void RunOperationSoon(const Operation& operation);
  void OperationActs(const Operation& operation);
  void Move(const Operation& operation);
  void AnswerTicket(const agent::AnswerTicket& effect);
  void Granted(uint64_t channel, const Viewer& viewer);
  void EndChannel(uint64_t channel, bool tell_viewer);
  void Receive(const v1::AgentCommand& command);
  void Report(const v1::AgentReport& report);
  void Dial();
  void Attached(const std::string& broker, uint64_t link, const std::string& leader);
  // The link is gone on this side; `told` is when the broker hears.
  void DropLink(absl::Duration told);
  absl::Duration Clock() const;
  void DialSoon(absl::Duration least, absl::Duration most);
  // Posts for this run of the agent only.
  void After(absl::Duration delay, std::function<void()> task);

  World& world_;
  Machine& machine_;
  std::unique_ptr<AgentCore> core_;
  uint64_t run_ = 0;
  bool paused_ = false;
  // Since when it is there.
  absl::Duration there_since_;
  std::deque<std::function<void()>> waiting_;
  uint64_t wake_ = 0;

  bool link_cut_ = false;
  uint64_t link_ = 0;
  // The broker at the other end, the one to try next, and how often this agent has dialled.
  std::string linked_to_;
  std::string try_next_;
  uint64_t dials_ = 0;
  std::shared_ptr<Pipe> up_;
  std::shared_ptr<Pipe> down_;
  uint64_t highest_epoch_told_ = 0;
  // One that was said long ago.
  v1::AgentCommand old_command_;

  uint64_t next_channel_ = 1;
  std::map<uint64_t, Viewer> asking_;
  std::map<uint64_t, Viewer> open_;
};

}  // namespace werkplek::sim
