// Keeps this machine's certificate fresh: asks a broker for a new one at two thirds of its life.
#pragma once

#include <grpcpp/security/credentials.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/tls/tls_files.h"

namespace werkplek {

struct RenewalTerms {
  TlsFiles files;
  // "ADDRESS:PORT", tried in turn.
  std::vector<std::string> brokers;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  absl::Duration call_deadline = absl::Seconds(10);
};

// Renews when it is due at `now`: a fresh key, a new certificate, both put in place. False: not due
// yet. Blocks up to the deadline for each broker.
absl::StatusOr<bool> RenewCertificateWhenDue(const RenewalTerms& terms, absl::Time now);

// Looks every `interval`, on a thread of its own, and logs what comes of it.
class CertificateRenewer {
 public:
  CertificateRenewer(RenewalTerms terms, absl::Duration interval);
  ~CertificateRenewer();
  CertificateRenewer(const CertificateRenewer&) = delete;
  CertificateRenewer& operator=(const CertificateRenewer&) = delete;

 private:
  void Run();

  const RenewalTerms terms_;
  const absl::Duration interval_;
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace werkplek
