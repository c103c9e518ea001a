// Orders the broker's work: events in, one commit for all that waited, then the effects.
//
// Owns the loop's state; every public function may be called from any thread and returns at once.
// Answers come on the loop thread, exactly once per call, and only after the commit they rest on is
// durable.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "broker/core/broker.h"
#include "broker/node/password_tries.h"
#include "broker/node/ports.h"

namespace werkplek {

using MessagePointer = std::shared_ptr<const google::protobuf::Message>;
using ReplyCallback = absl::AnyInvocable<void(absl::StatusOr<MessagePointer>)>;

// What readers see: the fleet after the last commit.
using Picture = std::shared_ptr<const Fleet>;

// One committed change set with the fleet after it. The picture's revision grows with each.
struct Committed {
  Picture picture;
  std::shared_ptr<const ChangeSet> changes;
  // The fleet was loaded anew: anything may differ from the picture before, and `changes` is empty.
  // A follower starts over from `picture`.
  bool reloaded = false;
};

// `update` is one message of the stream; `last` says that none follows. A failed status is always
// the last.
using ConnectCallback =
    absl::AnyInvocable<void(absl::StatusOr<v1::ConnectUpdate> update, bool last)>;
using WatchCallback = absl::AnyInvocable<void(const Committed& committed)>;

class TokenAuthority;

// nullptr: the user has no enrolment.
using Enrolment = std::shared_ptr<const v1::TokenEnrolment>;
using EnrolmentCallback = absl::AnyInvocable<void(absl::StatusOr<Enrolment>)>;

// What a sign-in at a broker that does not lead needs of the one that does (broker/peer). Empty:
// this broker is the only one. Called on the loop thread; the callbacks come once, from any thread.
// UNAVAILABLE: no leader is known, or it does not answer.
struct LeaderFunctions {
  // What the leader has of the user for judging a code: the user, the seed's id, the sealed seed.
  // `tries_password`: as BrokerNode::TryPassword, whose refusals it gives then, too.
  std::function<void(const Caller& caller, const std::string& user, bool tries_password,
                     EnrolmentCallback done)>
      get_enrolment;
  // The leader's answer to the sign-in, without the access token.
  std::function<void(const SignInChecked& checked, ReplyCallback done)> submit_sign_in;
};

// UNAVAILABLE: this broker does not lead, or lost what it was doing.
absl::Status TryAgain();

// What a node is built from. All outlive the node. `observe` takes each StageTook and Counted
// effect, on the loop thread.
struct NodeParts {
  Executor* executor = nullptr;
  Store* store = nullptr;
  Election* election = nullptr;
  Directory* directory = nullptr;
  AgentLinks* agents = nullptr;
  const TokenAuthority* tokens = nullptr;
  // nullptr: hosts are never switched off (BrokerSettings::fence_command is false then).
  Fencer* fencer = nullptr;
  std::function<void(const Effect&)> observe;
  LeaderFunctions leader = {};
  // Whether this machine's wall clock can be trusted to judge one-time codes; empty: always. Any
  // thread.
  std::function<bool()> clock_good = {};
};

struct NodeSettings {
  BrokerSettings broker;
  absl::Duration tick = absl::Milliseconds(250);
  // Events that may wait for the loop; further calls get RESOURCE_EXHAUSTED with a retry delay.
  size_t max_waiting_events = 20'000;
  // Sign-ins that may be with the directory at once.
  size_t max_sign_ins_in_flight = 1'024;
  // Networks (CIDR) from which the password alone is enough. Empty: the token is always required.
  std::vector<std::string> token_waived_networks;
  // Directory groups (DN or cn) that give a role beyond employee.
  std::vector<std::pair<v1::Role, std::string>> role_groups;
  // Wrong passwords in one name.
  PasswordLimits passwords;
  // How often the directory is asked again about everybody who is signed in or has a session.
  absl::Duration recheck_every = absl::Seconds(30);
  // Events that may share one commit.
  size_t max_batch = 512;
};

class NodeLoop;

class BrokerNode {
 public:
  BrokerNode(NodeSettings settings, NodeParts parts);
  ~BrokerNode();
  BrokerNode(const BrokerNode&) = delete;
  BrokerNode& operator=(const BrokerNode&) = delete;

  void Start();
  // No callback of an earlier call comes after this returns; calls that wait are answered
  // UNAVAILABLE first, on this thread. A later call is answered UNAVAILABLE before it returns. Not
  // from a callback.
  void Stop();

  // nullptr until this broker leads and has loaded.
  Picture picture() const;

  // The access token in the answer is `wp1_` and 32 random bytes in URL-safe base64; the core (and
  // Caller.token_sha256) knows the SHA-256 of that whole text. A malformed name is answered like a
  // wrong password, as late; INVALID_ARGUMENT names what is empty or too long. Without the lead,
  // password and code are judged here and the leader decides, when it can be asked.
  void SignIn(const Caller& caller, const v1::SignInRequest& request, ReplyCallback done);
  // Another broker is about to try a password in this name, and submits the sign-in then.
  // UNAUTHENTICATED with a delay: too many wrong ones were tried. RESOURCE_EXHAUSTED: others are
  // under way. UNAVAILABLE: this broker does not lead. Any thread.
  absl::Status TryPassword(const Caller& caller, const std::string& user);
  // A sign-in that was judged by another broker. Its answer has no access token.
  void SubmitSignIn(SignInChecked checked, ReplyCallback done);
  // Any other unary call that changes something.
  void Call(const Caller& caller, MessagePointer request, ReplyCallback done);
  CallId Connect(const Caller& caller, const v1::ConnectRequest& request, ConnectCallback update);
  // Records what a machine is about to be given (`issued.call` is set here); it may have it when
  // `done` says OK.
  void RecordCertificate(CertificateIssued issued, ReplyCallback done);
  // The caller went away; no callback of that call comes afterwards but one that is running now.
  void Cancel(CallId call);
  // Counts a read with this token as use.
  void SignInUsed(const std::string& token_sha256);
  void ReadAudit(uint64_t after, uint32_t limit,
                 absl::AnyInvocable<void(absl::StatusOr<std::vector<v1::AuditRecord>>)> done);

  // `callback` gets every commit from now on, on the loop thread, until Unwatch returns. It must
  // not wait: a follower that falls behind keeps its own bounded queue, and starts over when that
  // is full.
  uint64_t Watch(WatchCallback callback);
  void Unwatch(uint64_t id);

  // A host's stream began, said something, ended. Attached returns the link's number.
  uint64_t AgentAttached(const std::string& host);
  void AgentReported(const std::string& host, uint64_t link, v1::AgentReport report);
  void AgentDetached(const std::string& host, uint64_t link);

 private:
  // Shared with the tasks that wait on the executor.
  std::shared_ptr<NodeLoop> loop_;
};

}  // namespace werkplek
