// When a machine's certificate is renewed, and how a new one is put in place.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/crypto.h"
#include "common/tls/certificate.h"
#include "common/tls/tls_files.h"

namespace werkplek {

// Two thirds into the certificate's life: time enough for a broker that is away to come back.
absl::Time RenewalTime(const PeerCertificate& certificate);

// Checks a chain that an authority sent (certificate first, authority last; PEM) against our own
// key, the name we are to have and the authority's SHA-256 (32 bytes), then replaces the key
// (0600, or 0640 with the same group when the old one was so) and the certificate together, and
// writes the authority where it is not there yet. Folders must exist. Nothing is written when a
// check fails. Those who follow the files see a key and a certificate that do not fit for a moment,
// and keep the old pair until both are there.
absl::Status InstallCertificate(const TlsFiles& files, const Secret& key_pem,
                                absl::string_view chain_pem, const PeerName& expected,
                                absl::string_view ca_sha256);

}  // namespace werkplek
