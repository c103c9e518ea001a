#include "tests/support/pki/test_pki.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/pki/key_request.h"

namespace werkplek {
namespace {

void OrDie(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "test pki: %s\n", std::string(status.message()).c_str());
  std::abort();
}

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  OrDie(value.status());
  return *std::move(value);
}

}  // namespace

TestPki::TestPki() {
  std::string pattern = (std::filesystem::temp_directory_path() / "werkplek-pki-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) OrDie(absl::InternalError("no temporary folder"));
  folder_ = pattern;
  // Old enough to have issued certificates that have expired by now.
  authority_ = OrDie(
      CertificateAuthority::Create("Test", absl::Hours(24 * 365), absl::Now() - absl::Hours(24)));
  OrDie(authority_->Save(authority_files()));
}

TestPki::~TestPki() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

TlsFiles TestPki::Issue(v1::Identity identity, const std::string& name, absl::Duration lifetime,
                        absl::Time now) {
  const Secret key = OrDie(NewPrivateKeyPem());
  CertificateTerms terms;
  terms.peer = {identity, name};
  terms.dns_names = {"localhost"};
  terms.ip_addresses = {"127.0.0.1"};
  terms.lifetime = lifetime;
  const std::string pem =
      OrDie(authority_->Issue(OrDie(NewCertificateRequestPem(key)), terms, now));
  const std::string base = absl::StrCat(folder_, "/", IdentityWord(identity), "-", name);
  const TlsFiles files{base + ".pem", base + ".key", authority_files().certificate};
  OrDie(WriteFileAtomically(files.key, key.Reveal(), 0600));
  OrDie(WriteFileAtomically(files.certificate, pem, 0644));
  return files;
}

}  // namespace werkplek
