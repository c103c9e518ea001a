#include "broker/directory/ldap_directory.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "broker/directory/directory_loop.h"
#include "broker/directory/ldap_options.h"
#include "broker/directory/ldap_text.h"
#include "broker/model/names.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/tls/certificate.h"
#include "common/tls/tls_files.h"

namespace werkplek {

LdapDirectory::LdapDirectory(std::unique_ptr<DirectoryLoop> loop) : loop_(std::move(loop)) {}

LdapDirectory::~LdapDirectory() = default;

absl::StatusOr<std::unique_ptr<LdapDirectory>> LdapDirectory::Create(DirectorySettings settings,
                                                                     Executor* executor) {
  RETURN_IF_ERROR(settings.Validate());
  // GnuTLS would take a file without certificates, and then trust nobody at all.
  ASSIGN_OR_RETURN(const std::string authority, ReadWholeFile(settings.ca_file, 1 << 20));
  RETURN_IF_ERROR(ParseCertificatesPem(authority, "ca_file").status());
  IgnoreLdapConfigurationFiles();
  ASSIGN_OR_RETURN(const std::shared_ptr<const LdapTlsContext> tls,
                   LdapTlsContext::Create(settings));
  for (const std::string& server : settings.servers) {
    RETURN_IF_ERROR(NewLdapHandle(server, settings, *tls).status());
  }
  if (settings.decoy_dn.empty()) {
    Log(Severity::kWarning, "directory-without-decoy",
        {{"consequence",
          "when the directory hashes passwords slowly, the time of an answer tells "
          "which names exist; set decoy_dn"}});
  }
  return std::unique_ptr<LdapDirectory>(new LdapDirectory(std::make_unique<DirectoryLoop>(
      std::make_shared<const DirectorySettings>(std::move(settings)), tls, executor)));
}

void LdapDirectory::Authenticate(const std::string& user, const Secret& password,
                                 absl::AnyInvocable<void(DirectoryAnswer)> done) {
  auto call = std::make_unique<DirectoryCall>();
  call->typed = user;
  call->on_authenticated = std::move(done);
  // Neither says anything of anybody: the same answer for every name and every password like it.
  if (!IsUserName(user)) {
    loop_->Answer(std::move(call), {DirectoryOutcome::kDenied, "not a user name", {}, {}});
    return;
  }
  if (const absl::string_view refusal = PasswordRefusal(password.Reveal()); !refusal.empty()) {
    loop_->Answer(std::move(call), {DirectoryOutcome::kDenied, std::string(refusal), {}, {}});
    return;
  }
  call->password = std::make_shared<const Secret>(password);
  loop_->Start(std::move(call));
}

void LdapDirectory::Find(const std::string& user,
                         absl::AnyInvocable<void(absl::StatusOr<DirectoryPerson>)> done) {
  auto call = std::make_unique<DirectoryCall>();
  call->typed = user;
  call->on_found = std::move(done);
  if (!IsUserName(user)) {
    loop_->Answer(std::move(call), {DirectoryOutcome::kDenied, "not a user name", {}, {}});
    return;
  }
  loop_->Start(std::move(call));
}

}  // namespace werkplek
