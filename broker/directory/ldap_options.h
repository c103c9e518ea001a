// The options that make a libldap handle safe, all set on the handle itself, and read back.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "broker/directory/directory_settings.h"

struct ldap;

namespace werkplek {

// Closes the handle.
struct LdapUnbind {
  void operator()(ldap* handle) const;
};
using LdapHandle = std::unique_ptr<ldap, LdapUnbind>;

// Keeps libldap from reading ldap.conf, ~/.ldaprc, ./ldaprc and LDAP* variables, which could turn
// certificate checks off. Call before any other thread is started: it sets LDAPNOINIT in the
// environment. Idempotent.
void IgnoreLdapConfigurationFiles();

// A handle for the server, not connected yet. INTERNAL: an option did not take.
absl::StatusOr<LdapHandle> NewLdapHandle(const std::string& server,
                                         const DirectorySettings& settings);

// What went wrong on the handle, with the TLS library's words where there are any.
std::string LdapErrorText(ldap* handle, int code);

}  // namespace werkplek
