// The limits of the gRPC listeners. The defaults are for production; the config loader may change
// them within bounds.
#pragma once

#include <cstddef>
#include <string>

#include "absl/time/time.h"
#include "broker/rpc/connection_limits.h"
#include "common/base/rate_limit.h"

namespace werkplek {

struct RpcSettings {
  // "ADDRESS:PORT", numeric. Thin clients, gateways and admins; agents.
  std::string client_address;
  std::string agent_address;

  ConnectionLimitSettings connections;
  absl::Duration handshake_limit = absl::Seconds(5);
  int max_streams_per_connection = 100;
  int client_message_bytes = 64 << 10;
  int agent_message_bytes = 1 << 20;
  int metadata_bytes = 8 << 10;
  // Of gRPC's own buffers, per listener.
  size_t memory_quota_bytes = 256 << 20;

  // An idle connection is asked for a sign of life after `..._keepalive`, and closed when none
  // comes within `keepalive_timeout`.
  absl::Duration client_keepalive = absl::Seconds(60);
  absl::Duration agent_keepalive = absl::Seconds(10);
  absl::Duration keepalive_timeout = absl::Seconds(5);
  // Connections of people are renewed, which bounds what a connection can pile up and makes a
  // renewed certificate count. Streams that run get the grace to end.
  absl::Duration client_connection_age = absl::Minutes(30);
  absl::Duration client_connection_grace = absl::Minutes(5);

  // A unary call that has no answer by then ends with DEADLINE_EXCEEDED.
  absl::Duration unary_limit = absl::Seconds(10);

  // Sign-ins tried per machine. Behind one gateway stand many people.
  RateLimitSettings machine_sign_ins = {.per_second = 2, .burst = 20};
  RateLimitSettings gateway_sign_ins = {.per_second = 200, .burst = 1000};

  // Reports per agent; one that sends more loses its stream.
  RateLimitSettings agent_reports = {.per_second = 50, .burst = 500};

  // Messages that may wait for a reader before its stream is ended.
  size_t max_waiting_connect_updates = 64;
  size_t max_waiting_commits = 4096;
  // Commands that may wait for one agent; beyond, they are dropped, and the next report shows the
  // difference.
  size_t max_waiting_commands = 4096;
};

}  // namespace werkplek
