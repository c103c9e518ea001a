#include "tests/support/slapd/slapd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/pki/key_request.h"

// libldap loses a few KiB of GnuTLS's memory with each TLS context it makes (one for each
// directory).
extern "C" const char* __lsan_default_suppressions() {  // NOLINT: the sanitizer's name
  return "leak:libgnutls\n";
}

namespace werkplek {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);

constexpr char kAdminDn[] = "cn=admin,dc=voorbeeld,dc=nl";
constexpr char kAdminPassword[] = "admin-password";

void OrDie(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "slapd fixture: %s\n", std::string(status.message()).c_str());
  std::abort();
}

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  OrDie(value.status());
  return *std::move(value);
}

template <typename Address>
bool TakesConnections(int family, const Address& address) {
  const int descriptor = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int result =
      connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  close(descriptor);
  return result == 0;
}

bool TakesConnections(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return TakesConnections(AF_INET, address);
}

bool TakesConnections(const std::string& socket_file) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket_file.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return TakesConnections(AF_UNIX, address);
}

std::string BaseLdif(const SlapdOptions& options) {
  std::string ldif = R"(dn: dc=voorbeeld,dc=nl
objectClass: dcObject
objectClass: organization
dc: voorbeeld
o: Gemeente Voorbeeld

dn: ou=people,dc=voorbeeld,dc=nl
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=voorbeeld,dc=nl
objectClass: organizationalUnit
ou: groups

dn: ou=services,dc=voorbeeld,dc=nl
objectClass: organizationalUnit
ou: services

dn: cn=broker,ou=services,dc=voorbeeld,dc=nl
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: broker
userPassword: service-account-password

)";
  if (options.password_policy) {
    absl::StrAppend(&ldif, "dn: cn=policy,ou=services,dc=voorbeeld,dc=nl\n",
                    "objectClass: applicationProcess\nobjectClass: pwdPolicy\ncn: policy\n",
                    "pwdAttribute: userPassword\n", options.policy_attributes, "\n");
  }
  return ldif + options.ldif;
}

}  // namespace

DirectoryAuthority::DirectoryAuthority() {
  // Old enough to have issued certificates that have expired by now.
  authority_ = OrDie(CertificateAuthority::Create("Directory", absl::Hours(24 * 365),
                                                  absl::Now() - absl::Hours(48)));
  OrDie(authority_->Save({folder_.File("ca.pem"), folder_.File("ca.key")}));
}

ServerCertificate DirectoryAuthority::Issue(const std::vector<std::string>& dns_names,
                                            const std::vector<std::string>& ip_addresses,
                                            absl::Time now) {
  const std::string name = absl::StrCat("server", ++issued_);
  const Secret key = OrDie(NewPrivateKeyPem());
  CertificateTerms terms;
  terms.peer = {v1::IDENTITY_HOST, name};
  terms.dns_names = dns_names;
  terms.ip_addresses = ip_addresses;
  terms.lifetime = absl::Hours(1);
  const std::string pem =
      OrDie(authority_->Issue(OrDie(NewCertificateRequestPem(key)), terms, now));
  return {folder_.Write(name + ".pem", pem), folder_.Write(name + ".key", key.Reveal())};
}

Slapd::Slapd(SlapdOptions options) : options_(std::move(options)) {
  if (options_.port == 0) options_.port = FreeLoopbackPort();
  std::filesystem::create_directory(folder_.File("db"));
  WriteConfig();
  Fill();
  Start();
}

Slapd::~Slapd() { Stop(); }

std::string Slapd::url() const {
  return absl::StrCat(options_.ldaps ? "ldaps" : "ldap", "://127.0.0.1:", options_.port);
}

std::string Slapd::local_url() const {
  return absl::StrCat("ldapi://", absl::StrReplaceAll(folder_.File("admin"), {{"/", "%2F"}}));
}

void Slapd::WriteConfig() {
  std::string config = R"(include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
loglevel stats
threads 4
)";
  if (!options_.certificate.certificate.empty()) {
    absl::StrAppend(&config, "TLSCertificateFile ", options_.certificate.certificate,
                    "\nTLSCertificateKeyFile ", options_.certificate.key, "\n");
  }
  absl::StrAppend(&config, options_.global_config, "\ndatabase mdb\nsuffix ", kSuffix, "\nrootdn ",
                  kAdminDn, "\nrootpw ", kAdminPassword, "\ndirectory ", folder_.File("db"), R"(
dbnosync
maxsize 268435456
index objectClass,uid,member eq
access to attrs=userPassword by anonymous auth by * none
)");
  absl::StrAppend(&config, "access to * by dn.exact=\"", kServiceDn, "\" read by * none\n",
                  "limits dn.exact=\"", kServiceDn, "\" size=", options_.service_size_limit, "\n");
  if (options_.password_policy) {
    absl::StrAppend(&config, "overlay ppolicy\nppolicy_default cn=policy,ou=services,", kSuffix,
                    "\nppolicy_use_lockout\n");
  }
  folder_.Write("slapd.conf", config + options_.database_config);
}

void Slapd::Fill() {
  OrDie(RunProgram({"slapadd", "-q", "-f", folder_.File("slapd.conf"), "-l",
                    folder_.Write("base.ldif", BaseLdif(options_))})
            .status());
}

void Slapd::Start() {
  process_ = std::make_unique<ChildProcess>(
      std::vector<std::string>{"slapd", "-d", "stats", "-f", folder_.File("slapd.conf"), "-h",
                               absl::StrCat(url(), "/ ", local_url())},
      ChildOptions{
          .directory = folder_.path(), .environment = {}, .output_file = folder_.File("log")});
  // The admin's socket is the last that slapd listens on, well after it logged "slapd starting";
  // and tests count the connections to the port.
  const absl::Time deadline = absl::Now() + kPatience;
  while (!TakesConnections(folder_.File("admin"))) {
    if (process_->Wait(absl::Milliseconds(5)).has_value() || absl::Now() > deadline) {
      OrDie(absl::InternalError(absl::StrCat("slapd does not start: ", Log())));
    }
  }
}

void Slapd::Stop() {
  if (process_ == nullptr) return;
  process_->Signal(SIGCONT);
  process_->Stop();
  process_ = nullptr;
}

void Slapd::Freeze() { process_->Signal(SIGSTOP); }

void Slapd::Thaw() { process_->Signal(SIGCONT); }

int Slapd::CountInLog(const std::string& text) const {
  const std::string log = Log();
  int count = 0;
  for (size_t at = log.find(text); at != std::string::npos; at = log.find(text, at + text.size())) {
    ++count;
  }
  return count;
}

bool Slapd::LogShows(const std::string& text, int times) const {
  const absl::Time deadline = absl::Now() + kPatience;
  while (CountInLog(text) < times) {
    if (absl::Now() > deadline) return false;
    poll(nullptr, 0, 5);
  }
  return true;
}

void Slapd::Modify(const std::string& ldif) {
  OrDie(RunProgram({"ldapmodify", "-x", "-H", local_url(), "-D", kAdminDn, "-w", kAdminPassword,
                    "-f", folder_.Write("change.ldif", ldif)})
            .status());
}

std::string Slapd::Read(const std::string& dn, const std::string& attribute) {
  const std::string output =
      OrDie(RunProgram({"ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-H", local_url(), "-D",
                        kAdminDn, "-w", kAdminPassword, "-b", dn, "-s", "base", attribute}));
  for (const absl::string_view line : absl::StrSplit(output, '\n')) {
    const std::string prefix = attribute + ": ";
    if (line.substr(0, prefix.size()) == prefix) return std::string(line.substr(prefix.size()));
  }
  return "";
}

bool WaitForListener(ChildProcess& process, int port) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (!TakesConnections(port)) {
    if (process.Wait(absl::Milliseconds(5)).has_value() || absl::Now() > deadline) return false;
  }
  return true;
}

std::string PersonDn(const std::string& uid) {
  return absl::StrCat("uid=", uid, ",", Slapd::kPeople);
}

std::string PersonLdif(const std::string& uid, const std::string& password,
                       const std::string& more) {
  std::string ldif = absl::StrCat("dn: ", PersonDn(uid), "\nobjectClass: inetOrgPerson\nuid: ", uid,
                                  "\ncn: ", uid, "\nsn: ", uid, "\ndisplayName: Mx. ", uid, "\n");
  if (!password.empty()) {
    absl::StrAppend(&ldif, "userPassword:: ", absl::Base64Escape(password), "\n");
  }
  return absl::StrCat(ldif, more, "\n");
}

std::string GroupDn(const std::string& cn) { return absl::StrCat("cn=", cn, ",", Slapd::kGroups); }

std::string GroupLdif(const std::string& cn, const std::vector<std::string>& members) {
  std::string ldif =
      absl::StrCat("dn: ", GroupDn(cn), "\nobjectClass: groupOfNames\ncn: ", cn, "\n");
  for (const std::string& member : members) absl::StrAppend(&ldif, "member: ", member, "\n");
  return ldif + "\n";
}

}  // namespace werkplek
