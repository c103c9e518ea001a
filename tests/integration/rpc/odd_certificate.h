// Certificates that our authority would never issue, signed with its key all the same.
#pragma once

#include <string>
#include <vector>

#include "common/tls/tls_files.h"
#include "tests/support/pki/test_pki.h"

namespace werkplek {

// A client certificate with exactly these URIs, written as `name`.pem and .key into the PKI's
// folder.
TlsFiles IssueOddCertificate(const TestPki& pki, const std::string& name,
                             const std::vector<std::string>& uris);

}  // namespace werkplek
