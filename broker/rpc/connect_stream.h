// One Connect call: the node's updates, written as they come.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "broker/node/broker_node.h"
#include "broker/rpc/gateway_book.h"
#include "broker/rpc/stream_writer.h"
#include "werkplek/v1/session.pb.h"

namespace werkplek {

class ConnectStream final
    : public StreamWriter<grpc::ServerWriteReactor<v1::ConnectUpdate>, v1::ConnectUpdate> {
 public:
  // Posts the request to the node; the answer gets the gateways that are there. Lives until both
  // gRPC and the node have let it go. A caller that goes away, or reads too slowly for
  // `max_waiting` updates, ends the wait for a desktop.
  static ConnectStream* Begin(BrokerNode* node, GatewayBook* gateways,
                              grpc::CallbackServerContext* context, const Caller& caller,
                              const v1::ConnectRequest& request, size_t max_waiting);

  void OnCancel() override;
  void OnDone() override;

 private:
  ConnectStream(BrokerNode* node, GatewayBook* gateways, grpc::CallbackServerContext* context,
                size_t max_waiting)
      : StreamWriter(context, max_waiting), node_(node), gateways_(gateways) {}

  void Update(absl::StatusOr<v1::ConnectUpdate> update, bool last);
  // Tells the node, once, that nobody waits any more.
  void Cancel();

  BrokerNode* const node_;
  GatewayBook* const gateways_;
  Mutex mutex_;
  // Absent until the node has given it.
  std::optional<CallId> call_ ABSL_GUARDED_BY(mutex_);
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<ConnectStream> self_;
};

}  // namespace werkplek
