#include "broker/store/store_rules.h"

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/crypto.h"
#include "common/base/status_macros.h"

namespace werkplek {

absl::Status CheckEpoch(uint64_t epoch, uint64_t newest) {
  if (epoch >= newest) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("epoch ", epoch, " is over: a broker with epoch ", newest, " leads"));
}

absl::StatusOr<uint64_t> AuditSequence(const std::string& key) {
  uint64_t sequence = 0;
  if (key.empty() || key.size() > 20 || !absl::SimpleAtoi(key, &sequence) || sequence == 0 ||
      sequence > static_cast<uint64_t>(INT64_MAX)) {
    return absl::InvalidArgumentError(absl::StrCat("audit key '", key, "' is not a sequence"));
  }
  return sequence;
}

absl::Status CheckChanges(const ChangeSet& changes) {
  size_t bytes = 0;
  for (const v1::Change& change : changes) {
    if (change.table().empty() || change.key().empty()) {
      return absl::InvalidArgumentError("a change needs a table and a key");
    }
    if (absl::string_view(change.table()) == kAuditTable) {
      RETURN_IF_ERROR(AuditSequence(change.key()).status());
      if (!change.has_value()) {
        return absl::InvalidArgumentError("the audit is append only: nothing is deleted from it");
      }
    }
    bytes += change.table().size() + change.key().size() + change.value().size();
  }
  if (bytes <= kMaxCommitBytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("one commit of ", bytes, " bytes; at most ", kMaxCommitBytes, " are taken"));
}

std::string RecordDigest(absl::string_view kind, absl::string_view key, absl::string_view value) {
  return Sha256(absl::StrCat(kind.size(), ":", kind, key.size(), ":", key, value)).substr(0, 8);
}

absl::Status UnreadableRecord(const std::string& table, const std::string& key) {
  return absl::DataLossError(absl::StrCat("record '", key, "' of table '", table,
                                          "' cannot be read by this version of Werkplek"));
}

}  // namespace werkplek
