#include "common/pki/certificate_office.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/base/log.h"
#include "common/pki/key_request.h"
#include "tests/support/pki/test_pki.h"

namespace werkplek {
namespace {

using testing::HasSubstr;
using testing::Not;

class CertificateOfficeTest : public testing::Test {
 protected:
  CertificateOfficeTest() {
    SetLogSink([this](const std::string& line) { lines_ += line + "\n"; });
  }
  ~CertificateOfficeTest() override { SetLogSink(nullptr); }

  v1::AddJoinCodeRequest Ask(v1::Identity identity, const std::string& name) {
    v1::AddJoinCodeRequest request;
    request.set_request_id("r1");
    request.set_identity(identity);
    request.set_name(name);
    return request;
  }
  std::string Request() { return *NewCertificateRequestPem(*NewPrivateKeyPem()); }

  TestPki pki_;
  absl::Duration monotonic_ = absl::Hours(1);
  absl::Time now_ = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now()));
  JoinCodes codes_{{}, [this] { return monotonic_; }};
  CertificateOffice office_{
      {absl::Hours(48), "https://127.0.0.1:1/v1/join"}, &pki_.authority(), &codes_, [this] {
        return now_;
      }};
  std::string lines_;
};

TEST_F(CertificateOfficeTest, ANewcomerJoinsWithItsCode) {
  const auto answer = office_.AddJoinCode(Ask(v1::IDENTITY_HOST, "hv-a1"), "admin/a");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->lifetime_s(), 900u);
  EXPECT_EQ(answer->ca_sha256(), HexEncode(pki_.authority().sha256()));
  EXPECT_EQ(answer->url(), "https://127.0.0.1:1/v1/join");
  const auto chain = office_.Join(answer->code(), Request(), "192.0.2.1");
  ASSERT_TRUE(chain.ok()) << chain.status();
  const auto certificates = ParseCertificatesPem(*chain, "chain");
  ASSERT_EQ(certificates->size(), 2u);
  EXPECT_EQ(PeerLabel(*CertificatePeerName(*(*certificates)[0])), "host/hv-a1");
  EXPECT_EQ(CertificateNotAfter(*(*certificates)[0]), now_ + absl::Hours(48));
  EXPECT_EQ(CertificateSha256(*(*certificates)[1]), pki_.authority().sha256());
  EXPECT_THAT(lines_, HasSubstr("event=certificate-issued machine=host/hv-a1"));
  EXPECT_THAT(lines_, Not(HasSubstr(answer->code())));
}

TEST_F(CertificateOfficeTest, ABadRequestDoesNotSpendTheCode) {
  const std::string code = office_.AddJoinCode(Ask(v1::IDENTITY_HOST, "hv-a1"), "admin/a")->code();
  EXPECT_EQ(office_.Join(code, "nonsense", "a").status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(office_.Join(code, Request(), "a").ok());
  EXPECT_EQ(office_.Join(code, Request(), "a").status().code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(lines_, HasSubstr("event=join-refused address=a"));
}

TEST_F(CertificateOfficeTest, NoCodeMakesABroker) {
  for (const auto identity : {v1::IDENTITY_BROKER, v1::IDENTITY_UNSPECIFIED}) {
    EXPECT_THAT(std::string(office_.AddJoinCode(Ask(identity, "b2"), "admin/a").status().message()),
                HasSubstr("identity: must be"));
  }
  EXPECT_THAT(
      std::string(office_.AddJoinCode(Ask(v1::IDENTITY_HOST, "HV"), "admin/a").status().message()),
      HasSubstr("name: must be"));
  auto request = Ask(v1::IDENTITY_HOST, "hv-a1");
  request.clear_request_id();
  EXPECT_THAT(std::string(office_.AddJoinCode(request, "admin/a").status().message()),
              HasSubstr("request_id: must have"));
}

TEST_F(CertificateOfficeTest, TheSameRequestOfTheSameCallerGetsTheSameCode) {
  const auto first = office_.AddJoinCode(Ask(v1::IDENTITY_HOST, "hv-a1"), "admin/a");
  EXPECT_EQ(office_.AddJoinCode(Ask(v1::IDENTITY_HOST, "hv-a1"), "admin/a")->code(), first->code());
  EXPECT_NE(office_.AddJoinCode(Ask(v1::IDENTITY_HOST, "hv-a1"), "admin/b")->code(), first->code());
}

TEST_F(CertificateOfficeTest, ARenewalKeepsTheName) {
  v1::RenewCertificateRequest request;
  request.set_certificate_request_pem(Request());
  const auto renewed =
      office_.RenewCertificate({v1::IDENTITY_CLIENT, "tc-1"}, absl::InfinitePast(), request);
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  EXPECT_EQ(PeerLabel(ReadPeerCertificatePem(renewed->certificate_chain_pem())->name),
            "client/tc-1");
  request.set_certificate_request_pem("x");
  EXPECT_FALSE(
      office_.RenewCertificate({v1::IDENTITY_CLIENT, "tc-1"}, absl::InfinitePast(), request).ok());
}

TEST_F(CertificateOfficeTest, WhoJoinsAnewCountsAsIssuedAfterTheRevocation) {
  const absl::Time revoked_before = now_ + absl::Minutes(1);
  CertificateOffice office({absl::Hours(48), "https://127.0.0.1:1/v1/join",
                            [&](const PeerName& peer) {
                              EXPECT_EQ(PeerLabel(peer), "host/hv-a1");
                              return revoked_before;
                            }},
                           &pki_.authority(), &codes_, [this] { return now_; });
  const auto code = office.AddJoinCode(Ask(v1::IDENTITY_HOST, "hv-a1"), "admin/a");
  const auto joined = office.Join(code->code(), Request(), "192.0.2.1");
  ASSERT_TRUE(joined.ok()) << joined.status();
  const auto certificate = ReadPeerCertificatePem(*joined);
  EXPECT_EQ(certificate->issued(), revoked_before);
  EXPECT_LT(certificate->not_before, now_);
  // What is renewed is no older than what it renews, and no younger than now for it.
  v1::RenewCertificateRequest renewal;
  renewal.set_certificate_request_pem(Request());
  const PeerName peer{v1::IDENTITY_HOST, "hv-a1"};
  const auto renewed = office.RenewCertificate(peer, certificate->issued(), renewal);
  EXPECT_EQ(ReadPeerCertificatePem(renewed->certificate_chain_pem())->issued(), revoked_before);
  const auto old = office.RenewCertificate(peer, now_ - absl::Hours(1), renewal);
  EXPECT_EQ(ReadPeerCertificatePem(old->certificate_chain_pem())->issued(), now_);
}

}  // namespace
}  // namespace werkplek
