#include "broker/directory/ldap_options.h"

#include <ldap.h>

#include <array>
#include <cstdlib>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

// Debian's libldap stands on GnuTLS, where LDAP_OPT_X_TLS_PROTOCOL_MIN does not reach every
// version: the priority string is what counts. TLS 1.3 and 1.2, forward secrecy, AEAD only.
constexpr char kTlsPriority[] =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-DHE-RSA:-CIPHER-ALL:+AES-256-GCM:"
    "+AES-128-GCM:+CHACHA20-POLY1305";

// No single answer of a server may be larger.
constexpr ber_len_t kMaxMessageBytes = 1 << 20;

struct IntOption {
  int option;
  const char* name;
  int value;
};

struct BoolOption {
  int option;
  const char* name;
};

constexpr std::array<IntOption, 8> kIntOptions = {{
    {LDAP_OPT_PROTOCOL_VERSION, "LDAP_OPT_PROTOCOL_VERSION", LDAP_VERSION3},
    {LDAP_OPT_DEREF, "LDAP_OPT_DEREF", LDAP_DEREF_NEVER},
    {LDAP_OPT_X_TLS_REQUIRE_CERT, "LDAP_OPT_X_TLS_REQUIRE_CERT", LDAP_OPT_X_TLS_DEMAND},
    {LDAP_OPT_X_TLS_REQUIRE_SAN, "LDAP_OPT_X_TLS_REQUIRE_SAN", LDAP_OPT_X_TLS_DEMAND},
    {LDAP_OPT_X_TLS_PROTOCOL_MIN, "LDAP_OPT_X_TLS_PROTOCOL_MIN", LDAP_OPT_X_TLS_PROTOCOL_TLS1_2},
    {LDAP_OPT_X_KEEPALIVE_IDLE, "LDAP_OPT_X_KEEPALIVE_IDLE", 60},
    {LDAP_OPT_X_KEEPALIVE_PROBES, "LDAP_OPT_X_KEEPALIVE_PROBES", 3},
    {LDAP_OPT_X_KEEPALIVE_INTERVAL, "LDAP_OPT_X_KEEPALIVE_INTERVAL", 10},
}};

// Off: a referral or a restarted call could send a password to a server that was not configured.
constexpr std::array<BoolOption, 2> kOffOptions = {{
    {LDAP_OPT_REFERRALS, "LDAP_OPT_REFERRALS"},
    {LDAP_OPT_RESTART, "LDAP_OPT_RESTART"},
}};

absl::Status DidNotTake(const char* name) {
  return absl::InternalError(
      absl::StrCat("libldap does not take ", name, ": the directory would not be safe to use"));
}

absl::Status SetText(LDAP* handle, int option, const char* name, const std::string& value) {
  if (ldap_set_option(handle, option, value.c_str()) != LDAP_OPT_SUCCESS) return DidNotTake(name);
  char* text = nullptr;
  if (ldap_get_option(handle, option, static_cast<void*>(&text)) != LDAP_OPT_SUCCESS) {
    return DidNotTake(name);
  }
  const std::string taken = text == nullptr ? "" : text;
  ldap_memfree(text);
  return taken == value ? absl::OkStatus() : DidNotTake(name);
}

absl::Status SetTime(LDAP* handle, int option, const char* name, absl::Duration value) {
  const timeval time = absl::ToTimeval(value);
  if (ldap_set_option(handle, option, &time) != LDAP_OPT_SUCCESS) return DidNotTake(name);
  timeval* taken = nullptr;
  if (ldap_get_option(handle, option, static_cast<void*>(&taken)) != LDAP_OPT_SUCCESS ||
      taken == nullptr) {
    return DidNotTake(name);
  }
  const bool same = taken->tv_sec == time.tv_sec && taken->tv_usec == time.tv_usec;
  ldap_memfree(taken);
  return same ? absl::OkStatus() : DidNotTake(name);
}

absl::Status SetOptions(LDAP* handle, const DirectorySettings& settings) {
  for (const IntOption& option : kIntOptions) {
    int taken = option.value - 1;
    if (ldap_set_option(handle, option.option, &option.value) != LDAP_OPT_SUCCESS ||
        ldap_get_option(handle, option.option, &taken) != LDAP_OPT_SUCCESS ||
        taken != option.value) {
      return DidNotTake(option.name);
    }
  }
  for (const BoolOption& option : kOffOptions) {
    int taken = 1;
    if (ldap_set_option(handle, option.option, LDAP_OPT_OFF) != LDAP_OPT_SUCCESS ||
        ldap_get_option(handle, option.option, &taken) != LDAP_OPT_SUCCESS || taken != 0) {
      return DidNotTake(option.name);
    }
  }
  RETURN_IF_ERROR(SetTime(handle, LDAP_OPT_NETWORK_TIMEOUT, "LDAP_OPT_NETWORK_TIMEOUT",
                          settings.network_timeout));
  RETURN_IF_ERROR(
      SetTime(handle, LDAP_OPT_TIMEOUT, "LDAP_OPT_TIMEOUT", settings.operation_timeout));
  RETURN_IF_ERROR(
      SetText(handle, LDAP_OPT_X_TLS_CIPHER_SUITE, "LDAP_OPT_X_TLS_CIPHER_SUITE", kTlsPriority));
  RETURN_IF_ERROR(SetText(handle, LDAP_OPT_X_TLS_CACERTDIR, "LDAP_OPT_X_TLS_CACERTDIR", ""));
  RETURN_IF_ERROR(
      SetText(handle, LDAP_OPT_X_TLS_CACERTFILE, "LDAP_OPT_X_TLS_CACERTFILE", settings.ca_file));
  return absl::OkStatus();
}

absl::Status LimitMessages(LDAP* handle) {
  Sockbuf* socket = nullptr;
  ber_len_t limit = kMaxMessageBytes;
  ber_len_t taken = 0;
  if (ldap_get_option(handle, LDAP_OPT_SOCKBUF, static_cast<void*>(&socket)) != LDAP_OPT_SUCCESS ||
      socket == nullptr || ber_sockbuf_ctrl(socket, LBER_SB_OPT_SET_MAX_INCOMING, &limit) != 1 ||
      ber_sockbuf_ctrl(socket, LBER_SB_OPT_GET_MAX_INCOMING, &taken) != 1 || taken != limit) {
    return DidNotTake("LBER_SB_OPT_SET_MAX_INCOMING");
  }
  return absl::OkStatus();
}

// What is never freed stays reachable, so that leak checkers find only what is lost.
void Keep(void* context) {
  static Mutex& mutex = *new Mutex;
  static std::vector<void*>& kept = *new std::vector<void*>;
  MutexLock lock(mutex);
  kept.push_back(context);
}

absl::StatusOr<LdapHandle> OptionedHandle(const std::string& server,
                                          const DirectorySettings& settings) {
  LDAP* raw = nullptr;
  if (const int result = ldap_initialize(&raw, server.c_str()); result != LDAP_SUCCESS) {
    return absl::InvalidArgumentError(
        absl::StrCat("servers: '", server, "': ", ldap_err2string(result)));
  }
  LdapHandle handle(raw);
  RETURN_IF_ERROR(SetOptions(raw, settings));
  RETURN_IF_ERROR(LimitMessages(raw));
  return handle;
}

}  // namespace

void LdapUnbind::operator()(ldap* handle) const { ldap_unbind_ext(handle, nullptr, nullptr); }

void IgnoreLdapConfigurationFiles() {
  setenv("LDAPNOINIT", "1", /*overwrite=*/1);
  // The first call of any kind makes libldap read its environment; let it be this one.
  LDAPAPIInfo info = {};
  info.ldapai_info_version = LDAP_API_INFO_VERSION;
  if (ldap_get_option(nullptr, LDAP_OPT_API_INFO, &info) == LDAP_OPT_SUCCESS) {
    ldap_memfree(info.ldapai_vendor_name);
    ber_memvfree(reinterpret_cast<void**>(info.ldapai_extensions));
  }
}

absl::StatusOr<std::shared_ptr<const LdapTlsContext>> LdapTlsContext::Create(
    const DirectorySettings& settings) {
  ASSIGN_OR_RETURN(const LdapHandle handle, OptionedHandle(settings.servers[0], settings));
  const int client = 0;
  if (const int result = ldap_set_option(handle.get(), LDAP_OPT_X_TLS_NEWCTX, &client);
      result != LDAP_OPT_SUCCESS) {
    return absl::InternalError(absl::StrCat("libldap makes no TLS context; is ca_file '",
                                            settings.ca_file, "' a PEM file? ",
                                            LdapErrorText(handle.get(), result)));
  }
  void* context = nullptr;
  if (ldap_get_option(handle.get(), LDAP_OPT_X_TLS_CTX, static_cast<void*>(&context)) !=
          LDAP_OPT_SUCCESS ||
      context == nullptr) {
    return DidNotTake("LDAP_OPT_X_TLS_NEWCTX");
  }
  Keep(context);
  return std::shared_ptr<const LdapTlsContext>(new LdapTlsContext(context));
}

absl::StatusOr<LdapHandle> NewLdapHandle(const std::string& server,
                                         const DirectorySettings& settings,
                                         const LdapTlsContext& tls) {
  ASSIGN_OR_RETURN(LdapHandle handle, OptionedHandle(server, settings));
  if (ldap_set_option(handle.get(), LDAP_OPT_X_TLS_CTX, tls.get()) != LDAP_OPT_SUCCESS) {
    return DidNotTake("LDAP_OPT_X_TLS_CTX");
  }
  return handle;
}

std::string LdapErrorText(ldap* handle, int code) {
  char* diagnostic = nullptr;
  ldap_get_option(handle, LDAP_OPT_DIAGNOSTIC_MESSAGE, static_cast<void*>(&diagnostic));
  const absl::Cleanup free_it = [&] { ldap_memfree(diagnostic); };
  return diagnostic == nullptr || *diagnostic == '\0'
             ? ldap_err2string(code)
             : absl::StrCat(ldap_err2string(code), " (", diagnostic, ")");
}

}  // namespace werkplek
