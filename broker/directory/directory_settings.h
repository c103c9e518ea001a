// How the directory is reached and read. Filled from the configuration; Validate before use.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/crypto.h"

namespace werkplek {

struct DirectorySettings {
  // "ldaps://host[:port]", or "ldap://host[:port]" together with start_tls; first choice first. The
  // host is what the server's certificate must name (a DNS name or an address).
  std::vector<std::string> servers;
  // Upgrade ldap:// connections with StartTLS (RFC 4511 section 4.14) before anything else is sent.
  bool start_tls = false;
  // PEM file with the only authorities that are trusted to vouch for the servers.
  std::string ca_file;

  // The service account, which does all searches.
  std::string bind_dn;
  Secret bind_password;

  // Where people are. {user} in the filter becomes the typed name, escaped (RFC 4515).
  std::string user_base;
  std::string user_filter = "(uid={user})";
  // Holds the name that people sign in with.
  std::string user_attribute = "uid";
  std::string name_attribute = "displayName";

  // Where groups are; empty: nobody has groups. {dn} in the filter becomes the DN of a person or,
  // for nested groups, of a group.
  std::string group_base;
  std::string group_filter = "(member={dn})";
  // When the directory keeps a person's direct groups on the person (memberOf), its name; saves a
  // search for each sign-in. Empty: the group filter finds them.
  std::string member_of_attribute;

  // An unknown name is judged by a bind as this DN, so that it takes as long as a known one. Best
  // an entry with a random password, hashed like everyone's, and without lockout. Empty: a DN below
  // user_base that does not exist.
  std::string decoy_dn;

  // One attempt to connect, TLS included, and one operation on a connection.
  absl::Duration network_timeout = absl::Seconds(2);
  absl::Duration operation_timeout = absl::Milliseconds(2'400);
  // Every call is answered within this time, over all servers.
  absl::Duration answer_timeout = absl::Milliseconds(4'800);
  // Group memberships may be this old. At most 60 s.
  absl::Duration group_cache_time = absl::Seconds(30);

  // For each server: connections for searches (many at once on each), and at most this many for
  // binds (one at a time on each, RFC 4511 section 4.2.1).
  int search_connections = 2;
  int max_bind_connections = 64;
  // Calls that may be under way or wait; more are refused as overload.
  int max_calls = 2'048;
  // A person in more groups than this gets an error, never a part of them.
  int max_groups = 2'000;

  // INVALID_ARGUMENT: names the field and says what to do. Opens no file but ca_file.
  absl::Status Validate() const;
};

}  // namespace werkplek
