#include "common/tls/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <string>

#include "common/base/crypto.h"
#include "tests/support/pki/test_pki.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

// A self-signed certificate with these alternative names, in OpenSSL's own syntax.
X509Pointer WithNames(const char* names) {
  X509Pointer certificate(X509_new());
  const KeyPointer key(EVP_EC_gen("P-256"));
  X509_set_version(certificate.get(), X509_VERSION_3);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key.get());
  if (names != nullptr) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names);
    X509_add_ext(certificate.get(), extension, -1);
    X509_EXTENSION_free(extension);
  }
  X509_sign(certificate.get(), key.get(), EVP_sha256());
  return certificate;
}

TEST(CertificateTest, ReadsTheOneNameAmongOthers) {
  const auto name =
      CertificatePeerName(*WithNames("DNS:hv-a1.example,URI:werkplek://host/hv-a1,IP:127.0.0.1"));
  ASSERT_TRUE(name.ok()) << name.status();
  EXPECT_EQ(*name, (PeerName{v1::IDENTITY_HOST, "hv-a1"}));
}

TEST(CertificateTest, NoneOrSeveralUrisAreRefused) {
  for (const char* names : {static_cast<const char*>(nullptr), "DNS:werkplek",
                            "URI:werkplek://host/a,URI:werkplek://host/b",
                            "URI:werkplek://host/a,URI:https://x/", "URI:https://x/"}) {
    EXPECT_EQ(CertificatePeerName(*WithNames(names)).status().code(),
              absl::StatusCode::kInvalidArgument)
        << (names == nullptr ? "(no names)" : names);
  }
}

TEST(CertificateTest, DerAndPemGiveTheSamePerson) {
  TestPki pki;
  const TlsFiles files = pki.Issue(v1::IDENTITY_CLIENT, "tc-1");
  const std::string pem = *ReadWholeFile(files.certificate, 65536);
  const auto from_pem = ReadPeerCertificatePem(pem);
  ASSERT_TRUE(from_pem.ok()) << from_pem.status();
  const auto parsed = ParseCertificatesPem(pem, "x");
  unsigned char* bytes = nullptr;
  const int size = i2d_X509((*parsed)[0].get(), &bytes);
  std::string der(reinterpret_cast<char*>(bytes), size_t(size));
  OPENSSL_free(bytes);
  const auto from_der = ReadPeerCertificateDer(der);
  ASSERT_TRUE(from_der.ok()) << from_der.status();
  EXPECT_EQ(from_der->name, from_pem->name);
  EXPECT_EQ(from_der->sha256, from_pem->sha256);
  EXPECT_EQ(from_der->sha256, Sha256(der));
  EXPECT_EQ(ReadPeerCertificateDer(der + "x").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(ReadPeerCertificateDer(der.substr(0, der.size() - 1)).ok());
}

TEST(CertificateTest, BadPemSaysWhichFileAndWhy) {
  EXPECT_THAT(std::string(ParseCertificatesPem("", "/etc/x.pem").status().message()),
              HasSubstr("/etc/x.pem: holds no certificate"));
  EXPECT_THAT(std::string(ParseCertificatesPem(
                              "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "f")
                              .status()
                              .message()),
              HasSubstr("f: holds a damaged certificate"));
  EXPECT_THAT(std::string(ParseKeyPem("nonsense", "k").status().message()),
              HasSubstr("k: holds no readable private key"));
}

TEST(CertificateTest, TimesAreToldWithTheClock) {
  TestPki pki;
  const TlsFiles files = pki.Issue(v1::IDENTITY_CLIENT, "tc-1");
  const auto chain = ParseCertificatesPem(*ReadWholeFile(files.certificate, 65536), "c");
  const X509& certificate = *(*chain)[0];
  EXPECT_TRUE(CheckCertificateTime(certificate, absl::Now(), "c.pem").ok());
  const absl::Time late = CertificateNotAfter(certificate) + absl::Seconds(1);
  const std::string expired(CheckCertificateTime(certificate, late, "c.pem").message());
  EXPECT_THAT(expired, HasSubstr("c.pem: expired"));
  EXPECT_THAT(expired, HasSubstr(FormatUtc(CertificateNotAfter(certificate))));
  EXPECT_THAT(expired, HasSubstr(FormatUtc(late)));
  const absl::Time early = CertificateNotBefore(certificate) - absl::Seconds(1);
  EXPECT_THAT(std::string(CheckCertificateTime(certificate, early, "c.pem").message()),
              testing::AllOf(HasSubstr("not valid yet"), HasSubstr(FormatUtc(early))));
}

}  // namespace
}  // namespace werkplek
