// One agent's Attach call: reports up to the node, commands down to the agent.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "broker/node/broker_node.h"
#include "broker/rpc/agent_links.h"
#include "broker/rpc/gate.h"
#include "broker/rpc/stream_writer.h"
#include "common/base/rate_limit.h"
#include "werkplek/v1/agent.pb.h"

namespace werkplek {

class AttachStream final
    : public StreamWriter<grpc::ServerBidiReactor<v1::AgentReport, v1::AgentCommand>,
                          v1::AgentCommand>,
      public AgentLink {
 public:
  // What all agents' streams share; outlives them.
  struct Parts {
    BrokerNode* node = nullptr;
    GrpcAgentLinks* links = nullptr;
    Gate* gate = nullptr;
    RateLimit* report_rate = nullptr;
    size_t max_waiting = 0;
  };

  // Tells the node of the host's new stream and closes the one before.
  static AttachStream* Begin(const Parts& parts, grpc::CallbackServerContext* context,
                             Admitted admitted);

  void Send(const v1::AgentCommand& command) override;
  void Close(const absl::Status& why) override;
  const Caller& caller() const override { return admitted_.caller; }

  void OnReadDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  AttachStream(const Parts& parts, grpc::CallbackServerContext* context, Admitted admitted);

  // Ends the stream because of what the agent sent.
  void Refuse(const absl::Status& why);

  const Parts parts_;
  const Admitted admitted_;
  // The certificate's own name, "hv-a1".
  const std::string host_;
  uint64_t link_ = 0;
  v1::AgentReport report_;
  std::shared_ptr<AttachStream> self_;
};

}  // namespace werkplek
