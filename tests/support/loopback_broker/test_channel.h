// Connections and calls of tests' clients.
#pragma once

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "common/tls/ssl_context.h"
#include "common/tls/tls_files.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"

namespace werkplek {

// A connection to 127.0.0.1 that shares nothing with others; the server's name is not judged.
std::shared_ptr<grpc::Channel> NewTestChannel(int port, const TlsFiles& files);

// The same, with a judge of the server's certificate, who may outlive the channel a little.
std::shared_ptr<grpc::Channel> NewTestChannel(int port, const TlsFiles& files, PeerCheck check);

// The same with files that our own credentials would not take.
std::shared_ptr<grpc::Channel> NewOddTestChannel(int port, const TlsFiles& files);

// Sets a deadline and, when the token is not empty, the authorization header.
void Prepare(grpc::ClientContext& context, const std::string& token,
             absl::Duration timeout = absl::Seconds(10));

}  // namespace werkplek
