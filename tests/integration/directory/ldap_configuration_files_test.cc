// ldap.conf, ~/.ldaprc, ./ldaprc and LDAP* variables say "check no certificates": other clients
// obey, the broker does not. A program of its own, because libldap reads them once per process.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "tests/integration/directory/directory_harness.h"

namespace werkplek {
namespace {

class LdapConfigurationFilesTest : public testing::Test {
 protected:
  static SlapdOptions Options(DirectoryAuthority& stranger) {
    SlapdOptions options;
    options.certificate = stranger.Issue({}, {"127.0.0.1"});
    options.ldif = PersonLdif("jan", "right");
    return options;
  }

  DirectoryAuthority ours_;
  DirectoryAuthority stranger_;
  Slapd slapd_{Options(stranger_)};
  TemporaryFolder home_;
};

TEST_F(LdapConfigurationFilesTest, CannotTurnCertificateChecksOff) {
  const std::string off = "TLS_REQCERT never\nTLS_CACERT " + stranger_.ca_file() + "\n";
  home_.Write("ldaprc", off);
  home_.Write(".ldaprc", off);
  home_.Write("ldap.conf", off);
  const std::string conf = "LDAPCONF=" + home_.File("ldap.conf");
  setenv("HOME", home_.path().c_str(), 1);
  setenv("LDAPCONF", home_.File("ldap.conf").c_str(), 1);
  setenv("LDAPRC", "ldaprc", 1);
  setenv("LDAPTLS_REQCERT", "never", 1);
  setenv("LDAPTLS_CACERT", stranger_.ca_file().c_str(), 1);
  unsetenv("LDAPNOINIT");
  ASSERT_EQ(chdir(home_.path().c_str()), 0);

  // The trap works on a client that does not look out.
  const absl::StatusOr<std::string> careless =
      RunProgram({"ldapwhoami", "-x", "-H", slapd_.url(), "-D", PersonDn("jan"), "-w", "right"});
  ASSERT_TRUE(careless.ok()) << careless.status();
  ASSERT_EQ(slapd_.CountInLog(" BIND "), 2) << "one line for the bind, one for its result";

  DirectoryHarness harness(SettingsFor({slapd_.url()}, ours_.ca_file()));
  ASSERT_TRUE(harness.status().ok()) << harness.status();
  EXPECT_EQ(harness.Authenticate("jan", "right").outcome, DirectoryOutcome::kUnavailable);
  EXPECT_EQ(slapd_.CountInLog(" BIND "), 2);
  EXPECT_STREQ(getenv("LDAPNOINIT"), "1");
}

}  // namespace
}  // namespace werkplek
