// No password and no search goes to a server that is not provably ours.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/integration/directory/directory_harness.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

class TlsTest : public testing::Test {
 protected:
  static SlapdOptions Options(const ServerCertificate& certificate, bool ldaps = true) {
    SlapdOptions options;
    options.ldaps = ldaps;
    options.certificate = certificate;
    options.ldif = PersonLdif("jan", "right");
    return options;
  }

  DirectorySettings Settings(const Slapd& slapd, bool start_tls = false) const {
    DirectorySettings settings = SettingsFor({slapd.url()}, authority_.ca_file());
    settings.start_tls = start_tls;
    return settings;
  }

  // The sign-in fails without anyone's password on the wire.
  void ExpectRefused(const Slapd& slapd, bool start_tls = false) {
    DirectoryHarness harness(Settings(slapd, start_tls));
    ASSERT_TRUE(harness.status().ok()) << harness.status();
    const DirectoryAnswer answer = harness.Authenticate("jan", "right");
    EXPECT_EQ(answer.outcome, DirectoryOutcome::kUnavailable) << answer.detail;
    EXPECT_EQ(harness.Find("jan").status().code(), absl::StatusCode::kUnavailable);
    // It was tried, and it went no further than the handshake.
    EXPECT_TRUE(slapd.LogShows(" ACCEPT from IP="));
    EXPECT_EQ(slapd.CountInLog(" BIND "), 0);
    EXPECT_EQ(slapd.CountInLog(" SRCH "), 0);
  }

  DirectoryAuthority authority_;
};

TEST_F(TlsTest, LdapsWithTheRightCertificate) {
  const Slapd slapd(Options(authority_.Issue({}, {"127.0.0.1"})));
  DirectoryHarness harness(Settings(slapd));
  EXPECT_EQ(harness.Authenticate("jan", "right").outcome, DirectoryOutcome::kOk);
  EXPECT_TRUE(slapd.LogShows("TLS established", 2));
}

TEST_F(TlsTest, StartTlsWithTheRightCertificate) {
  const Slapd slapd(Options(authority_.Issue({}, {"127.0.0.1"}), /*ldaps=*/false));
  DirectoryHarness harness(Settings(slapd, /*start_tls=*/true));
  EXPECT_EQ(harness.Authenticate("jan", "right").outcome, DirectoryOutcome::kOk);
  EXPECT_EQ(harness.Authenticate("jan", "wrong").outcome, DirectoryOutcome::kDenied);
  EXPECT_TRUE(slapd.LogShows("TLS established", 2));
}

TEST_F(TlsTest, Tls12IsEnough) {
  SlapdOptions options = Options(authority_.Issue({}, {"127.0.0.1"}));
  options.global_config = "TLSCipherSuite NORMAL:-VERS-ALL:+VERS-TLS1.2";
  const Slapd slapd(options);
  DirectoryHarness harness(Settings(slapd));
  EXPECT_EQ(harness.Authenticate("jan", "right").outcome, DirectoryOutcome::kOk);
}

TEST_F(TlsTest, OldTlsAndWeakCiphersAreRefused) {
  for (const std::string weak :
       {"NORMAL:-VERS-ALL:+VERS-TLS1.0", "NORMAL:-VERS-ALL:+VERS-TLS1.1",
        "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC:+3DES-CBC"}) {
    SlapdOptions options = Options(authority_.Issue({}, {"127.0.0.1"}));
    options.global_config = "TLSCipherSuite " + weak;
    const Slapd slapd(options);
    ExpectRefused(slapd);
    // The server works: another client, told to be as weak, gets in.
    const absl::StatusOr<std::string> careless =
        RunProgram({"env", "-u", "LDAPNOINIT", "LDAPTLS_CACERT=" + authority_.ca_file(),
                    "LDAPTLS_CIPHER_SUITE=" + weak, "ldapwhoami", "-x", "-H", slapd.url(), "-D",
                    PersonDn("jan"), "-w", "right"});
    EXPECT_TRUE(careless.ok()) << weak << ": " << careless.status();
  }
}

TEST_F(TlsTest, ExpiredCertificateIsRefused) {
  const Slapd slapd(Options(authority_.Issue({}, {"127.0.0.1"}, absl::Now() - absl::Hours(24))));
  ExpectRefused(slapd);
}

TEST_F(TlsTest, CertificateOfAnotherHostIsRefused) {
  const Slapd by_name(Options(authority_.Issue({"ldap.voorbeeld.nl"}, {})));
  ExpectRefused(by_name);
  const Slapd by_address(Options(authority_.Issue({}, {"127.0.0.2"})));
  ExpectRefused(by_address);
}

TEST_F(TlsTest, CertificateOfAnotherAuthorityIsRefused) {
  DirectoryAuthority other;
  const Slapd slapd(Options(other.Issue({}, {"127.0.0.1"})));
  ExpectRefused(slapd);
}

TEST_F(TlsTest, SelfSignedCertificateIsRefused) {
  DirectoryAuthority other;
  const Slapd slapd(Options(other.SelfSigned()));
  ExpectRefused(slapd);
}

TEST_F(TlsTest, AnAuthorityIsNoServer) {
  // Signed by the right authority (itself), but it names no host.
  const Slapd slapd(Options(authority_.SelfSigned()));
  ExpectRefused(slapd);
}

TEST_F(TlsTest, StartTlsRefusesTheSameCertificates) {
  DirectoryAuthority other;
  for (const ServerCertificate& certificate :
       {authority_.Issue({}, {"127.0.0.1"}, absl::Now() - absl::Hours(24)),
        authority_.Issue({"ldap.voorbeeld.nl"}, {}), other.Issue({}, {"127.0.0.1"})}) {
    const Slapd slapd(Options(certificate, /*ldaps=*/false));
    ExpectRefused(slapd, /*start_tls=*/true);
  }
}

TEST_F(TlsTest, AServerWithoutStartTlsGetsNoPassword) {
  const Slapd slapd(Options({}, /*ldaps=*/false));
  ExpectRefused(slapd, /*start_tls=*/true);
}

TEST_F(TlsTest, APlainServerOnTheTlsPortGetsNoPassword) {
  const Slapd plain(Options({}, /*ldaps=*/false));
  DirectorySettings settings = Settings(plain);
  settings.servers = {absl::StrCat("ldaps://127.0.0.1:", plain.port())};
  DirectoryHarness harness(settings);
  EXPECT_EQ(harness.Authenticate("jan", "right").outcome, DirectoryOutcome::kUnavailable);
  EXPECT_EQ(plain.CountInLog(" BIND "), 0);
}

TEST_F(TlsTest, PlainLdapIsNoConfiguration) {
  const Slapd slapd(Options({}, /*ldaps=*/false));
  const DirectoryHarness harness(Settings(slapd));
  EXPECT_EQ(harness.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(harness.status().message()), HasSubstr("in clear"));
  EXPECT_EQ(slapd.CountInLog(" ACCEPT from IP="), 0);
}

TEST_F(TlsTest, ABadAuthorityFileStopsTheStart) {
  const TemporaryFolder folder;
  DirectorySettings settings =
      SettingsFor({"ldaps://127.0.0.1:1"}, folder.Write("ca.pem", "not PEM"));
  const DirectoryHarness harness(settings);
  EXPECT_FALSE(harness.status().ok());
  EXPECT_THAT(std::string(harness.status().message()), HasSubstr("ca_file"));
}

}  // namespace
}  // namespace werkplek
