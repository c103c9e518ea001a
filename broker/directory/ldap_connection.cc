#include "broker/directory/ldap_connection.h"

#include <fcntl.h>
#include <ldap.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

absl::Status Gone(LDAP* handle, absl::string_view doing, int code) {
  return absl::UnavailableError(absl::StrCat(doing, ": ", LdapErrorText(handle, code)));
}

// A call that did not send anything: the connection's fault, or the request's.
absl::Status NotSent(LDAP* handle, absl::string_view doing, int code) {
  if (code == LDAP_FILTER_ERROR || code == LDAP_PARAM_ERROR || code == LDAP_ENCODING_ERROR) {
    return absl::FailedPreconditionError(absl::StrCat(doing, ": ", ldap_err2string(code)));
  }
  return Gone(handle, doing, code);
}

void OnDisconnected(LDAP* /*handle*/, Sockbuf* /*socket*/, ldap_conncb* /*self*/) {}

std::string Text(const berval& value) { return std::string(value.bv_val, value.bv_len); }

absl::StatusOr<LdapEntry> ReadEntry(LDAP* handle, LDAPMessage* message) {
  LdapEntry entry;
  BerElement* ber = nullptr;
  berval dn = {};
  if (const int result = ldap_get_dn_ber(handle, message, &ber, &dn); result != LDAP_SUCCESS) {
    return Gone(handle, "reading an entry", result);
  }
  const absl::Cleanup free_ber = [&] { ber_free(ber, 0); };
  entry.dn = Text(dn);
  for (;;) {
    berval name = {};
    berval* values = nullptr;
    if (const int result = ldap_get_attribute_ber(handle, message, ber, &name, &values);
        result != LDAP_SUCCESS) {
      return Gone(handle, "reading an attribute", result);
    }
    if (name.bv_val == nullptr) return entry;
    std::vector<std::string> texts;
    for (const berval* value = values; value != nullptr && value->bv_val != nullptr; ++value) {
      texts.push_back(Text(*value));
    }
    entry.attributes.emplace_back(Text(name), std::move(texts));
    ber_memfree(values);
  }
}

void ReadPolicy(LDAP* handle, LDAPControl** controls, BindReply& reply) {
  LDAPControl* policy = ldap_control_find(LDAP_CONTROL_PASSWORDPOLICYRESPONSE, controls, nullptr);
  if (policy == nullptr) return;
  ber_int_t expiry = -1;
  ber_int_t grace = -1;
  LDAPPasswordPolicyError error = PP_noError;
  if (ldap_parse_passwordpolicy_control(handle, policy, &expiry, &grace, &error) != LDAP_SUCCESS) {
    return;
  }
  reply.seconds_until_expiry = expiry;
  reply.grace_sign_ins = grace;
  reply.policy_error = error == PP_noError ? -1 : static_cast<int>(error);
}

absl::StatusOr<BindReply> ReadResult(LDAP* handle, LDAPMessage* message) {
  BindReply reply;
  char* diagnostic = nullptr;
  LDAPControl** controls = nullptr;
  const int result = ldap_parse_result(handle, message, &reply.code, nullptr, &diagnostic, nullptr,
                                       &controls, /*freeit=*/0);
  const absl::Cleanup free_them = [&] {
    ldap_memfree(diagnostic);
    ldap_controls_free(controls);
  };
  if (result != LDAP_SUCCESS) return Gone(handle, "reading a result", result);
  if (diagnostic != nullptr) reply.diagnostic = std::string(diagnostic).substr(0, 256);
  ReadPolicy(handle, controls, reply);
  return reply;
}

}  // namespace

const std::vector<std::string>* LdapEntry::Values(absl::string_view attribute) const {
  for (const auto& [name, values] : attributes) {
    if (absl::EqualsIgnoreCase(name, attribute)) return &values;
  }
  return nullptr;
}

ConnectionAttempt::~ConnectionAttempt() { End(); }

void ConnectionAttempt::Begin(absl::Duration now) {
  MutexLock lock(mutex_);
  began_ = now;
}

void ConnectionAttempt::Watch(int descriptor) {
  MutexLock lock(mutex_);
  if (descriptor_ >= 0) close(descriptor_);
  descriptor_ = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  if (given_up_) shutdown(descriptor_, SHUT_RDWR);
}

void ConnectionAttempt::End() {
  MutexLock lock(mutex_);
  if (descriptor_ >= 0) close(descriptor_);
  descriptor_ = -1;
  ended_ = true;
}

bool ConnectionAttempt::ended() const {
  MutexLock lock(mutex_);
  return ended_;
}

void ConnectionAttempt::GiveUpAfter(absl::Duration limit, absl::Duration now) {
  bool late = false;
  {
    MutexLock lock(mutex_);
    late = began_ + limit < now;
  }
  if (late) GiveUp();
}

void ConnectionAttempt::GiveUp() {
  MutexLock lock(mutex_);
  if (!given_up_ && descriptor_ >= 0) shutdown(descriptor_, SHUT_RDWR);
  given_up_ = true;
}

int LdapConnection::OnConnected(LDAP* handle, Sockbuf* socket, LDAPURLDesc* /*server*/,
                                sockaddr* /*address*/, ldap_conncb* self) {
  LdapConnection& connection = *static_cast<LdapConnection*>(self->lc_arg);
  int descriptor = -1;
  // Without an attempt it is libldap that connects anew by itself, which we do not want.
  if (connection.attempt_ == nullptr ||
      ber_sockbuf_ctrl(socket, LBER_SB_OPT_GET_FD, &descriptor) != 1) {
    return -1;
  }
  connection.attempt_->Watch(descriptor);
  if (!connection.socket_.AttachTo(socket).ok()) return -1;
  // Off for the handshake: see ConnectionAttempt.
  ldap_set_option(handle, LDAP_OPT_NETWORK_TIMEOUT, nullptr);
  return 0;
}

LdapConnection::LdapConnection(LdapHandle handle, ConnectionUse use)
    : connected_(std::make_unique<ldap_conncb>()), handle_(std::move(handle)), use_(use) {}

LdapConnection::~LdapConnection() = default;

absl::StatusOr<std::unique_ptr<LdapConnection>> LdapConnection::Open(
    const DirectorySettings& settings, const LdapTlsContext& tls, const std::string& server,
    ConnectionUse use, ConnectionAttempt& attempt) {
  const absl::Cleanup end = [&] { attempt.End(); };
  ASSIGN_OR_RETURN(LdapHandle handle, NewLdapHandle(server, settings, tls));
  std::unique_ptr<LdapConnection> connection(new LdapConnection(std::move(handle), use));
  RETURN_IF_ERROR(connection->Connect(settings, attempt));
  if (use == ConnectionUse::kSearch) RETURN_IF_ERROR(connection->BindAsService(settings));
  RETURN_IF_ERROR(connection->SetNonBlocking());
  connection->attempt_ = nullptr;
  connection->socket_.Gather();
  return connection;
}

absl::Status LdapConnection::Connect(const DirectorySettings& settings,
                                     ConnectionAttempt& attempt) {
  LDAP* handle = handle_.get();
  attempt_ = &attempt;
  *connected_ = {.lc_add = OnConnected, .lc_del = OnDisconnected, .lc_arg = this};
  if (ldap_set_option(handle, LDAP_OPT_CONNECT_CB, connected_.get()) != LDAP_OPT_SUCCESS) {
    return absl::InternalError("libldap does not take LDAP_OPT_CONNECT_CB");
  }
  if (const int result = ldap_connect(handle); result != LDAP_SUCCESS) {
    return Gone(handle, "connecting", result);
  }
  if (settings.start_tls) RETURN_IF_ERROR(StartTls());
  if (ldap_tls_inplace(handle) != 1) {
    return absl::UnavailableError("connecting: there is no TLS on the connection");
  }
  return absl::OkStatus();
}

absl::Status LdapConnection::StartTls() {
  const int result = ldap_start_tls_s(handle_.get(), nullptr, nullptr);
  return result == LDAP_SUCCESS ? absl::OkStatus() : Gone(handle_.get(), "StartTLS", result);
}

// From here on the loop thread reads: a server that sends an answer byte by byte must not hold it.
absl::Status LdapConnection::SetNonBlocking() {
  if (ldap_get_option(handle_.get(), LDAP_OPT_DESC, &descriptor_) != LDAP_OPT_SUCCESS ||
      descriptor_ < 0) {
    return absl::UnavailableError("connecting: the connection has no socket");
  }
  const int flags = fcntl(descriptor_, F_GETFL);
  if (flags < 0 || fcntl(descriptor_, F_SETFL, flags | O_NONBLOCK) != 0) {
    return absl::UnavailableError("connecting: the socket does not become non-blocking");
  }
  return absl::OkStatus();
}

absl::Status LdapConnection::BindAsService(const DirectorySettings& settings) {
  LDAP* handle = handle_.get();
  const std::string& password = settings.bind_password.Reveal();
  berval credential = {.bv_len = password.size(), .bv_val = const_cast<char*>(password.data())};
  const int result = ldap_sasl_bind_s(handle, settings.bind_dn.c_str(), LDAP_SASL_SIMPLE,
                                      &credential, nullptr, nullptr, nullptr);
  if (result != LDAP_SUCCESS) return Gone(handle, "binding as the service account", result);
  return absl::OkStatus();
}

// After a connection is lost, libldap makes a new one by itself at the next call: blocking, and
// without our bind. So nothing is sent unless the socket is the one that was opened.
absl::Status LdapConnection::CheckAlive() const {
  int descriptor = -1;
  if (ldap_get_option(handle_.get(), LDAP_OPT_DESC, &descriptor) != LDAP_OPT_SUCCESS ||
      descriptor != descriptor_) {
    return absl::UnavailableError("the connection is gone");
  }
  return absl::OkStatus();
}

absl::StatusOr<int> LdapConnection::StartSearch(const LdapSearch& search) {
  if (use_ != ConnectionUse::kSearch) {
    return absl::FailedPreconditionError("searches have their own connections");
  }
  RETURN_IF_ERROR(CheckAlive());
  std::vector<char*> attributes;
  for (const std::string& name : search.attributes) {
    attributes.push_back(const_cast<char*>(name.c_str()));
  }
  attributes.push_back(nullptr);
  timeval server_limit = {.tv_sec = 3, .tv_usec = 0};
  int id = 0;
  const int result = ldap_search_ext(handle_.get(), search.base.c_str(), LDAP_SCOPE_SUBTREE,
                                     search.filter.c_str(), attributes.data(), /*attrsonly=*/0,
                                     nullptr, nullptr, &server_limit, search.size_limit, &id);
  if (result != LDAP_SUCCESS) return NotSent(handle_.get(), "searching", result);
  return id;
}

absl::StatusOr<int> LdapConnection::StartBind(const std::string& dn, absl::string_view password) {
  if (use_ != ConnectionUse::kBind) {
    return absl::FailedPreconditionError("binds have their own connections");
  }
  // RFC 4513 sections 5.1.1 and 5.1.2: without both, the bind is anonymous and succeeds. With both,
  // success means that this very DN is authenticated (section 5.1.3), and on a connection where
  // nothing else ever runs nobody else can be meant. So the answer is proof by itself: asking "Who
  // am I?" (RFC 4532) after it would double the round trips and tell nothing more.
  if (dn.empty() || password.empty()) {
    return absl::FailedPreconditionError("a bind needs a name and a password");
  }
  RETURN_IF_ERROR(CheckAlive());
  berval credential = {.bv_len = password.size(), .bv_val = const_cast<char*>(password.data())};
  LDAPControl ask_policy = {.ldctl_oid = const_cast<char*>(LDAP_CONTROL_PASSWORDPOLICYREQUEST),
                            .ldctl_value = {.bv_len = 0, .bv_val = nullptr},
                            .ldctl_iscritical = 0};
  LDAPControl* controls[] = {&ask_policy, nullptr};
  int id = 0;
  const int result = ldap_sasl_bind(handle_.get(), dn.c_str(), LDAP_SASL_SIMPLE, &credential,
                                    controls, nullptr, &id);
  if (result != LDAP_SUCCESS) return NotSent(handle_.get(), "binding", result);
  return id;
}

absl::StatusOr<std::optional<LdapMessage>> LdapConnection::Poll() {
  RETURN_IF_ERROR(CheckAlive());
  LDAP* handle = handle_.get();
  timeval now = {};
  LDAPMessage* raw = nullptr;
  const int type = ldap_result(handle, LDAP_RES_ANY, LDAP_MSG_ONE, &now, &raw);
  if (type == 0) return std::nullopt;
  if (type < 0) {
    int code = LDAP_SERVER_DOWN;
    ldap_get_option(handle, LDAP_OPT_RESULT_CODE, &code);
    return Gone(handle, "reading", code);
  }
  const absl::Cleanup free_it = [&] { ldap_msgfree(raw); };
  LdapMessage message;
  message.id = ldap_msgid(raw);
  if (type == LDAP_RES_SEARCH_ENTRY) {
    message.kind = LdapMessage::Kind::kEntry;
    ASSIGN_OR_RETURN(message.entry, ReadEntry(handle, raw));
  } else if (type == LDAP_RES_SEARCH_RESULT || type == LDAP_RES_BIND) {
    message.kind =
        type == LDAP_RES_BIND ? LdapMessage::Kind::kBindDone : LdapMessage::Kind::kSearchDone;
    ASSIGN_OR_RETURN(message.reply, ReadResult(handle, raw));
  }
  return message;
}

bool LdapConnection::HasMore() const {
  Sockbuf* socket = nullptr;
  return alive() && ldap_get_option(handle_.get(), LDAP_OPT_SOCKBUF, &socket) == LDAP_OPT_SUCCESS &&
         socket != nullptr && ber_sockbuf_ctrl(socket, LBER_SB_OPT_DATA_READY, nullptr) == 1;
}

void LdapConnection::Abandon(int id) {
  if (alive()) ldap_abandon_ext(handle_.get(), id, nullptr, nullptr);
}

}  // namespace werkplek
