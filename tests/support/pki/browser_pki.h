// Certificates as browsers judge them, for tests: an authority, one between, and servers that carry
// a DNS name and no Werkplek name.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "common/tls/certificate.h"
#include "common/tls/tls_files.h"

namespace werkplek {

// Writes into the folder, which outlives the object. Any failure ends the test program.
class BrowserPki {
 public:
  explicit BrowserPki(std::string folder);

  // A key and a certificate for `dns_name`, with the one between after it, as NAME.pem and
  // NAME.key; good for an hour around `now`. Writes over files of an earlier call (a renewal).
  TlsFiles Issue(const std::string& dns_name, absl::Time now = absl::Now());

  const X509& authority() const { return *authority_.certificate; }
  const X509& between() const { return *between_.certificate; }

 private:
  struct Signer {
    KeyPointer key;
    X509Pointer certificate;
  };

  const std::string folder_;
  Signer authority_;
  Signer between_;
};

}  // namespace werkplek
