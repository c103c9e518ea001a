// The whole control-plane state as one value.
//
// Hard tables are what the store holds; soft tables are what agents last said and what waits,
// rebuilt after a start. Copies share their structure (table.h), so a copy is the immutable picture
// that reads are served from.
#pragma once

#include <cstdint>
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
  v1::Liveness liveness = v1::LIVENESS_UNSPECIFIED;
  v1::AgentReport report;
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
  uint64_t audit_sequence = 0;

  // Soft.
  Table<std::string> sign_in_by_token;
  Table<HostSoft> host_soft;
  Table<PoolSoft> pool_soft;
  Table<Refusal> refusals;
  // Grows with each commit of this broker's run; watches follow it.
  uint64_t revision = 0;
};

// Applies one committed change, as read from the store or as decided by the core. False: the table
// is unknown or the record does not parse; the fleet is then as it was.
bool ApplyChange(const v1::Change& change, Fleet& fleet);

}  // namespace werkplek
