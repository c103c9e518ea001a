// A real OpenLDAP server for tests: a free loopback port, a temporary folder, its own authority,
// stopped when the object goes. Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/pki/authority.h"
#include "tests/support/process/child_process.h"

namespace werkplek {

// Certificate and key files of one server.
struct ServerCertificate {
  std::string certificate;
  std::string key;
};

// An authority for directory servers. Any failure ends the test program.
class DirectoryAuthority {
 public:
  DirectoryAuthority();

  // PEM file of the authority's certificate.
  std::string ca_file() const { return folder_.File("ca.pem"); }
  ServerCertificate Issue(const std::vector<std::string>& dns_names,
                          const std::vector<std::string>& ip_addresses,
                          absl::Time now = absl::Now());
  // The authority's own certificate used as a server's: signed by itself.
  ServerCertificate SelfSigned() const { return {ca_file(), folder_.File("ca.key")}; }

 private:
  TemporaryFolder folder_;
  std::unique_ptr<CertificateAuthority> authority_;
  int issued_ = 0;
};

struct SlapdOptions {
  // ldaps://, or ldap:// (with StartTLS on offer).
  bool ldaps = true;
  // Empty: no TLS at all.
  ServerCertificate certificate;
  // 0: a free one.
  int port = 0;
  // Lines of slapd.conf before and after "database".
  std::string global_config;
  std::string database_config;
  // Entries that one search of the service account may give.
  std::string service_size_limit = "unlimited";
  // Added to the base entries.
  std::string ldif;
  bool password_policy = false;
  // Passwords of ppolicy's default policy, as LDIF attributes.
  std::string policy_attributes = "pwdMaxFailure: 3\npwdLockout: TRUE\n";
};

class Slapd {
 public:
  static constexpr char kSuffix[] = "dc=voorbeeld,dc=nl";
  static constexpr char kPeople[] = "ou=people,dc=voorbeeld,dc=nl";
  static constexpr char kGroups[] = "ou=groups,dc=voorbeeld,dc=nl";
  static constexpr char kServiceDn[] = "cn=broker,ou=services,dc=voorbeeld,dc=nl";
  static constexpr char kServicePassword[] = "service-account-password";

  // Fills the database and starts the server; returns when it takes connections. Failure ends the
  // test program.
  explicit Slapd(SlapdOptions options);
  ~Slapd();
  Slapd(const Slapd&) = delete;
  Slapd& operator=(const Slapd&) = delete;

  std::string url() const;
  // A Unix socket to the same server.
  std::string local_url() const;
  int port() const { return options_.port; }
  pid_t pid() const { return process_->pid(); }
  // What slapd logged ("stats": each connection and operation).
  std::string Log() const { return ReadWholeFile(folder_.File("log")); }
  // How many times `text` is in the log.
  int CountInLog(const std::string& text) const;
  // Waits until it is there so often: slapd may write its line after it did what the line tells.
  // False: 20 s passed.
  bool LogShows(const std::string& text, int times = 1) const;

  // Stops the server and keeps its port and data; Start brings it back.
  void Stop();
  void Start();
  // Holds the process (connections are taken by the kernel, nothing is answered), and lets it go.
  void Freeze();
  void Thaw();

  // Applies LDIF changes as the administrator.
  void Modify(const std::string& ldif);
  // One attribute of an entry, read as the administrator; operational ones too.
  std::string Read(const std::string& dn, const std::string& attribute);

 private:
  void WriteConfig();
  void Fill();

  SlapdOptions options_;
  TemporaryFolder folder_;
  std::unique_ptr<ChildProcess> process_;
};

// Waits until something listens on the port of 127.0.0.1. False: the process ended, or 20 s passed.
bool WaitForListener(ChildProcess& process, int port);

// LDIF of a person of the base tree, with the password in clear (slapd compares it so, too).
// Empty: the person has none.
std::string PersonLdif(const std::string& uid, const std::string& password,
                       const std::string& more = "");
std::string PersonDn(const std::string& uid);
// LDIF of a group of the base tree.
std::string GroupLdif(const std::string& cn, const std::vector<std::string>& members);
std::string GroupDn(const std::string& cn);

}  // namespace werkplek
