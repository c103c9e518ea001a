#include "broker/token/one_time_code.h"

#include <liboath/oath.h>
#include <sodium.h>

#include <array>
#include <cstdlib>

namespace werkplek {
namespace {

// The longest code that liboath makes is 8 digits and a NUL.
using CodeBuffer = std::array<char, 16>;

std::string TakeCode(CodeBuffer& buffer, int result) {
  std::string code;
  if (result == OATH_OK) code = buffer.data();
  sodium_memzero(buffer.data(), buffer.size());
  return code;
}

int HashFlag(CodeHash hash) {
  switch (hash) {
    case CodeHash::kSha256:
      return OATH_TOTP_HMAC_SHA256;
    case CodeHash::kSha512:
      return OATH_TOTP_HMAC_SHA512;
    case CodeHash::kSha1:
      break;
  }
  return 0;
}

}  // namespace

std::string HotpCode(absl::string_view seed, uint64_t counter, int digits) {
  CodeBuffer buffer{};
  if (digits < 6 || digits > 8) return "";
  const int result =
      oath_hotp_generate(seed.data(), seed.size(), counter, static_cast<unsigned>(digits),
                         /*add_checksum=*/false, OATH_HOTP_DYNAMIC_TRUNCATION, buffer.data());
  return TakeCode(buffer, result);
}

std::string TotpCode(absl::string_view seed, int64_t step, int digits, CodeHash hash) {
  CodeBuffer buffer{};
  if (digits < 6 || digits > 8 || step < 0) return "";
  const int result = oath_totp_generate2(
      seed.data(), seed.size(), static_cast<time_t>(step * kStepSeconds), kStepSeconds,
      OATH_TOTP_DEFAULT_START_TIME, static_cast<unsigned>(digits), HashFlag(hash), buffer.data());
  return TakeCode(buffer, result);
}

std::string Base32Encode(absl::string_view bytes) {
  char* encoded = nullptr;
  size_t length = 0;
  if (oath_base32_encode(bytes.data(), bytes.size(), &encoded, &length) != OATH_OK) return "";
  while (length > 0 && encoded[length - 1] == '=') --length;
  std::string text(encoded, length);
  sodium_memzero(encoded, length);
  std::free(encoded);  // liboath allocates with malloc.
  return text;
}

}  // namespace werkplek
