// One TLS connection to an LDAP server (libldap). Open blocks; nothing else does. One thread at a
// time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "broker/directory/bind_verdict.h"
#include "broker/directory/directory_settings.h"
#include "broker/directory/ldap_options.h"
#include "broker/directory/ldap_socket.h"
#include "common/base/mutex.h"

struct ldap;
struct ldap_conncb;
struct ldap_url_desc;
struct sockaddr;

namespace werkplek {

// Never both: a failed bind leaves a connection anonymous (RFC 4513 section 4), and a search on a
// connection that a person was bound on would run with that person's rights.
enum class ConnectionUse { kSearch, kBind };

struct LdapEntry {
  std::string dn;
  std::vector<std::pair<std::string, std::vector<std::string>>> attributes;

  // nullptr: the entry has no such attribute. Names are compared without case.
  const std::vector<std::string>* Values(absl::string_view attribute) const;
};

struct LdapMessage {
  enum class Kind { kEntry, kSearchDone, kBindDone, kOther };
  int id = 0;
  Kind kind = Kind::kOther;
  // kEntry.
  LdapEntry entry;
  // kSearchDone, kBindDone.
  BindReply reply;
};

// One try to connect, which another thread may end. libldap has no time limit of its own for the
// TLS handshake (2.5 on GnuTLS spins in it when LDAP_OPT_NETWORK_TIMEOUT is set, and waits for ever
// when it is not). Thread-safe.
class ConnectionAttempt {
 public:
  ConnectionAttempt() = default;
  ~ConnectionAttempt();
  ConnectionAttempt(const ConnectionAttempt&) = delete;
  ConnectionAttempt& operator=(const ConnectionAttempt&) = delete;

  // The attempt began; from now on its time counts (`now` from any clock that never jumps).
  void Begin(absl::Duration now);
  // The socket to shut down. It is duplicated, so that its number cannot become another's.
  void Watch(int descriptor);
  void End();
  bool ended() const;

  // Ends the attempt with an error when it began longer than `limit` ago.
  void GiveUpAfter(absl::Duration limit, absl::Duration now);
  // Ends it now, or as soon as it has a socket.
  void GiveUp();

 private:
  mutable Mutex mutex_;
  absl::Duration began_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteDuration();
  int descriptor_ ABSL_GUARDED_BY(mutex_) = -1;
  bool given_up_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

struct LdapSearch {
  std::string base;
  std::string filter;
  std::vector<std::string> attributes;
  int size_limit = 0;
};

class LdapConnection {
 public:
  ~LdapConnection();
  // Connects, demands TLS with a certificate of the configured authority that names the host, and
  // on a kSearch connection binds as the service account. UNAVAILABLE with the reason. Blocks until
  // somebody else ends the attempt, when the server is silent.
  static absl::StatusOr<std::unique_ptr<LdapConnection>> Open(const DirectorySettings& settings,
                                                              const LdapTlsContext& tls,
                                                              const std::string& server,
                                                              ConnectionUse use,
                                                              ConnectionAttempt& attempt);

  int descriptor() const { return descriptor_; }
  ConnectionUse use() const { return use_; }
  // False: libldap closed the socket; its number may belong to another one by now.
  bool alive() const { return CheckAlive().ok(); }

  // Both give the message id, and send with the next Flush. UNAVAILABLE: the connection is gone.
  // FAILED_PRECONDITION: not what this connection is for, or no valid request.
  absl::StatusOr<int> StartSearch(const LdapSearch& search);
  absl::StatusOr<int> StartBind(const std::string& dn, absl::string_view password);

  bool NeedsFlush() const { return socket_.NeedsFlush(); }
  // UNAVAILABLE: the connection is gone.
  absl::Status Flush() { return socket_.Flush(); }

  // Reads what the socket has, for Poll.
  void Fill() { socket_.Fill(); }
  // The next message that has arrived, or none. UNAVAILABLE: the connection is gone, or what it
  // brought is no LDAP.
  absl::StatusOr<std::optional<LdapMessage>> Poll();
  // Poll has something left that was read already: a message, or a part of one.
  bool HasMore() const;

  // The answer to this search is not wanted any more.
  void Abandon(int id);

 private:
  LdapConnection(LdapHandle handle, ConnectionUse use);
  absl::Status Connect(const DirectorySettings& settings, ConnectionAttempt& attempt);
  absl::Status StartTls();
  absl::Status BindAsService(const DirectorySettings& settings);
  absl::Status SetNonBlocking();
  absl::Status CheckAlive() const;
  // libldap calls this between the TCP connection and the TLS handshake; `self` is connected_.
  static int OnConnected(ldap* handle, sockbuf* socket, ldap_url_desc* server, sockaddr* address,
                         ldap_conncb* self);

  // These three outlive the handle, which calls them.
  std::unique_ptr<ldap_conncb> connected_;
  LdapSocket socket_;
  // Null once the connection is open.
  ConnectionAttempt* attempt_ = nullptr;
  LdapHandle handle_;
  const ConnectionUse use_;
  int descriptor_ = -1;
};

}  // namespace werkplek
