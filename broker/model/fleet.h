// The whole control-plane state as one value.
//
// Hard tables are what the store holds; soft tables are what agents last said and what waits,
// rebuilt after a start. Copies share their structure (table.h), so a copy is the immutable picture
// that reads are served from.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "broker/model/table.h"
#include "werkplek/v1/admin.pb.h"
#include "werkplek/v1/agent.pb.h"
#include "werkplek/v1/resources.pb.h"
#include "werkplek/v1/stored.pb.h"

namespace werkplek {

// What is known of a host beyond its record.
struct HostSoft {
  // The stream it reports on; 0: none.
  uint64_t link = 0;
  absl::Time last_heard = absl::InfinitePast();
  // From when its silence counts: the last report, or the start of this broker's lead.
  absl::Time counted_from = absl::InfinitePast();
  v1::Liveness liveness = v1::LIVENESS_UNSPECIFIED;
  // The host was asked to be switched off at this time, and is. InfinitePast: not so.
  absl::Time switched_off = absl::InfinitePast();
  // Why that failed last; empty: it did not.
  std::string fence_error;
  // Never null; its desktops are in the byte order of their ids. Empty before the first report.
  std::shared_ptr<const v1::AgentReport> report = EmptyReport();

  static std::shared_ptr<const v1::AgentReport> EmptyReport();
  // What the host said of one desktop; nullptr: nothing.
  const v1::DesktopReport* FindDesktop(absl::string_view desktop) const;
};

// What is known of a pool beyond its record.
struct PoolSoft {
  uint32_t waiting = 0;
  uint32_t failures_in_a_row = 0;
  // Why the pool makes no new desktops; empty: it does.
  std::string breaker;
};

// A recent refusal, for `Explain`.
struct Refusal {
  std::string user;
  std::string pool;
  v1::Explanation explanation;
};

// The names of the hard tables, as the store writes them (v1::Change.table).
inline constexpr absl::string_view kSiteTable = "site";
inline constexpr absl::string_view kHostTable = "host";
inline constexpr absl::string_view kImageTable = "image";
inline constexpr absl::string_view kPoolTable = "pool";
inline constexpr absl::string_view kEntitlementTable = "entitlement";
inline constexpr absl::string_view kDesktopTable = "desktop";
inline constexpr absl::string_view kSessionTable = "session";
inline constexpr absl::string_view kSignInTable = "sign_in";
inline constexpr absl::string_view kTokenTable = "token";
inline constexpr absl::string_view kAnsweredTable = "answered";
inline constexpr absl::string_view kRevocationTable = "revocation";
inline constexpr absl::string_view kSiteLossTable = "site_loss";
// Append only, keyed by the zero-padded sequence; the fleet holds only its last number, the store
// all of it.
inline constexpr absl::string_view kAuditTable = "audit";

// One commit: all of it becomes durable, or none.
using ChangeSet = std::vector<v1::Change>;

struct Fleet {
  // Hard. Keys: the resource's name.
  Table<v1::Resource> sites;
  Table<v1::Resource> hosts;
  Table<v1::Resource> images;
  Table<v1::Resource> pools;
  Table<v1::Resource> entitlements;
  // Keys: the id.
  Table<v1::Desktop> desktops;
  Table<v1::Session> sessions;
  // Key: the sign-in's id. `sign_in_by_token` finds it by the token's SHA-256 (soft, derived).
  Table<v1::SignIn> sign_ins;
  // Key: the user.
  Table<v1::TokenEnrolment> tokens;
  // Key: "PEER/REQUEST_ID".
  Table<v1::AnsweredRequest> answered;
  // Key: the machine ("host/hv-a1").
  Table<v1::Revocation> revocations;
  // Key: the site. Only sites that are not in order.
  Table<v1::SiteLoss> site_losses;
  uint64_t audit_sequence = 0;

  // Soft. Derived from the hard tables by ApplyChange.
  Table<std::string> sign_in_by_token;
  // Key: the user in lower case. The key in `tokens`, which has the directory's spelling. Kept by
  // the core.
  Table<std::string> token_by_name;
  // Key: LiveSessionKey(user, pool). The one session of the user in that pool that has not ended.
  Table<std::string> live_sessions;
  Table<HostSoft> host_soft;
  Table<PoolSoft> pool_soft;
  Table<Refusal> refusals;
  // Key: the desktop. What became of its last moves, or why it cannot move.
  Table<v1::Explanation> move_notes;
  // When this broker began to lead.
  absl::Time leading_since = absl::InfinitePast();
  // Grows with each commit of this broker's run; watches follow it.
  uint64_t revision = 0;
};

// What desktops may use of the host's memory: its limit, or what it reports less a tenth.
uint64_t HostMemoryLimitMib(const v1::Host& host, const v1::HostLoad& load);

// "user/pool", in lower case: names are compared without regard to case. The live sessions of one
// user are those after "user/".
std::string LiveSessionKey(absl::string_view user, absl::string_view pool);

// The resource table of a kind, and its name in the store; nullptr and "" for none.
const Table<v1::Resource>* ResourceTable(const Fleet& fleet, v1::ResourceKind kind);
Table<v1::Resource>* ResourceTable(Fleet& fleet, v1::ResourceKind kind);
absl::string_view ResourceTableName(v1::ResourceKind kind);

// The key of an audit record: its sequence, zero-padded to 20 digits.
std::string AuditKey(uint64_t sequence);

// Keeps the derived tables true to one write; nullptr stands for "no record".
void IndexSession(const v1::Session* before, const v1::Session* after, Fleet& fleet);
void IndexSignIn(const v1::SignIn* before, const v1::SignIn* after, Fleet& fleet);

// Applies one committed change, as read from the store or as decided by the core. False: the table
// is unknown or the record does not parse; the fleet is then as it was.
bool ApplyChange(const v1::Change& change, Fleet& fleet);

// Every record of the hard tables, as changes that write it; not the audit.
ChangeSet RecordsOf(const Fleet& fleet);

}  // namespace werkplek
