// A certificate authority in a temporary folder, for tests: machines with files, in a line.
#pragma once

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "common/pki/authority.h"
#include "common/tls/tls_files.h"

namespace werkplek {

// The folder goes with the object. Any failure ends the test program.
class TestPki {
 public:
  TestPki();
  ~TestPki();
  TestPki(const TestPki&) = delete;
  TestPki& operator=(const TestPki&) = delete;

  // A key and a certificate for the machine, good for 127.0.0.1 and localhost too. Writes over
  // files of an earlier call for the same machine (a renewal).
  TlsFiles Issue(v1::Identity identity, const std::string& name,
                 absl::Duration lifetime = absl::Hours(1), absl::Time now = absl::Now());

  const CertificateAuthority& authority() const { return *authority_; }
  AuthorityFiles authority_files() const { return {folder_ + "/ca.pem", folder_ + "/ca.key"}; }
  // Absolute, without a slash at the end.
  const std::string& folder() const { return folder_; }

 private:
  std::string folder_;
  std::unique_ptr<CertificateAuthority> authority_;
};

}  // namespace werkplek
