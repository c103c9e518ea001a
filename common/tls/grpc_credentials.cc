#include "common/tls/grpc_credentials.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <functional>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr unsigned kCertificatePollSeconds = 5;

class PeerVerifier : public grpc::experimental::ExternalCertificateVerifier {
 public:
  explicit PeerVerifier(PeerCheck check) : check_(std::move(check)) {}
  ~PeerVerifier() override = default;

  // gRPC has checked the chain already.
  bool Verify(grpc::experimental::TlsCustomVerificationCheckRequest* request,
              std::function<void(grpc::Status)>, grpc::Status* sync_status) override {
    const grpc::string_ref pem = request->peer_cert();
    const absl::StatusOr<PeerCertificate> peer =
        ReadPeerCertificatePem(absl::string_view(pem.data(), pem.size()));
    const absl::Status welcome = peer.ok() ? check_(*peer) : peer.status();
    if (!welcome.ok()) {
      Log(Severity::kWarning, "tls-peer-refused", {{"reason", std::string(welcome.message())}});
      *sync_status =
          grpc::Status(grpc::StatusCode::UNAUTHENTICATED, std::string(welcome.message()));
    }
    return true;
  }

  void Cancel(grpc::experimental::TlsCustomVerificationCheckRequest*) override {}

 private:
  const PeerCheck check_;
};

absl::StatusOr<std::shared_ptr<grpc::experimental::CertificateProviderInterface>> Follow(
    const TlsFiles& files) {
  RETURN_IF_ERROR(LoadTlsFiles(files, absl::Now()).status());
  return std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      files.key, files.certificate, files.ca, kCertificatePollSeconds);
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> GrpcServerCredentials(
    const TlsFiles& files) {
  ASSIGN_OR_RETURN(auto provider, Follow(files));
  grpc::experimental::TlsServerCredentialsOptions options(provider);
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return grpc::experimental::TlsServerCredentials(options);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> GrpcChannelCredentials(
    const TlsFiles& files, PeerCheck check) {
  ASSIGN_OR_RETURN(auto provider, Follow(files));
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(provider);
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_certificate_verifier(
      grpc::experimental::ExternalCertificateVerifier::Create<PeerVerifier>(std::move(check)));
  options.set_check_call_host(false);
  return grpc::experimental::TlsCredentials(options);
}

}  // namespace werkplek
