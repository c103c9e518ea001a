#include "broker/directory/directory_settings.h"

#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

absl::Status Bad(absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", what));
}

absl::Status CheckServer(const std::string& server, bool start_tls) {
  const bool ldaps = absl::StartsWith(server, "ldaps://");
  if (!ldaps && !absl::StartsWith(server, "ldap://")) {
    return Bad("servers", absl::StrCat("'", server, "' must begin with ldaps:// or ldap://"));
  }
  if (!ldaps && !start_tls) {
    return Bad("servers", absl::StrCat("'", server,
                                       "' would send passwords in clear: use ldaps://, or set "
                                       "start_tls: true"));
  }
  if (ldaps && start_tls) {
    return Bad("servers", absl::StrCat("'", server,
                                       "' is TLS from the start: use ldap:// with start_tls: true, "
                                       "or ldaps:// without it"));
  }
  const absl::string_view host = absl::string_view(server).substr(server.find("://") + 3);
  if (host.empty() || host[0] == ':' || absl::StrContains(host, "/") ||
      absl::StrContains(host, "?") || absl::StrContains(host, " ")) {
    return Bad("servers", absl::StrCat("'", server, "' must be a host and, if need be, a port"));
  }
  if (host == "localhost" || absl::StartsWith(host, "localhost:")) {
    // libldap compares the certificate with this machine's own name when it reads "localhost".
    return Bad("servers", "write 127.0.0.1 or the machine's name instead of localhost");
  }
  return absl::OkStatus();
}

absl::Status CheckFilter(absl::string_view field, absl::string_view filter,
                         absl::string_view hole) {
  if (!absl::StrContains(filter, hole)) {
    return Bad(field, absl::StrCat("must contain ", hole));
  }
  int depth = 0;
  for (const char c : filter) {
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    if (depth < 0) break;
  }
  if (depth != 0 || filter.front() != '(' || filter.back() != ')') {
    return Bad(field, absl::StrCat("'", filter, "' is no LDAP filter: check the parentheses"));
  }
  return absl::OkStatus();
}

absl::Status CheckDuration(absl::string_view field, absl::Duration value, absl::Duration longest) {
  if (value <= absl::ZeroDuration() || value > longest) {
    return Bad(field, absl::StrCat("must be above 0 and at most ", absl::FormatDuration(longest)));
  }
  return absl::OkStatus();
}

absl::Status CheckCount(absl::string_view field, int value, int most) {
  if (value < 1 || value > most) {
    return Bad(field, absl::StrCat("must be from 1 to ", most));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status DirectorySettings::Validate() const {
  if (servers.empty() || servers.size() > 8) return Bad("servers", "name 1 to 8 servers");
  for (const std::string& server : servers) RETURN_IF_ERROR(CheckServer(server, start_tls));
  if (ca_file.empty()) return Bad("ca_file", "name the PEM file of the directory's authority");
  if (access(ca_file.c_str(), R_OK) != 0) {
    return Bad("ca_file", absl::StrCat("'", ca_file, "' cannot be read"));
  }
  if (bind_dn.empty()) return Bad("bind_dn", "name the service account that searches");
  // An empty one would make the service account's bind an anonymous one (RFC 4513 section 5.1.2).
  if (bind_password.empty()) return Bad("bind_password", "must not be empty");
  if (user_base.empty()) return Bad("user_base", "name the DN below which people are");
  RETURN_IF_ERROR(CheckFilter("user_filter", user_filter, "{user}"));
  if (user_attribute.empty()) return Bad("user_attribute", "must not be empty");
  if (name_attribute.empty()) return Bad("name_attribute", "must not be empty");
  if (!group_base.empty()) {
    RETURN_IF_ERROR(CheckFilter("group_filter", group_filter, "{dn}"));
  }
  if (!decoy_dn.empty() && decoy_dn == bind_dn) {
    return Bad("decoy_dn", "must not be the service account: guesses could lock it out");
  }
  RETURN_IF_ERROR(CheckDuration("network_timeout", network_timeout, absl::Seconds(3)));
  RETURN_IF_ERROR(CheckDuration("operation_timeout", operation_timeout, absl::Seconds(3)));
  RETURN_IF_ERROR(CheckDuration("answer_timeout", answer_timeout, absl::Seconds(5)));
  if (answer_timeout < operation_timeout) {
    return Bad("answer_timeout", "must not be shorter than operation_timeout");
  }
  RETURN_IF_ERROR(CheckDuration("group_cache_time", group_cache_time, absl::Seconds(60)));
  RETURN_IF_ERROR(CheckCount("search_connections", search_connections, 16));
  RETURN_IF_ERROR(CheckCount("max_bind_connections", max_bind_connections, 256));
  RETURN_IF_ERROR(CheckCount("max_calls", max_calls, 65'536));
  return CheckCount("max_groups", max_groups, 10'000);
}

}  // namespace werkplek
