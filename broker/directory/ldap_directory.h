// The Directory port over LDAP (libldap, RFC 4511).
//
// One loop thread holds all connections and never blocks; connections are made on a few other
// threads. Searches run as the service account, many at once on a few connections; each bind of a
// person has a connection to itself that does nothing but binds. Servers are tried in the order of
// the settings; one that does not answer is left out until a probe reaches it again.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "broker/directory/directory_settings.h"
#include "broker/node/ports.h"

namespace werkplek {

class DirectoryLoop;

// Thread-safe. Answers are posted to the executor, which must outlive this; the destructor answers
// what is under way (kUnavailable), and no call may come after it.
class LdapDirectory : public Directory {
 public:
  // INVALID_ARGUMENT: the settings are not valid. INTERNAL: libldap does not take a safe option. A
  // server that cannot be reached is no error here. Call before other threads are started: it sets
  // LDAPNOINIT in the environment.
  static absl::StatusOr<std::unique_ptr<LdapDirectory>> Create(DirectorySettings settings,
                                                               Executor* executor);
  ~LdapDirectory() override;

  void Authenticate(const std::string& user, const Secret& password,
                    absl::AnyInvocable<void(DirectoryAnswer)> done) override;
  // People whose account is disabled or expired are NOT_FOUND. RESOURCE_EXHAUSTED: too many calls
  // at once.
  void Find(const std::string& user,
            absl::AnyInvocable<void(absl::StatusOr<DirectoryPerson>)> done) override;

 private:
  explicit LdapDirectory(std::unique_ptr<DirectoryLoop> loop);
  const std::unique_ptr<DirectoryLoop> loop_;
};

}  // namespace werkplek
