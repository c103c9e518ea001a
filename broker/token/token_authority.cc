#include "broker/token/token_authority.h"

#include <liboath/oath.h>

#include <array>
#include <cassert>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "broker/token/one_time_code.h"
#include "broker/token/seal.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr int kDigits = 6;
constexpr size_t kSeedBytes = 20;
constexpr size_t kSeedIdBytes = 16;
static_assert(kSeedBytes + kSeedIdBytes + kSealNonceBytes <= 64);

// RFC 3986 section 2.3: everything that is not unreserved becomes %XX.
std::string PercentEncode(absl::string_view text) {
  std::string encoded;
  for (const char c : text) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_' ||
        c == '~') {
      encoded += c;
    } else {
      absl::StrAppendFormat(&encoded, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

// The code as six bytes, whatever was typed, so that judging takes the same time. What is not six
// digits becomes bytes that no code has.
std::string SixBytes(absl::string_view code) {
  bool digits = code.size() == kDigits;
  for (const char c : code) digits = digits && c >= '0' && c <= '9';
  return digits ? std::string(code) : std::string(kDigits, '\0');
}

int64_t StepOf(absl::Time now) {
  const int64_t seconds = absl::ToUnixSeconds(now);
  return seconds < 0 ? -1 : seconds / kStepSeconds;
}

}  // namespace

struct TokenAuthority::Parts {
  Secret key;
  std::string issuer;
  // A seed of nobody, sealed like any other: judged where there is no enrolment.
  v1::TokenEnrolment nobody;
};

TokenAuthority::TokenAuthority(Secret key, std::string issuer)
    : parts_(std::make_unique<Parts>(Parts{std::move(key), std::move(issuer), {}})) {
  std::string entropy = RandomBytes(64);
  SealedSeed decoy = NewSeed("nobody", entropy);
  Wipe(entropy);
  parts_->nobody.set_user("nobody");
  parts_->nobody.set_seed_id(std::move(decoy.seed_id));
  parts_->nobody.set_sealed_seed(std::move(decoy.sealed));
}

TokenAuthority::~TokenAuthority() = default;

absl::StatusOr<std::unique_ptr<TokenAuthority>> TokenAuthority::Create(Secret key,
                                                                       std::string issuer) {
  if (key.Reveal().size() != kSealKeyBytes) {
    return absl::InvalidArgumentError(absl::StrCat("the token key has ", key.Reveal().size(),
                                                   " bytes; it must have ", kSealKeyBytes));
  }
  if (issuer.empty() || issuer.size() > 64 || issuer.find(':') != std::string::npos) {
    return absl::InvalidArgumentError(
        "the token issuer must have 1 to 64 bytes and no ':' (authenticator apps split there)");
  }
  if (oath_init() != OATH_OK) return absl::InternalError("liboath does not start");
  return std::unique_ptr<TokenAuthority>(new TokenAuthority(std::move(key), std::move(issuer)));
}

SealedSeed TokenAuthority::NewSeed(const std::string& user, absl::string_view entropy) const {
  assert(entropy.size() >= 64);
  const absl::string_view seed = entropy.substr(0, kSeedBytes);
  const absl::string_view nonce = entropy.substr(kSeedBytes, kSealNonceBytes);
  SealedSeed result;
  result.seed_id = HexEncode(entropy.substr(kSeedBytes + kSealNonceBytes, kSeedIdBytes));
  result.sealed = Seal(parts_->key, nonce, user, result.seed_id, seed);
  return result;
}

absl::StatusOr<Secret> TokenAuthority::OtpauthUri(const v1::TokenEnrolment& enrolment) const {
  ASSIGN_OR_RETURN(Secret seed, OpenSeal(parts_->key, enrolment.sealed_seed(), enrolment.user(),
                                         enrolment.seed_id()));
  std::string base32 = Base32Encode(seed.Reveal());
  const std::string issuer = PercentEncode(parts_->issuer);
  Secret uri(absl::StrCat("otpauth://totp/", issuer, ":", PercentEncode(enrolment.user()),
                          "?secret=", base32, "&issuer=", issuer,
                          "&algorithm=SHA1&digits=", kDigits, "&period=", kStepSeconds));
  Wipe(base32);
  return uri;
}

int64_t TokenAuthority::MatchedStep(const v1::TokenEnrolment* enrolment, absl::string_view code,
                                    absl::Time now) const {
  const v1::TokenEnrolment& judged = enrolment != nullptr ? *enrolment : parts_->nobody;
  absl::StatusOr<Secret> seed =
      OpenSeal(parts_->key, judged.sealed_seed(), judged.user(), judged.seed_id());
  const bool real = enrolment != nullptr && seed.ok();
  const std::string decoy(kSeedBytes, '\0');
  const absl::string_view bytes = seed.ok() ? seed->Reveal() : decoy;

  std::string given = SixBytes(code);
  const int64_t current = StepOf(now);
  int64_t matched = kNoMatch;
  // The older first: when both steps have this code it counts for the newer, which leaves no step
  // of the same code to be used after it.
  for (const int64_t step : {current - 1, current}) {
    std::string expected = TotpCode(bytes, step, kDigits, CodeHash::kSha1);
    if (EqualInConstantTime(expected, given)) matched = step;
    Wipe(expected);
  }
  Wipe(given);
  if (real) return matched;
  const bool sealed = enrolment != nullptr && !enrolment->sealed_seed().empty();
  return sealed ? kSealClosed : kNoMatch;
}

}  // namespace werkplek
