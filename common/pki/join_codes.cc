#include "common/pki/join_codes.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/source.h"

namespace werkplek {
namespace {

// Without I, L, O and U, which people misread (Crockford's base 32).
constexpr absl::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr size_t kSymbols = 20;
// A dead code is remembered, so that a late retry of its request does not revive it.
constexpr absl::Duration kRemembered = absl::Hours(24);

// 100 bits of the HMAC as five groups of four.
std::string Derive(const Secret& run_key, absl::string_view text) {
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), run_key.Reveal().data(), int(run_key.Reveal().size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &size);
  std::string code;
  for (size_t i = 0; i < kSymbols; ++i) {
    if (i > 0 && i % 4 == 0) code += '-';
    code += kAlphabet[mac[i] & 31];
  }
  return code;
}

// As people type it: any case, with or without dashes and spaces, O for 0, I and L for 1.
std::string Normalised(absl::string_view code) {
  std::string text;
  for (const char c : code.substr(0, 64)) {
    const char upper = absl::ascii_toupper(static_cast<unsigned char>(c));
    if (upper == '-' || upper == ' ') continue;
    text += upper == 'O' ? '0' : upper == 'I' || upper == 'L' ? '1' : upper;
  }
  return text;
}

}  // namespace

JoinCodes::JoinCodes(JoinCodeLimits limits, std::function<absl::Duration()> monotonic)
    : limits_(limits), monotonic_(std::move(monotonic)), run_key_(RandomBytes(32)) {}

absl::StatusOr<std::string> JoinCodes::Add(const PeerName& peer, absl::string_view request_key) {
  const absl::Duration now = monotonic_();
  const std::string code = Derive(run_key_, absl::StrCat(PeerLabel(peer), "\n", request_key));
  const std::string hash = Sha256(Normalised(code));
  MutexLock lock(mutex_);
  DropOld(now);
  if (const auto found = codes_.find(hash); found != codes_.end()) {
    if (found->second.ends > now) return code;
    return absl::AbortedError("that request was answered with a code that is dead now; ask anew");
  }
  size_t live = 0;
  for (auto& [unused, other] : codes_) {
    if (other.peer == peer) other.ends = std::min(other.ends, now);
    if (other.ends > now) ++live;
  }
  if (live >= limits_.max_codes || codes_.size() >= limits_.max_remembered) {
    return absl::ResourceExhaustedError(
        absl::StrCat(live, " join codes are out already; wait until some are ",
                     absl::FormatDuration(limits_.lifetime), " old"));
  }
  codes_[hash] = Code{peer, now + limits_.lifetime, ""};
  return code;
}

absl::StatusOr<PeerName> JoinCodes::Redeem(absl::string_view code, absl::string_view key_sha256,
                                           const std::string& address) {
  const absl::Duration now = monotonic_();
  const std::string hash = Sha256(Normalised(code));
  const std::string source = SourceOf(address);
  MutexLock lock(mutex_);
  DropOld(now);
  if (Blocked(source)) {
    return absl::ResourceExhaustedError(absl::StrCat("too many wrong join codes; try again in ",
                                                     absl::FormatDuration(limits_.window)));
  }
  const auto found = codes_.find(hash);
  const bool good = found != codes_.end() && found->second.ends > now && !key_sha256.empty() &&
                    (found->second.spent_for.empty() || found->second.spent_for == key_sha256);
  if (!good) {
    CountWrong(source, now);
    return absl::PermissionDeniedError(
        "the join code is unknown, used or too old; ask an administrator for a new one");
  }
  found->second.spent_for = std::string(key_sha256);
  return found->second.peer;
}

void JoinCodes::Kill(const PeerName& peer) {
  const absl::Duration now = monotonic_();
  MutexLock lock(mutex_);
  for (auto& [unused, code] : codes_) {
    if (code.peer == peer) code.ends = std::min(code.ends, now);
  }
}

void JoinCodes::KillAll() {
  const absl::Duration now = monotonic_();
  MutexLock lock(mutex_);
  for (auto& [unused, code] : codes_) code.ends = std::min(code.ends, now);
}

void JoinCodes::DropOld(absl::Duration now) {
  for (auto it = codes_.begin(); it != codes_.end();) {
    it = it->second.ends + kRemembered <= now ? codes_.erase(it) : std::next(it);
  }
  for (auto it = wrong_by_source_.begin(); it != wrong_by_source_.end();) {
    it = it->second.began + limits_.window <= now ? wrong_by_source_.erase(it) : std::next(it);
  }
  if (wrong_.began + limits_.window <= now) wrong_ = Window{now, 0};
}

bool JoinCodes::Blocked(const std::string& source) {
  if (wrong_.wrong >= limits_.max_wrong) return true;
  const auto found = wrong_by_source_.find(source);
  if (found == wrong_by_source_.end()) return wrong_by_source_.size() >= limits_.max_addresses;
  return found->second.wrong >= limits_.max_wrong_per_address;
}

void JoinCodes::CountWrong(const std::string& source, absl::Duration now) {
  ++wrong_.wrong;
  ++wrong_by_source_.try_emplace(source, Window{now, 0}).first->second.wrong;
}

}  // namespace werkplek
