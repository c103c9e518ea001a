#include "broker/program/commands.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "broker/model/names.h"
#include "broker/program/offline_store.h"
#include "broker/token/token_authority.h"
#include "common/base/crypto.h"
#include "common/base/folder.h"
#include "common/base/status_macros.h"
#include "common/config/units.h"
#include "common/pki/authority.h"
#include "common/pki/key_request.h"

namespace werkplek {
namespace {

// The broker renews its own certificate long before.
constexpr absl::Duration kAuthorityLifetime = absl::Hours(10 * 365 * 24);

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

// ALREADY_EXISTS is no error here: true: make it, false: both are there.
absl::StatusOr<bool> PairMissing(const std::string& a, const std::string& b) {
  if (Exists(a) != Exists(b)) {
    return absl::FailedPreconditionError(
        absl::StrCat(Exists(a) ? a : b, " is there, and ", Exists(a) ? b : a,
                     " is not; restore the missing one, or move the other away"));
  }
  return !Exists(a);
}

absl::Status WriteMachineFiles(const CertificateAuthority& authority, const CertificateTerms& terms,
                               const std::string& certificate, const std::string& key) {
  ASSIGN_OR_RETURN(const Secret key_pem, NewPrivateKeyPem());
  ASSIGN_OR_RETURN(const std::string request, NewCertificateRequestPem(key_pem));
  ASSIGN_OR_RETURN(const std::string pem, authority.Issue(request, terms, absl::Now()));
  RETURN_IF_ERROR(WriteFileAtomically(key, key_pem.Reveal(), 0600));
  return WriteFileAtomically(certificate, pem, 0644);
}

absl::Status InitAuthority(const BrokerConfig& config, std::ostream& out) {
  ASSIGN_OR_RETURN(const bool missing,
                   PairMissing(config.authority.certificate, config.authority.key));
  if (missing) {
    ASSIGN_OR_RETURN(
        const auto authority,
        CertificateAuthority::Create(config.organisation, kAuthorityLifetime, absl::Now()));
    RETURN_IF_ERROR(authority->Save(config.authority));
  }
  out << (missing ? "made " : "kept ") << config.authority.certificate << "\n";
  return absl::OkStatus();
}

absl::Status InitCertificate(const BrokerConfig& config, const CertificateAuthority& authority,
                             std::ostream& out) {
  ASSIGN_OR_RETURN(const bool missing, PairMissing(config.tls.certificate, config.tls.key));
  if (missing) {
    CertificateTerms terms;
    terms.peer = {v1::IDENTITY_BROKER, config.name};
    terms.dns_names = config.dns_names;
    terms.ip_addresses = config.ip_addresses;
    terms.lifetime = config.certificate_lifetime;
    RETURN_IF_ERROR(WriteMachineFiles(authority, terms, config.tls.certificate, config.tls.key));
  }
  out << (missing ? "made " : "kept ") << config.tls.certificate << "\n";
  return absl::OkStatus();
}

// Reads the fleet, lets `decide` write one change, and waits until it is durable.
absl::Status ChangeStore(
    const StoreConfig& config,
    const std::function<absl::StatusOr<ChangeSet>(const Fleet& fleet)>& decide) {
  ASSIGN_OR_RETURN(const std::unique_ptr<OfflineStore> store, OfflineStore::Open(config));
  ASSIGN_OR_RETURN(const Fleet fleet, store->Load());
  ASSIGN_OR_RETURN(ChangeSet changes, decide(fleet));
  return store->Commit(std::move(changes));
}

v1::Change PutChange(absl::string_view table, std::string key,
                     const google::protobuf::MessageLite& record) {
  v1::Change change;
  change.set_table(std::string(table));
  change.set_key(std::move(key));
  change.set_value(record.SerializeAsString());
  return change;
}

absl::Status CheckFirstAdmin(const Fleet& fleet, const std::string& user) {
  for (const auto& [name, enrolment] : fleet.tokens) {
    if (enrolment->state() == v1::TOKEN_STATE_REVOKED) continue;
    if (name != user || enrolment->last_step() > 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("\"", name,
                       "\" is enrolled already; sign in as an administrator and use `werkplekctl "
                       "token enrol ",
                       user, "`"));
    }
  }
  return absl::OkStatus();
}

std::string AccountName(uid_t uid) {
  const passwd* account = getpwuid(uid);
  return account == nullptr ? absl::StrCat("#", uid) : std::string(account->pw_name);
}

}  // namespace

std::string WrongAccountWarning(const BrokerConfig& config, uid_t euid) {
  struct stat folder {};
  if (euid != 0 || stat(config.data_dir.c_str(), &folder) != 0 || folder.st_uid == 0) return "";
  const std::string owner = AccountName(folder.st_uid);
  return absl::StrCat("run as root, but ", config.data_dir, " is ", owner,
                      "'s, who may not read what root makes, nor all that root may read; run it "
                      "as that account: runuser -u ",
                      owner, " -- werkplek-broker ...");
}

absl::Status InitBroker(const BrokerConfig& config, std::ostream& out) {
  RETURN_IF_ERROR(MakeFolder(config.data_dir, 0700));
  RETURN_IF_ERROR(InitAuthority(config, out));
  ASSIGN_OR_RETURN(const auto authority, CertificateAuthority::Load(config.authority));
  RETURN_IF_ERROR(InitCertificate(config, *authority, out));
  const bool key_missing = !Exists(config.sealing_key_file);
  if (key_missing) {
    if (Exists(config.store.sqlite_file)) {
      return absl::FailedPreconditionError(absl::StrCat(
          config.store.sqlite_file, " is there, and its sealing key ", config.sealing_key_file,
          " is not; restore the key, or move the store away"));
    }
    RETURN_IF_ERROR(WriteFileAtomically(config.sealing_key_file, RandomBytes(32), 0600));
  }
  out << (key_missing ? "made " : "kept ") << config.sealing_key_file << "\n";
  if (config.store.in_etcd) {
    out << "the store in etcd is made by the first broker that leads\n";
    out << "authority sha256 " << HexEncode(authority->sha256()) << "\n";
    return absl::OkStatus();
  }
  const bool store_missing = !Exists(config.store.sqlite_file);
  RETURN_IF_ERROR(ChangeStore(config.store, [](const Fleet&) { return ChangeSet(); }));
  out << (store_missing ? "made " : "kept ") << config.store.sqlite_file << "\n";
  out << "authority sha256 " << HexEncode(authority->sha256()) << "\n";
  return absl::OkStatus();
}

absl::Status IssueCertificate(const BrokerConfig& config, const IssueTerms& terms,
                              std::ostream& out) {
  ASSIGN_OR_RETURN(const v1::Identity identity, ParseIdentityWord(terms.identity));
  ASSIGN_OR_RETURN(const auto authority, CertificateAuthority::Load(config.authority));
  CertificateTerms certificate;
  certificate.peer = {identity, terms.name};
  certificate.dns_names = terms.dns_names;
  certificate.ip_addresses = terms.ip_addresses;
  certificate.lifetime =
      terms.lifetime > absl::ZeroDuration() ? terms.lifetime : config.certificate_lifetime;
  RETURN_IF_ERROR(MakeFolder(terms.folder, 0700));
  RETURN_IF_ERROR(WriteMachineFiles(*authority, certificate, terms.folder + "/certificate.pem",
                                    terms.folder + "/key.pem"));
  RETURN_IF_ERROR(
      WriteFileAtomically(terms.folder + "/ca.pem", authority->certificate_pem(), 0644));
  out << "made " << terms.folder << "/certificate.pem, key.pem and ca.pem for "
      << PeerUri(certificate.peer) << "\n";
  return absl::OkStatus();
}

absl::Status EnrolFirstAdmin(const BrokerConfig& config, const std::string& user,
                             std::ostream& out) {
  if (!IsUserName(user)) {
    return absl::InvalidArgumentError("--user: must be 1 to 64 of [A-Za-z0-9._@-]");
  }
  ASSIGN_OR_RETURN(const auto tokens,
                   TokenAuthority::Create(config.sealing_key, config.organisation));
  const SealedSeed seed = tokens->NewSeed(user, RandomBytes(64));
  v1::TokenEnrolment enrolment;
  enrolment.set_user(user);
  enrolment.set_seed_id(seed.seed_id);
  enrolment.set_sealed_seed(seed.sealed);
  // Nobody could confirm it but the one who needs it to sign in: the first good code is that of the
  // first sign-in.
  enrolment.set_state(v1::TOKEN_STATE_ACTIVE);
  enrolment.set_created_unix_ms(absl::ToUnixMillis(absl::Now()));
  ASSIGN_OR_RETURN(const Secret uri, tokens->OtpauthUri(enrolment));
  RETURN_IF_ERROR(ChangeStore(config.store, [&](const Fleet& fleet) -> absl::StatusOr<ChangeSet> {
    RETURN_IF_ERROR(CheckFirstAdmin(fleet, user));
    v1::AuditRecord audit;
    audit.set_sequence(fleet.audit_sequence + 1);
    audit.set_time_unix_ms(enrolment.created_unix_ms());
    audit.set_actor("broker");
    audit.set_action("token.enrol-first-admin");
    audit.set_object("user:" + user);
    audit.set_result("ok");
    audit.set_origin("werkplek-broker, uid " + std::to_string(getuid()));
    return ChangeSet{PutChange(kTokenTable, user, enrolment),
                     PutChange(kAuditTable, AuditKey(audit.sequence()), audit)};
  }));
  out << uri.Reveal() << "\n";
  return absl::OkStatus();
}

}  // namespace werkplek
