#include "broker/model/fleet.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace werkplek {
namespace {

// nullptr: it does not parse.
template <typename Record>
std::shared_ptr<const Record> Parse(const v1::Change& change) {
  auto record = std::make_shared<Record>();
  if (!record->ParseFromString(change.value())) return nullptr;
  return record;
}

template <typename Record>
bool ApplyTo(const v1::Change& change, Table<Record>& table) {
  if (!change.has_value()) {
    table.Erase(change.key());
    return true;
  }
  auto record = Parse<Record>(change);
  if (record == nullptr) return false;
  table.Put(change.key(), std::move(record));
  return true;
}

bool ApplySession(const v1::Change& change, Fleet& fleet) {
  const auto before = fleet.sessions.FindShared(change.key());
  if (!ApplyTo(change, fleet.sessions)) return false;
  IndexSession(before.get(), fleet.sessions.Find(change.key()), fleet);
  return true;
}

bool ApplySignIn(const v1::Change& change, Fleet& fleet) {
  const auto before = fleet.sign_ins.FindShared(change.key());
  if (!ApplyTo(change, fleet.sign_ins)) return false;
  IndexSignIn(before.get(), fleet.sign_ins.Find(change.key()), fleet);
  return true;
}

bool ApplyAudit(const v1::Change& change, Fleet& fleet) {
  uint64_t sequence = 0;
  if (!change.has_value() || !absl::SimpleAtoi(change.key(), &sequence)) return false;
  fleet.audit_sequence = std::max(fleet.audit_sequence, sequence);
  return true;
}

// Calls `visit` with the name and the table of each kind of hard record but the audit. The one list
// of them: what is read from a store and what is written to another cannot differ.
template <typename AnyFleet, typename Visit>
void VisitTables(AnyFleet& fleet, const Visit& visit) {
  visit(kSiteTable, fleet.sites);
  visit(kHostTable, fleet.hosts);
  visit(kImageTable, fleet.images);
  visit(kPoolTable, fleet.pools);
  visit(kEntitlementTable, fleet.entitlements);
  visit(kDesktopTable, fleet.desktops);
  visit(kSessionTable, fleet.sessions);
  visit(kSignInTable, fleet.sign_ins);
  visit(kTokenTable, fleet.tokens);
  visit(kAnsweredTable, fleet.answered);
  visit(kRevocationTable, fleet.revocations);
  visit(kSiteLossTable, fleet.site_losses);
}

}  // namespace

std::shared_ptr<const v1::AgentReport> HostSoft::EmptyReport() {
  static const auto* const kEmpty =
      new std::shared_ptr<const v1::AgentReport>(std::make_shared<v1::AgentReport>());
  return *kEmpty;
}

const v1::DesktopReport* HostSoft::FindDesktop(absl::string_view desktop) const {
  const auto& desktops = report->desktops();
  const auto at = std::lower_bound(
      desktops.begin(), desktops.end(), desktop,
      [](const v1::DesktopReport& d, absl::string_view id) { return d.desktop() < id; });
  return at != desktops.end() && at->desktop() == desktop ? &*at : nullptr;
}

uint64_t HostMemoryLimitMib(const v1::Host& host, const v1::HostLoad& load) {
  if (host.memory_limit_mib() != 0) return host.memory_limit_mib();
  return load.memory_total_mib() - load.memory_total_mib() / 10;
}

std::string LiveSessionKey(absl::string_view user, absl::string_view pool) {
  return absl::StrCat(absl::AsciiStrToLower(user), "/", pool);
}

const Table<v1::Resource>* ResourceTable(const Fleet& fleet, v1::ResourceKind kind) {
  return ResourceTable(const_cast<Fleet&>(fleet), kind);
}

Table<v1::Resource>* ResourceTable(Fleet& fleet, v1::ResourceKind kind) {
  switch (kind) {
    case v1::RESOURCE_KIND_SITE:
      return &fleet.sites;
    case v1::RESOURCE_KIND_HOST:
      return &fleet.hosts;
    case v1::RESOURCE_KIND_IMAGE:
      return &fleet.images;
    case v1::RESOURCE_KIND_POOL:
      return &fleet.pools;
    case v1::RESOURCE_KIND_ENTITLEMENT:
      return &fleet.entitlements;
    default:
      return nullptr;
  }
}

absl::string_view ResourceTableName(v1::ResourceKind kind) {
  switch (kind) {
    case v1::RESOURCE_KIND_SITE:
      return kSiteTable;
    case v1::RESOURCE_KIND_HOST:
      return kHostTable;
    case v1::RESOURCE_KIND_IMAGE:
      return kImageTable;
    case v1::RESOURCE_KIND_POOL:
      return kPoolTable;
    case v1::RESOURCE_KIND_ENTITLEMENT:
      return kEntitlementTable;
    default:
      return "";
  }
}

std::string AuditKey(uint64_t sequence) { return absl::StrFormat("%020d", sequence); }

void IndexSession(const v1::Session* before, const v1::Session* after, Fleet& fleet) {
  const auto lives = [](const v1::Session* session) {
    return session != nullptr && session->state() != v1::SESSION_STATE_ENDED;
  };
  if (lives(before)) {
    const std::string key = LiveSessionKey(before->user(), before->pool());
    if (lives(after) && LiveSessionKey(after->user(), after->pool()) == key) return;
    const std::string* live = fleet.live_sessions.Find(key);
    if (live != nullptr && *live == before->id()) fleet.live_sessions.Erase(key);
  }
  if (lives(after)) {
    fleet.live_sessions.Put(LiveSessionKey(after->user(), after->pool()),
                            std::make_shared<const std::string>(after->id()));
  }
}

void IndexSignIn(const v1::SignIn* before, const v1::SignIn* after, Fleet& fleet) {
  if (before != nullptr && after != nullptr && before->token_sha256() == after->token_sha256()) {
    return;
  }
  if (before != nullptr) fleet.sign_in_by_token.Erase(before->token_sha256());
  if (after != nullptr && !after->token_sha256().empty()) {
    fleet.sign_in_by_token.Put(after->token_sha256(),
                               std::make_shared<const std::string>(after->id()));
  }
}

bool ApplyChange(const v1::Change& change, Fleet& fleet) {
  if (change.table() == kSessionTable) return ApplySession(change, fleet);
  if (change.table() == kSignInTable) return ApplySignIn(change, fleet);
  if (change.table() == kAuditTable) return ApplyAudit(change, fleet);
  bool applied = false;
  VisitTables(fleet, [&](absl::string_view name, auto& records) {
    if (name == change.table()) applied = ApplyTo(change, records);
  });
  return applied;
}

ChangeSet RecordsOf(const Fleet& fleet) {
  ChangeSet changes;
  VisitTables(fleet, [&](absl::string_view name, const auto& records) {
    for (const auto& [key, record] : records) {
      v1::Change& change = changes.emplace_back();
      change.set_table(std::string(name));
      change.set_key(std::string(key));
      change.set_value(record->SerializeAsString());
    }
  });
  return changes;
}

}  // namespace werkplek
