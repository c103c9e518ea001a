// This machine's certificate, renewed before it ends.
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/api/broker_client.h"
#include "client/api/client_config.h"
#include "common/tls/tls_files.h"

namespace werkplek {

// When two thirds of the certificate's life are over: makes a fresh key, has a broker sign it, and
// puts both in place. OK when it is not due, when another process is at it, and when the files are
// not ours to write (somebody else keeps them up then). Otherwise what went wrong; the old
// certificate stays. Access tokens are bound to the certificate: call this before a sign-in.
absl::Status RenewIfDue(const ClientConfig& config, absl::Time now);

// As above, over a connection that is there.
absl::Status RenewIfDue(const TlsFiles& files, BrokerClient& broker, absl::Time now);

}  // namespace werkplek
