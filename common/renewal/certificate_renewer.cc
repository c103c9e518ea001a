#include "common/renewal/certificate_renewer.h"

#include <grpcpp/grpcpp.h>
#include <pthread.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/crypto.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/pki/key_request.h"
#include "common/pki/renewal.h"
#include "werkplek/v1/agent.grpc.pb.h"

namespace werkplek {
namespace {

absl::StatusOr<std::string> AskBroker(const RenewalTerms& terms, const std::string& broker,
                                      const std::string& request_pem) {
  const std::shared_ptr<grpc::Channel> channel = grpc::CreateChannel(broker, terms.credentials);
  const std::unique_ptr<v1::AgentService::Stub> stub = v1::AgentService::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + terms.call_deadline));
  v1::RenewCertificateRequest request;
  request.set_certificate_request_pem(request_pem);
  v1::RenewCertificateResponse response;
  const grpc::Status status = stub->RenewCertificate(&context, request, &response);
  if (!status.ok()) {
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                        absl::StrCat(broker, ": ", status.error_message()));
  }
  return response.certificate_chain_pem();
}

}  // namespace

absl::StatusOr<bool> RenewCertificateWhenDue(const RenewalTerms& terms, absl::Time now) {
  ASSIGN_OR_RETURN(const TlsMaterial own, LoadTlsFiles(terms.files, now));
  if (now < RenewalTime(own.own)) return false;
  ASSIGN_OR_RETURN(const std::vector<X509Pointer> authority,
                   ParseCertificatesPem(own.ca_pem, terms.files.ca));
  ASSIGN_OR_RETURN(const Secret key, NewPrivateKeyPem());
  ASSIGN_OR_RETURN(const std::string request_pem, NewCertificateRequestPem(key));
  absl::Status last = absl::UnavailableError("no broker to ask");
  for (const std::string& broker : terms.brokers) {
    const absl::StatusOr<std::string> chain = AskBroker(terms, broker, request_pem);
    if (chain.ok()) {
      RETURN_IF_ERROR(InstallCertificate(terms.files, key, *chain, own.own.name,
                                         CertificateSha256(*authority.front())));
      return true;
    }
    last = chain.status();
  }
  return last;
}

CertificateRenewer::CertificateRenewer(RenewalTerms terms, absl::Duration interval)
    : terms_(std::move(terms)), interval_(interval), thread_([this] { Run(); }) {}

CertificateRenewer::~CertificateRenewer() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.Signal();
  }
  thread_.join();
}

void CertificateRenewer::Run() {
  pthread_setname_np(pthread_self(), "renewal");
  for (;;) {
    const absl::StatusOr<bool> renewed = RenewCertificateWhenDue(terms_, absl::Now());
    if (!renewed.ok()) {
      Log(Severity::kError, "certificate-not-renewed",
          {{"reason", renewed.status().ToString()}, {"file", terms_.files.certificate}});
    } else if (*renewed) {
      Log(Severity::kInfo, "certificate-renewed", {{"file", terms_.files.certificate}});
    }
    MutexLock lock(mutex_);
    if (!stopping_) changed_.WaitFor(mutex_, interval_);
    if (stopping_) return;
  }
}

}  // namespace werkplek
