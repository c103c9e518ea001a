// The fake AgentLinks: keeps what was sent and what was closed.
#pragma once

#include <string>
#include <vector>

#include "broker/node/ports.h"

namespace werkplek {

class FakeAgentLinks : public AgentLinks {
 public:
  struct Sent {
    std::string host;
    uint64_t link = 0;
    v1::AgentCommand command;
  };
  struct Closed {
    std::string host;
    uint64_t link = 0;
  };

  void Send(const std::string& host, uint64_t link, const v1::AgentCommand& command) override {
    sent.push_back({host, link, command});
  }
  void Close(const std::string& host, uint64_t link, const absl::Status&) override {
    closed.push_back({host, link});
  }

  std::vector<Sent> sent;
  std::vector<Closed> closed;
};

}  // namespace werkplek
