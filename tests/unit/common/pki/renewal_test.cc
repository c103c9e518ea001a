#include "common/pki/renewal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "absl/time/clock.h"
#include "common/pki/key_request.h"
#include "tests/support/pki/test_pki.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

class RenewalTest : public testing::Test {
 protected:
  std::string Chain(const TestPki& pki, const Secret& key, const PeerName& peer,
                    absl::Time now = absl::Now()) {
    CertificateTerms terms;
    terms.peer = peer;
    terms.lifetime = absl::Hours(1);
    return *pki.authority().Issue(*NewCertificateRequestPem(key), terms, now) +
           pki.authority().certificate_pem();
  }
  std::string Install(const std::string& chain) {
    return std::string(
        InstallCertificate(files_, key_, chain, peer_, pki_.authority().sha256()).message());
  }

  TestPki pki_;
  PeerName peer_{v1::IDENTITY_HOST, "hv-a1"};
  TlsFiles files_ = pki_.Issue(v1::IDENTITY_HOST, "hv-a1");
  Secret key_ = *NewPrivateKeyPem();
};

TEST_F(RenewalTest, IsDueAtTwoThirds) {
  PeerCertificate certificate;
  certificate.not_before = absl::FromUnixSeconds(0);
  certificate.not_after = absl::FromUnixSeconds(300);
  EXPECT_EQ(RenewalTime(certificate), absl::FromUnixSeconds(200));
}

TEST_F(RenewalTest, ANewPairReplacesTheOld) {
  const std::string old = LoadTlsFiles(files_, absl::Now())->own.sha256;
  EXPECT_EQ(Install(Chain(pki_, key_, peer_)), "");
  const auto material = LoadTlsFiles(files_, absl::Now());
  ASSERT_TRUE(material.ok()) << material.status();
  EXPECT_NE(material->own.sha256, old);
  struct stat status {};
  stat(files_.key.c_str(), &status);
  EXPECT_EQ(status.st_mode & 07777, mode_t(0600));
}

TEST_F(RenewalTest, AGroupThatReadTheOldKeyReadsTheNewOne) {
  // A group that is not the process's own, where it may give one.
  const gid_t group = geteuid() == 0 ? 12345 : getegid();
  ASSERT_EQ(chown(files_.key.c_str(), uid_t(-1), group), 0);
  for (const auto& [before, after] : {std::pair<mode_t, mode_t>{0640, 0640}, {0600, 0600}}) {
    ASSERT_EQ(chmod(files_.key.c_str(), before), 0);
    EXPECT_EQ(Install(Chain(pki_, key_, peer_)), "");
    struct stat status {};
    ASSERT_EQ(stat(files_.key.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, after);
    EXPECT_EQ(status.st_gid, group);
  }
}

TEST_F(RenewalTest, NothingIsWrittenWhenSomethingIsWrong) {
  const std::string before = LoadTlsFiles(files_, absl::Now())->own.sha256;
  TestPki other;
  const std::string good = Chain(pki_, key_, peer_);
  EXPECT_THAT(Install("nonsense"), HasSubstr("holds no certificate"));
  EXPECT_THAT(Install(good.substr(0, good.find("-----END") + 26)),
              HasSubstr("must come with its authority's"));
  EXPECT_THAT(Install(Chain(other, key_, peer_)), HasSubstr("from another authority"));
  EXPECT_THAT(Install(Chain(pki_, *NewPrivateKeyPem(), peer_)), HasSubstr("not for our key"));
  EXPECT_THAT(Install(Chain(pki_, key_, {v1::IDENTITY_HOST, "hv-a2"})),
              HasSubstr("is for host/hv-a2, expected host/hv-a1"));
  EXPECT_THAT(Install(Chain(pki_, key_, peer_, absl::Now() - absl::Hours(5))),
              HasSubstr("expired"));
  // A leaf of another authority, with the right authority's certificate behind it.
  const std::string foreign = Chain(other, key_, peer_);
  EXPECT_THAT(Install(foreign.substr(0, foreign.find("-----END") + 26) +
                      pki_.authority().certificate_pem()),
              HasSubstr("not signed by its authority"));
  EXPECT_EQ(LoadTlsFiles(files_, absl::Now())->own.sha256, before);
}

}  // namespace
}  // namespace werkplek
