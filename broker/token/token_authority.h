// One-time tokens: makes seeds, seals them, and tells which time step a code belongs to (RFC 6238,
// SHA-1, 30 s, 6 digits). Whether a step may still be used is the core's decision. Thread-safe
// after Create.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/crypto.h"
#include "werkplek/v1/stored.pb.h"

namespace werkplek {

struct SealedSeed {
  std::string seed_id;
  // Sealed to the user and the seed id; useless under another name.
  std::string sealed;
};

class TokenAuthority {
 public:
  // `key` is 32 bytes from outside the store. `issuer` names the organisation in the authenticator
  // app.
  static absl::StatusOr<std::unique_ptr<TokenAuthority>> Create(Secret key, std::string issuer);
  ~TokenAuthority();

  // A fresh 160-bit seed for the user, from `entropy` (at least 64 fresh random bytes).
  SealedSeed NewSeed(const std::string& user, absl::string_view entropy) const;

  // otpauth://totp/... for the authenticator app. DATA_LOSS: the seal does not open.
  absl::StatusOr<Secret> OtpauthUri(const v1::TokenEnrolment& enrolment) const;

  static constexpr int64_t kNoMatch = -1;
  static constexpr int64_t kSealClosed = -2;

  // The step whose code this is: the current one or the one before. kNoMatch: neither, or no such
  // enrolment, or one without a seed. kSealClosed: its seed was sealed with another key, or for
  // somebody else, so that nothing can be said of the code. Takes the same time in all cases
  // (nullptr is judged against a seed of nobody).
  int64_t MatchedStep(const v1::TokenEnrolment* enrolment, absl::string_view code,
                      absl::Time now) const;

 private:
  TokenAuthority(Secret key, std::string issuer);
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace werkplek
