// What can happen to the broker. Time comes beside an event, ids and chance inside it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "werkplek/v1/access.pb.h"
#include "werkplek/v1/admin.pb.h"
#include "werkplek/v1/agent.pb.h"
#include "werkplek/v1/session.pb.h"
#include "werkplek/v1/stored.pb.h"

namespace werkplek {

// Names one call that waits for an answer; unique within one run of a node.
using CallId = uint64_t;

// Who calls, as the transport proved it.
struct Caller {
  v1::Identity identity = v1::IDENTITY_UNSPECIFIED;
  // "client/tc-017".
  std::string peer;
  // SHA-256 of its certificate, 32 bytes.
  std::string certificate_sha256;
  // When its certificate was issued, milliseconds since 1970. 0: not known, so older than any
  // revocation.
  int64_t certificate_issued_unix_ms = 0;
  // "192.0.2.7:51234"; the browser's, when a gateway told it.
  std::string address;
  // SHA-256 of the access token it sent, 32 bytes; empty: none.
  std::string token_sha256;
};

// A mutating call of the session or admin service other than SignIn. Its request is one of the
// *Request messages of session.proto and admin.proto; which one, its descriptor tells.
struct CallRequested {
  CallId call = 0;
  Caller caller;
  std::shared_ptr<const google::protobuf::Message> request;
  // Connect: the ticket to be given with `ready`. Fresh, 256 bits, URL-safe base64.
  std::string ticket;
  // EnrolToken: the sealed seed and its id. ConfirmToken: the time step that the code matched, or
  // -1.
  std::string sealed_seed;
  std::string seed_id;
  int64_t matched_step = -1;
};

// What the directory said of a name and a password.
enum class DirectoryOutcome {
  kOk,
  // Unknown user, wrong password, locked, expired: told apart in the log only.
  kDenied,
  // No server answered in time.
  kUnavailable,
  // Too many at once.
  kOverloaded,
};

struct DirectoryPerson {
  // The name as the directory spells it; sign-ins, sessions and enrolments go by this.
  std::string user;
  std::string dn;
  std::string display_name;
  // DNs of all groups, nested ones too, in byte order.
  std::vector<std::string> groups;
};

// The password was judged by the directory and the code against the seed, both, whatever the other
// said.
struct SignInChecked {
  CallId call = 0;
  Caller caller;
  // As typed; `person.user` is the directory's spelling (kOk only).
  std::string typed_user;
  std::string request_id;
  v1::ClientFacts client;
  DirectoryOutcome directory = DirectoryOutcome::kDenied;
  // For the log: "wrong password", "unknown user", "locked", ...
  std::string directory_detail;
  std::vector<std::string> notices;
  DirectoryPerson person;
  std::vector<v1::Role> roles;
  // The network allows the password alone.
  bool token_waived = false;
  // With this wrong password no more are tried in the name for some time: nowhere, or only where
  // the person is known.
  bool pauses_passwords = false;
  // The seed the code was judged against, and the step it matched, or -1.
  std::string seed_id;
  int64_t matched_step = -1;
  // SHA-256 of the fresh access token, and the sign-in's fresh id.
  std::string token_sha256;
  std::string sign_in_id;
};

// The caller of a stream (or of a call) has gone.
struct CallCancelled {
  CallId call = 0;
};

// A host's stream began. `link` is unique within a run of the node.
struct AgentAttached {
  std::string host;
  uint64_t link = 0;
};

struct AgentDetached {
  std::string host;
  uint64_t link = 0;
};

struct AgentReported {
  std::string host;
  uint64_t link = 0;
  std::shared_ptr<const v1::AgentReport> report;
};

// A read with this token was served: counts as use. Sent at most once a minute per token.
struct SignInUsed {
  std::string token_sha256;
};

// The program that switches hosts off has ended (FenceHost). OK: the host is off for sure.
struct HostFenced {
  std::string host;
  // Of the FenceHost that it answers.
  absl::Time asked;
  absl::Status status;
};

// The directory was asked again about somebody who is signed in or has a session.
struct PersonChecked {
  // As sign-ins and sessions spell it.
  std::string user;
  // The directory knows the person no longer, or lets nobody in under that name; `why` is for the
  // audit. The rest is then empty.
  bool gone = false;
  std::string why;
  DirectoryPerson person;
  std::vector<v1::Role> roles;
};

// A certificate was made for a machine, which is given it once that is durable.
struct CertificateIssued {
  CallId call = 0;
  // "host/hv-a1".
  std::string peer;
  // It is the machine's first, by a join code; otherwise the machine renewed the one it had.
  bool joined = false;
  // SHA-256 of the certificate, 32 bytes.
  std::string certificate_sha256;
  // For the audit: where the machine was.
  std::string origin;
};

// Time passed: deadlines, liveness, pool sizes.
struct Tick {};

struct Event {
  std::variant<CallRequested, SignInChecked, CallCancelled, AgentAttached, AgentDetached,
               AgentReported, SignInUsed, HostFenced, PersonChecked, CertificateIssued, Tick>
      what;
  // 32 fresh random bytes; ids are derived from them.
  std::string entropy;
};

}  // namespace werkplek
