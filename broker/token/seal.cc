#include "broker/token/seal.h"

#include <sodium.h>

#include <cassert>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace werkplek {
namespace {

static_assert(kSealKeyBytes == crypto_aead_xchacha20poly1305_ietf_KEYBYTES);
static_assert(kSealNonceBytes == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);

constexpr char kVersion = 1;
constexpr size_t kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;

const unsigned char* Bytes(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

// The length in front keeps ("ab", "c") apart from ("a", "bc").
std::string BoundText(absl::string_view user, absl::string_view seed_id) {
  return absl::StrCat("werkplek seed 1 ", user.size(), ":", user, seed_id);
}

}  // namespace

std::string Seal(const Secret& key, absl::string_view nonce, absl::string_view user,
                 absl::string_view seed_id, absl::string_view seed) {
  assert(key.Reveal().size() == kSealKeyBytes && nonce.size() == kSealNonceBytes);
  const std::string bound = BoundText(user, seed_id);
  std::string cipher(seed.size() + kTagBytes, '\0');
  crypto_aead_xchacha20poly1305_ietf_encrypt(Bytes(cipher), nullptr, Bytes(seed), seed.size(),
                                             Bytes(bound), bound.size(), nullptr, Bytes(nonce),
                                             Bytes(key.Reveal()));
  return absl::StrCat(absl::string_view(&kVersion, 1), nonce, cipher);
}

absl::StatusOr<Secret> OpenSeal(const Secret& key, absl::string_view sealed, absl::string_view user,
                                absl::string_view seed_id) {
  if (sealed.size() < 1 + kSealNonceBytes + kTagBytes || sealed[0] != kVersion) {
    return absl::DataLossError("the sealed seed is cut, or of a version not known here");
  }
  const std::string bound = BoundText(user, seed_id);
  const absl::string_view nonce = sealed.substr(1, kSealNonceBytes);
  const absl::string_view cipher = sealed.substr(1 + kSealNonceBytes);
  std::string seed(cipher.size() - kTagBytes, '\0');
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(Bytes(seed), nullptr, nullptr, Bytes(cipher),
                                                 cipher.size(), Bytes(bound), bound.size(),
                                                 Bytes(nonce), Bytes(key.Reveal())) != 0) {
    return absl::DataLossError(
        "the sealed seed does not open: it was changed, belongs to another user or enrolment, or "
        "the key is not the one it was sealed with");
  }
  Secret secret(seed);
  Wipe(seed);
  return secret;
}

}  // namespace werkplek
