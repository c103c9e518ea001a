#include "broker/program/own_certificate.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/time/clock.h"
#include "common/pki/key_request.h"
#include "common/pki/renewal.h"
#include "tests/unit/broker/program/broker_files.h"

namespace werkplek {
namespace {

class OwnCertificateTest : public testing::Test {
 protected:
  BrokerFiles files_;
  BrokerConfig config_ = files_.Config();
  std::unique_ptr<CertificateAuthority> authority_ = *CertificateAuthority::Load(config_.authority);
};

TEST_F(OwnCertificateTest, AYoungOneIsLeftAlone) {
  const std::string before = LoadTlsFiles(config_.tls, absl::Now())->own.sha256;
  const auto renewed = RenewOwnCertificateWhenDue(config_, *authority_, absl::Now());
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  EXPECT_FALSE(*renewed);
  EXPECT_EQ(LoadTlsFiles(config_.tls, absl::Now())->own.sha256, before);
}

TEST_F(OwnCertificateTest, AnOldOneIsReplacedByOneThatWorks) {
  // It began five minutes ago and has one to go: four of six are over.
  const absl::Time now = absl::Now();
  CertificateTerms terms;
  terms.peer = {v1::IDENTITY_BROKER, "b1"};
  terms.lifetime = absl::Minutes(1);
  const Secret key = *NewPrivateKeyPem();
  const std::string old = *authority_->Issue(*NewCertificateRequestPem(key), terms, now);
  ASSERT_TRUE(WriteFileAtomically(config_.tls.certificate, old, 0644).ok());
  ASSERT_TRUE(WriteFileAtomically(config_.tls.key, key.Reveal(), 0600).ok());
  const PeerCertificate present = *ReadPeerCertificatePem(old);
  EXPECT_FALSE(
      *RenewOwnCertificateWhenDue(config_, *authority_, RenewalTime(present) - absl::Seconds(1)));
  const auto renewed = RenewOwnCertificateWhenDue(config_, *authority_, now);
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  EXPECT_TRUE(*renewed);
  const auto material = LoadTlsFiles(config_.tls, absl::Now());
  ASSERT_TRUE(material.ok()) << material.status();
  EXPECT_EQ(PeerLabel(material->own.name), "broker/b1");
  EXPECT_GT(material->own.not_after, present.not_after);
}

// A broker that was off for a month must come back by itself.
TEST_F(OwnCertificateTest, OneThatHasEndedIsReplacedAtTheStart) {
  CertificateTerms terms;
  terms.peer = {v1::IDENTITY_BROKER, "b1"};
  terms.lifetime = absl::Minutes(1);
  const Secret key = *NewPrivateKeyPem();
  // The life begins five minutes before, with the authority's: it ends two minutes ago.
  const std::string ended =
      *authority_->Issue(*NewCertificateRequestPem(key), terms, absl::Now() - absl::Minutes(3));
  ASSERT_TRUE(WriteFileAtomically(config_.tls.certificate, ended, 0644).ok());
  ASSERT_TRUE(WriteFileAtomically(config_.tls.key, key.Reveal(), 0600).ok());
  ASSERT_FALSE(LoadTlsFiles(config_.tls, absl::Now()).ok());
  const auto config = LoadBrokerConfig(files_.config_path(), ConfigCheck::kWhole);
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_TRUE(*RenewOwnCertificateWhenDue(*config, *authority_, absl::Now()));
  EXPECT_TRUE(LoadTlsFiles(config_.tls, absl::Now()).ok());
}

}  // namespace
}  // namespace werkplek
