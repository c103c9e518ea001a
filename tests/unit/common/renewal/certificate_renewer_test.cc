// Renewal over mTLS, against a broker's real certificate office.
#include "common/renewal/certificate_renewer.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/pki/certificate_office.h"
#include "common/pki/renewal.h"
#include "common/tls/grpc_credentials.h"
#include "common/tls/process_tls.h"
#include "tests/support/pki/test_pki.h"
#include "tests/support/process/child_process.h"
#include "werkplek/v1/agent.grpc.pb.h"

namespace werkplek {
namespace {

class RenewingBroker : public v1::AgentService::Service {
 public:
  RenewingBroker(const TlsFiles& files, CertificateOffice* office, PeerName caller)
      : office_(office), caller_(std::move(caller)) {
    const auto credentials = GrpcServerCredentials(files);
    EXPECT_TRUE(credentials.ok()) << credentials.status();
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", *credentials, &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~RenewingBroker() override { server_->Shutdown(absl::ToChronoTime(absl::Now())); }

  grpc::Status RenewCertificate(grpc::ServerContext*, const v1::RenewCertificateRequest* request,
                                v1::RenewCertificateResponse* response) override {
    absl::StatusOr<v1::RenewCertificateResponse> made =
        office_->RenewCertificate(caller_, absl::InfinitePast(), *request);
    if (!made.ok()) {
      return grpc::Status(static_cast<grpc::StatusCode>(made.status().code()),
                          std::string(made.status().message()));
    }
    *response = *std::move(made);
    return grpc::Status::OK;
  }

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

 private:
  CertificateOffice* const office_;
  const PeerName caller_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

class CertificateRenewerTest : public testing::Test {
 protected:
  CertificateRenewerTest()
      : own_(pki_.Issue(v1::IDENTITY_HOST, "hv-a1", absl::Hours(30))),
        codes_(JoinCodeLimits{}, [] { return absl::ZeroDuration(); }),
        office_(OfficeSettings{absl::Hours(60), "https://127.0.0.1:1/v1/join"}, &pki_.authority(),
                &codes_, [] { return absl::Now(); }) {
    EXPECT_TRUE(RequireTls13InThisProcess().ok());
    terms_.files = own_;
    const auto credentials = GrpcChannelCredentials(own_, ExpectIdentity({v1::IDENTITY_BROKER}));
    EXPECT_TRUE(credentials.ok()) << credentials.status();
    terms_.credentials = *credentials;
  }

  TlsMaterial Material() {
    absl::StatusOr<TlsMaterial> material = LoadTlsFiles(own_, absl::Now());
    EXPECT_TRUE(material.ok()) << material.status();
    return *std::move(material);
  }

  TestPki pki_;
  const TlsFiles own_;
  JoinCodes codes_;
  CertificateOffice office_;
  RenewalTerms terms_;
};

TEST_F(CertificateRenewerTest, NothingBeforeTwoThirdsOfTheLife) {
  const absl::StatusOr<bool> renewed =
      RenewCertificateWhenDue(terms_, absl::Now() + absl::Hours(19));
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  EXPECT_FALSE(*renewed);
}

TEST_F(CertificateRenewerTest, AFreshKeyAndALaterEnd) {
  const RenewingBroker broker(pki_.Issue(v1::IDENTITY_BROKER, "b"), &office_,
                              {v1::IDENTITY_HOST, "hv-a1"});
  // The first address is dead: the next one is asked.
  terms_.brokers = {absl::StrCat("127.0.0.1:", FreeLoopbackPort()), broker.address()};
  const TlsMaterial before = Material();
  const absl::StatusOr<bool> renewed =
      RenewCertificateWhenDue(terms_, absl::Now() + absl::Hours(21));
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  EXPECT_TRUE(*renewed);
  const TlsMaterial after = Material();
  EXPECT_GT(after.own.not_after, before.own.not_after);
  EXPECT_NE(after.key_pem.Reveal(), before.key_pem.Reveal());
  EXPECT_EQ(after.own.name, before.own.name);
}

TEST_F(CertificateRenewerTest, ACertificateForAnotherIsNotPutInPlace) {
  const RenewingBroker broker(pki_.Issue(v1::IDENTITY_BROKER, "b"), &office_,
                              {v1::IDENTITY_HOST, "hv-b2"});
  terms_.brokers = {broker.address()};
  const std::string before = Material().own.sha256;
  EXPECT_FALSE(RenewCertificateWhenDue(terms_, absl::Now() + absl::Hours(21)).ok());
  EXPECT_EQ(Material().own.sha256, before);
}

TEST_F(CertificateRenewerTest, NobodyAnswers) {
  terms_.brokers = {absl::StrCat("127.0.0.1:", FreeLoopbackPort())};
  terms_.call_deadline = absl::Milliseconds(200);
  const std::string before = Material().own.sha256;
  EXPECT_FALSE(RenewCertificateWhenDue(terms_, absl::Now() + absl::Hours(21)).ok());
  terms_.brokers.clear();
  EXPECT_FALSE(RenewCertificateWhenDue(terms_, absl::Now() + absl::Hours(21)).ok());
  EXPECT_EQ(Material().own.sha256, before);
}

}  // namespace
}  // namespace werkplek
