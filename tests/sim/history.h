// What users, hosts and stores truly saw: the material that the checkers judge. The broker's own
// opinion is not in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "broker/model/fleet.h"

namespace werkplek::sim {

// One change set, at the moment at which the store made it durable.
struct CommitSeen {
  absl::Duration at;
  ChangeSet changes;
  // Under which the store took it.
  uint64_t epoch = 0;
};

// The store gave the lead to a broker.
struct ElectionSeen {
  absl::Duration at;
  uint64_t epoch = 0;
  std::string broker;
};

// A host's report reached the machine of a broker that led under that epoch; whether the broker
// looked at it at once is its own matter.
struct ReportSeen {
  absl::Duration at;
  std::string host;
  uint64_t epoch = 0;
};

// A desktop's virtual machine came to run on a host, or runs there no longer, as the host itself
// saw it.
struct RunSeen {
  absl::Duration at;
  std::string host;
  std::string desktop;
  bool runs = false;
};

// A step of a live move, as the hypervisors took it.
struct MoveSeen {
  enum class Step { kBegun, kHandedOver, kEnded, kCalledOff };
  absl::Duration at;
  Step step = Step::kBegun;
  std::string desktop;
  uint64_t generation = 0;
  std::string from;
  std::string to;
};

// An agent took a desktop's domain away, or removed a disk of a shared storage.
struct RemovalSeen {
  absl::Duration at;
  std::string host;
  std::string desktop;
  // Of the domain; of the command for a disk.
  uint64_t generation = 0;
  // A disk.
  bool disk = false;
  // The host whose machine stood on that disk; empty: none did.
  std::string runs_on;
};

// A broker answered a call with OK.
struct AnswerSeen {
  absl::Duration at;
  // Who asked and the request id, as the store keys it, and what was asked for.
  std::string request;
  std::string method;
  std::string answer;
};

// A broker refused a call that it had answered with OK before.
struct RefusalSeen {
  absl::Duration at;
  std::string request;
  std::string why;
};

// A person tried to sign in, and what came of it as far as the client could see.
struct SignInTry {
  absl::Duration at;
  absl::Duration answered_at;
  std::string user;
  std::string peer;
  std::string request_id;
  bool password_right = false;
  // The step whose code of the current seed was sent; -1: not a code of this person.
  int64_t code_step = -1;
  std::string seed_id;
  // The wall clock's step when it was sent.
  int64_t sent_step = 0;
  bool accepted = false;
  std::string token_sha256;
};

// The broker answered `ready`. `after_commits`: how many commits were durable at that moment.
struct ReadySeen {
  absl::Duration at;
  size_t after_commits = 0;
  std::string user;
  std::string pool;
  std::string session;
  std::string desktop;
  std::string host;
  std::string ticket_sha256;
  std::string certificate_sha256;
};

// The broker acknowledged a change: a sign-out, an ended session, a resource.
struct ChangeAcknowledged {
  enum class Kind { kSignOut, kEndSession, kResource };
  Kind kind = Kind::kSignOut;
  absl::Duration at;
  size_t after_commits = 0;
  // The token's SHA-256, the session, or the resource's name with its table and version.
  std::string what;
  std::string table;
  uint64_t version = 0;
};

// A call that carried a token, and whether the broker took the token.
struct TokenUsed {
  absl::Duration sent_at;
  std::string token_sha256;
  bool taken = false;
};

// The agent let a channel through to a display.
struct DisplayGranted {
  absl::Duration at;
  std::string host;
  std::string desktop;
  uint64_t generation = 0;
  // The overlay file on which the desktop stood.
  std::string overlay;
  // The sessions that had used that overlay before.
  std::vector<std::string> used_before;
  std::string ticket_sha256;
  std::string certificate_sha256;
  std::string viewer;
  // Whoever sat before it.
  std::string user;
};

// A ticket reached an agent. `lifetime` is in true time: the agent counts it by its own clock.
struct TicketArrived {
  absl::Duration at;
  std::string host;
  std::string desktop;
  std::string ticket_sha256;
  std::string certificate_sha256;
  absl::Duration lifetime;
};

// A host after something changed on it.
struct HostLoadSeen {
  absl::Duration at;
  std::string host;
  uint64_t running_mib = 0;
  uint64_t physical_mib = 0;
};

// A command of an epoch below the highest that the agent was ever told arrived.
struct OldCommandSeen {
  absl::Duration at;
  std::string host;
  uint64_t epoch = 0;
  uint64_t highest = 0;
  bool obeyed = false;
};

// The quiet end, long after all faults healed.
struct EndSeen {
  // Each thing that is not as it should be, for people.
  std::vector<std::string> complaints;
};

struct History {
  std::vector<CommitSeen> commits;
  std::vector<SignInTry> sign_ins;
  std::vector<ReadySeen> readies;
  std::vector<ChangeAcknowledged> acknowledged;
  std::vector<TokenUsed> tokens_used;
  std::vector<DisplayGranted> displays;
  std::vector<TicketArrived> tickets;
  std::vector<HostLoadSeen> loads;
  std::vector<OldCommandSeen> old_commands;
  std::vector<ElectionSeen> elections;
  std::vector<ReportSeen> reports;
  std::vector<RunSeen> runs;
  std::vector<MoveSeen> moves;
  std::vector<RemovalSeen> removals;
  std::vector<AnswerSeen> answers;
  std::vector<RefusalSeen> refusals;
  EndSeen end;
};

}  // namespace werkplek::sim
