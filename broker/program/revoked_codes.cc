#include "broker/program/revoked_codes.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace werkplek {
namespace {

void Kill(JoinCodes& codes, absl::string_view peer) {
  const absl::StatusOr<PeerName> name = ParsePeerUri(absl::StrCat("werkplek://", peer));
  if (name.ok()) codes.Kill(*name);
}

// A repeated revocation may reach no further than the one before.
bool IsNewer(const v1::Revocation& revocation, const v1::Revocation* before) {
  return before == nullptr || before->revoked_unix_ms() != revocation.revoked_unix_ms() ||
         before->issued_before_unix_ms() != revocation.issued_before_unix_ms();
}

}  // namespace

void RevokedCodes::After(const Committed& committed, uint64_t epoch) {
  if (!committed.reloaded) {
    for (const v1::Change& change : *committed.changes) {
      if (change.table() == kRevocationTable) Kill(*codes_, change.key());
    }
  } else if (epoch == 0 || epoch != epoch_ || picture_ == nullptr) {
    codes_->KillAll();
  } else {
    // The same lead, after a commit that failed.
    for (const auto& entry : committed.picture->revocations) {
      if (IsNewer(*entry.record, picture_->revocations.Find(entry.key))) Kill(*codes_, entry.key);
    }
  }
  epoch_ = epoch;
  picture_ = committed.picture;
}

}  // namespace werkplek
