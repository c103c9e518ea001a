#include "client/api/renewal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>

#include "absl/cleanup/cleanup.h"
#include "client/api/exit_code.h"
#include "common/base/status_macros.h"
#include "common/pki/key_request.h"
#include "common/pki/renewal.h"
#include "werkplek/v1/agent.grpc.pb.h"

namespace werkplek {
namespace {

// Whether a file beside `path` may be made and moved over it.
bool MayReplace(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return access(folder.empty() ? "." : folder.c_str(), W_OK | X_OK) == 0;
}

absl::Status Renew(const TlsFiles& files, const TlsMaterial& own, BrokerClient& broker) {
  ASSIGN_OR_RETURN(const Secret key, NewPrivateKeyPem());
  v1::RenewCertificateRequest request;
  ASSIGN_OR_RETURN(*request.mutable_certificate_request_pem(), NewCertificateRequestPem(key));
  ASSIGN_OR_RETURN(const v1::RenewCertificateResponse response,
                   broker.Call(&v1::AgentService::Stub::RenewCertificate, request));
  ASSIGN_OR_RETURN(const std::vector<X509Pointer> authority,
                   ParseCertificatesPem(own.ca_pem, files.ca));
  return LocalProblem(InstallCertificate(files, key, response.certificate_chain_pem(), own.own.name,
                                         CertificateSha256(*authority.front())));
}

}  // namespace

absl::Status RenewIfDue(const TlsFiles& files, BrokerClient& broker, absl::Time now) {
  absl::StatusOr<TlsMaterial> own = LoadTlsFiles(files, now);
  if (!own.ok()) return LocalProblem(own.status(), LocalCause::kCertificate);
  if (now < RenewalTime(own->own)) return absl::OkStatus();
  if (!MayReplace(files.key) || !MayReplace(files.certificate)) return absl::OkStatus();
  // Two at once could leave one's key with the other's certificate.
  const int lock = open(files.certificate.c_str(), O_RDONLY | O_CLOEXEC);
  if (lock < 0) return LocalProblem(absl::ErrnoToStatus(errno, files.certificate));
  const absl::Cleanup unlock = [lock] { close(lock); };
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) return absl::OkStatus();
  // The one before us may have done it.
  own = LoadTlsFiles(files, now);
  if (!own.ok()) return LocalProblem(own.status(), LocalCause::kCertificate);
  if (now < RenewalTime(own->own)) return absl::OkStatus();
  return Renew(files, *own, broker);
}

absl::Status RenewIfDue(const ClientConfig& config, absl::Time now) {
  const absl::StatusOr<TlsMaterial> own = LoadTlsFiles(config.tls, now);
  if (!own.ok()) return LocalProblem(own.status(), LocalCause::kCertificate);
  if (now < RenewalTime(own->own)) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::vector<BrokerEndpoint> endpoints, OpenBrokers(config));
  // The sign-in that follows has the patience; this may also be done the next time.
  RetryPolicy policy;
  policy.attempt_timeout = absl::Seconds(5);
  policy.max_attempts = static_cast<int>(endpoints.size());
  BrokerClient broker(std::move(endpoints), policy);
  return RenewIfDue(config.tls, broker, now);
}

}  // namespace werkplek
