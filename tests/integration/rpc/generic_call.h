// Calls a method by its path, with bytes for a request: for tests that walk the descriptors.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpcpp/channel.h"
#include "grpcpp/support/status.h"

namespace werkplek {

struct GenericCall {
  std::string path;
  std::string request = "";
  // Empty: no authorization header.
  std::string token = "";
  // Zero: no deadline is sent (the test still gives up after 20 s).
  absl::Duration deadline = absl::Seconds(10);
  // Sent as they are.
  std::vector<std::pair<std::string, std::string>> metadata = {};
  bool gzip = false;
};

struct GenericAnswer {
  // Of a stream that has answered: OK, whatever it would have said later.
  grpc::Status status;
  bool answered = false;
  std::string response;
  // "retry-after-ms" of the trailing metadata; empty: not there.
  std::string retry_after_ms;
};

// Sends one request, ends its side, and takes the first response or the status.
GenericAnswer Call(const std::shared_ptr<grpc::Channel>& channel, const GenericCall& call);

}  // namespace werkplek
