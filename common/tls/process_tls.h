// TLS 1.3 as the least for every OpenSSL context of this process, gRPC's too.
#pragma once

#include "absl/status/status.h"

namespace werkplek {

// gRPC 1.51 has no setting for the least TLS version, and sets 1.2 on each context it makes. This
// hands OpenSSL a `system_default` section that forbids TLS 1.2 and older by option, which gRPC
// leaves alone (OpenSSL config(5), SSL_CONF_cmd(3)). Call it first in main(), before gRPC, and
// before any thread; a second call does nothing. It also sets aside an OPENSSL_CONF of the
// environment, so that nothing outside can weaken TLS. libldap is not touched: Debian's uses
// GnuTLS.
absl::Status RequireTls13InThisProcess();

}  // namespace werkplek
