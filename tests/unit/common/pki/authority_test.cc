#include "common/pki/authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <string>

#include "common/pki/key_request.h"
#include "tests/support/pki/test_pki.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

class AuthorityTest : public testing::Test {
 protected:
  const CertificateAuthority& authority() { return pki_.authority(); }
  X509Pointer Leaf(const std::string& pem) {
    return std::move((*ParseCertificatesPem(pem, "leaf"))[0]);
  }

  TestPki pki_;
  Secret key_ = *NewPrivateKeyPem();
  std::string request_ = *NewCertificateRequestPem(key_);
  CertificateTerms terms_{{v1::IDENTITY_HOST, "hv-a1"}, {}, {}, absl::Hours(24)};
  // Whole seconds, as certificates hold them.
  absl::Time now_ = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now()));
};

TEST_F(AuthorityTest, ACertificateHasTheTermsAndTheKeyOfTheRequest) {
  terms_.dns_names = {"hv-a1.example"};
  terms_.ip_addresses = {"192.0.2.7", "2001:db8::7"};
  const auto pem = authority().Issue(request_, terms_, now_);
  ASSERT_TRUE(pem.ok()) << pem.status();
  const X509Pointer leaf = Leaf(*pem);
  EXPECT_EQ(*CertificatePeerName(*leaf), terms_.peer);
  EXPECT_EQ(CertificateNotBefore(*leaf), now_ - absl::Minutes(5));
  EXPECT_EQ(CertificateNotAfter(*leaf), now_ + absl::Hours(24));
  EXPECT_EQ(X509_check_host(leaf.get(), "hv-a1.example", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_ip_asc(leaf.get(), "2001:db8::7", 0), 1);
  EXPECT_EQ(X509_check_private_key(leaf.get(), ParseKeyPem(key_.Reveal(), "k")->get()), 1);
  EXPECT_EQ(X509_check_ca(leaf.get()), 0);
  EXPECT_EQ(X509_get_key_usage(leaf.get()), uint32_t{KU_DIGITAL_SIGNATURE});
}

TEST_F(AuthorityTest, OnlyThoseWhoAnswerMayAnswer) {
  for (const auto identity : {v1::IDENTITY_CLIENT, v1::IDENTITY_ADMIN}) {
    terms_.peer.identity = identity;
    const X509Pointer leaf = Leaf(*authority().Issue(request_, terms_, now_));
    EXPECT_EQ(X509_get_extended_key_usage(leaf.get()), uint32_t{XKU_SSL_CLIENT});
  }
  for (const auto identity : {v1::IDENTITY_HOST, v1::IDENTITY_GATEWAY, v1::IDENTITY_BROKER}) {
    terms_.peer.identity = identity;
    const X509Pointer leaf = Leaf(*authority().Issue(request_, terms_, now_));
    EXPECT_EQ(X509_get_extended_key_usage(leaf.get()), uint32_t{XKU_SSL_CLIENT | XKU_SSL_SERVER});
  }
}

TEST_F(AuthorityTest, NamesInTheRequestAreIgnored) {
  const KeyPointer key = *ParseKeyPem(key_.Reveal(), "k");
  const X509ReqPointer request(X509_REQ_new());
  X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("broker/b1"), -1, -1, 0);
  STACK_OF(X509_EXTENSION)* extensions = sk_X509_EXTENSION_new_null();
  sk_X509_EXTENSION_push(extensions, X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name,
                                                         "URI:werkplek://broker/b1"));
  sk_X509_EXTENSION_push(extensions,
                         X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "CA:TRUE"));
  X509_REQ_add_extensions(request.get(), extensions);
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  X509_REQ_set_pubkey(request.get(), key.get());
  X509_REQ_sign(request.get(), key.get(), EVP_sha256());
  const BioPointer bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_REQ(bio.get(), request.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  const auto pem = authority().Issue(std::string(data, size_t(size)), terms_, now_);
  ASSERT_TRUE(pem.ok()) << pem.status();
  const X509Pointer leaf = Leaf(*pem);
  EXPECT_EQ(*CertificatePeerName(*leaf), terms_.peer);
  EXPECT_EQ(X509_check_ca(leaf.get()), 0);
  char subject[128] = "";
  X509_NAME_oneline(X509_get_subject_name(leaf.get()), subject, sizeof(subject));
  EXPECT_STREQ(subject, "/CN=host\\/hv-a1");
}

TEST_F(AuthorityTest, ALifeNeverOutlastsTheAuthoritys) {
  terms_.lifetime = absl::Hours(24 * 10000);
  const X509Pointer leaf = Leaf(*authority().Issue(request_, terms_, now_));
  EXPECT_EQ(CertificateNotAfter(*leaf), authority().not_after());
  EXPECT_EQ(
      authority().Issue(request_, terms_, authority().not_after() + absl::Hours(1)).status().code(),
      absl::StatusCode::kFailedPrecondition);
}

TEST_F(AuthorityTest, BadTermsAreRefused) {
  const auto refused = [&](const CertificateTerms& terms) {
    return authority().Issue(request_, terms, now_).status().code() ==
           absl::StatusCode::kInvalidArgument;
  };
  CertificateTerms terms = terms_;
  terms.peer.identity = v1::IDENTITY_UNSPECIFIED;
  EXPECT_TRUE(refused(terms));
  for (const char* name : {"", "HV", "a/b", "a,URI:werkplek://broker/b", "a\nb"}) {
    terms = terms_;
    terms.peer.name = name;
    EXPECT_TRUE(refused(terms)) << name;
  }
  terms = terms_;
  terms.dns_names = {"a,URI:werkplek://broker/b1"};
  EXPECT_TRUE(refused(terms));
  terms = terms_;
  terms.ip_addresses = {"localhost"};
  EXPECT_TRUE(refused(terms));
  terms = terms_;
  terms.lifetime = absl::ZeroDuration();
  EXPECT_TRUE(refused(terms));
  EXPECT_FALSE(refused(terms_));
}

TEST_F(AuthorityTest, FilesComeBackAndAreNeverOverwritten) {
  const AuthorityFiles files = pki_.authority_files();
  struct stat status {};
  ASSERT_EQ(stat(files.key.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, mode_t(0600));
  const auto loaded = CertificateAuthority::Load(files);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ((*loaded)->sha256(), authority().sha256());
  EXPECT_EQ(authority().Save(files).code(), absl::StatusCode::kAlreadyExists);
  chmod(files.key.c_str(), 0644);
  EXPECT_EQ(CertificateAuthority::Load(files).status().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(AuthorityTest, AMachinesCertificateIsNoAuthority) {
  const TlsFiles machine = pki_.Issue(v1::IDENTITY_HOST, "hv-a1");
  EXPECT_THAT(
      std::string(
          CertificateAuthority::Load({machine.certificate, machine.key}).status().message()),
      HasSubstr("the certificate is not an authority's"));
}

}  // namespace
}  // namespace werkplek
