#include "broker/etcd/etcd_credentials.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status_macros.h"
#include "common/tls/certificate.h"
#include "common/tls/tls_files.h"

namespace werkplek {
namespace {

constexpr unsigned kCertificatePollSeconds = 5;
constexpr size_t kMaxPemBytes = 64 * 1024;

}  // namespace

absl::Status CheckEtcdFiles(const EtcdSettings& settings, absl::Time now) {
  ASSIGN_OR_RETURN(const std::string ca_pem, ReadWholeFile(settings.ca, kMaxPemBytes));
  RETURN_IF_ERROR(ParseCertificatesPem(ca_pem, settings.ca).status());
  ASSIGN_OR_RETURN(const std::string pem, ReadWholeFile(settings.certificate, kMaxPemBytes));
  ASSIGN_OR_RETURN(const std::vector<X509Pointer> chain,
                   ParseCertificatesPem(pem, settings.certificate));
  ASSIGN_OR_RETURN(const Secret key_pem, ReadSecretFile(settings.key, kMaxPemBytes));
  ASSIGN_OR_RETURN(const KeyPointer key, ParseKeyPem(key_pem.Reveal(), settings.key));
  if (X509_check_private_key(chain.front().get(), key.get()) != 1) {
    OpensslError();
    return absl::InvalidArgumentError(
        absl::StrCat(settings.key, " is not the key of ", settings.certificate));
  }
  return CheckCertificateTime(*chain.front(), now, settings.certificate);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> EtcdCredentials(
    const EtcdSettings& settings) {
  RETURN_IF_ERROR(CheckEtcdFiles(settings, absl::Now()));
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(
      std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
          settings.key, settings.certificate, settings.ca, kCertificatePollSeconds));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_certificate_verifier(
      std::make_shared<grpc::experimental::HostNameCertificateVerifier>());
  return grpc::experimental::TlsCredentials(options);
}

}  // namespace werkplek
