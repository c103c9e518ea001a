// gRPC credentials that follow their files and judge peers by the URI in the certificate.
// Call RequireTls13InThisProcess() (process_tls.h) first: gRPC alone would also take TLS 1.2.
#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "absl/status/statusor.h"
#include "common/tls/ssl_context.h"
#include "common/tls/tls_files.h"

namespace werkplek {

// A server that demands a certificate of our authority; who may call what is judged per method.
// The files must be good now; renewed ones are taken within seconds.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> GrpcServerCredentials(
    const TlsFiles& files);

// A client that talks only to servers that `check` welcomes; host names are not looked at.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> GrpcChannelCredentials(
    const TlsFiles& files, PeerCheck check);

}  // namespace werkplek
