#include "tests/support/loopback_broker/test_channel.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/tls/grpc_credentials.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/support/channel_arguments.h"

namespace werkplek {

namespace {

std::shared_ptr<grpc::Channel> Connect(
    int port, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // Windows stay at 64 KiB, so that what is not read stays with the server.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port), credentials, arguments);
}

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  std::fprintf(stderr, "test channel: %s\n", value.status().ToString().c_str());
  std::abort();
}

}  // namespace

std::shared_ptr<grpc::Channel> NewTestChannel(int port, const TlsFiles& files) {
  return NewTestChannel(port, files, [](const PeerCertificate&) { return absl::OkStatus(); });
}

std::shared_ptr<grpc::Channel> NewTestChannel(int port, const TlsFiles& files, PeerCheck check) {
  return Connect(port, OrDie(GrpcChannelCredentials(files, std::move(check))));
}

std::shared_ptr<grpc::Channel> NewOddTestChannel(int port, const TlsFiles& files) {
  constexpr size_t kMaxBytes = 1 << 16;
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = OrDie(ReadWholeFile(files.ca, kMaxBytes));
  options.pem_cert_chain = OrDie(ReadWholeFile(files.certificate, kMaxBytes));
  options.pem_private_key = OrDie(ReadSecretFile(files.key, kMaxBytes)).Reveal();
  return Connect(port, grpc::SslCredentials(options));
}

void Prepare(grpc::ClientContext& context, const std::string& token, absl::Duration timeout) {
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout));
  if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
}

}  // namespace werkplek
