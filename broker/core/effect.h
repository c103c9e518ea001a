// What the broker wants done once a decision is durable.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "broker/core/event.h"
#include "broker/model/fleet.h"
#include "common/base/log.h"

namespace werkplek {

// The one answer of a unary call. `response` is set when `status` is OK.
struct Reply {
  CallId call = 0;
  absl::Status status;
  std::shared_ptr<const google::protobuf::Message> response;
};

// One message of a Connect stream; `last` ends it with OK.
struct ConnectProgress {
  CallId call = 0;
  v1::ConnectUpdate update;
  bool last = false;
};

// Ends a Connect stream with an error.
struct ConnectFailed {
  CallId call = 0;
  absl::Status status;
};

struct SendCommand {
  std::string host;
  v1::AgentCommand command;
};

// Make sure that the host is off; the answer is HostFenced.
struct FenceHost {
  std::string host;
  absl::Time asked;
};

// One event for the log.
struct LogEvent {
  Severity severity = Severity::kInfo;
  std::string event;
  std::vector<std::pair<std::string, std::string>> fields;
};

// One observation for the stage histograms: "placement", "prepare", "queue", "start".
struct StageTook {
  std::string stage;
  absl::Duration took;
};

// One more of something: ("sign_ins", "denied"), ("rejected_transitions", "session"), ...
struct Counted {
  std::string what;
  std::string label;
};

using Effect = std::variant<Reply, ConnectProgress, ConnectFailed, SendCommand, FenceHost, LogEvent,
                            StageTook, Counted>;

// Changes are committed first, then the effects run, in order.
struct Decision {
  ChangeSet changes;
  std::vector<Effect> effects;
};

}  // namespace werkplek
