// The options that make a libldap handle safe, all set on the handle itself, and read back.
#pragma once

#include <memory>
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

// What all TLS handshakes to a directory share: the trusted authority, versions and ciphers.
// libldap loses 8 KiB with each one that it makes, so there is one, not one for each connection.
// Thread-safe.
class LdapTlsContext {
 public:
  // Reads ca_file. INTERNAL: an option did not take, or the file is no PEM.
  static absl::StatusOr<std::shared_ptr<const LdapTlsContext>> Create(
      const DirectorySettings& settings);

  void* get() const { return context_; }

 private:
  explicit LdapTlsContext(void* context) : context_(context) {}
  // libldap counts references, but lets none be given back but by a handle: this one is never
  // freed.
  void* const context_;
};

// A handle for the server, not connected yet. INTERNAL: an option did not take.
absl::StatusOr<LdapHandle> NewLdapHandle(const std::string& server,
                                         const DirectorySettings& settings,
                                         const LdapTlsContext& tls);

// What went wrong on the handle, with the TLS library's words where there are any.
std::string LdapErrorText(ldap* handle, int code);

}  // namespace werkplek
