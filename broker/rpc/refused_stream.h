// A stream that ends with an error before its handler saw it.
#pragma once

#include "absl/status/status.h"
#include "broker/rpc/rpc_status.h"
#include "grpcpp/server_context.h"

namespace werkplek {

// Deletes itself when gRPC is done with it.
template <typename Reactor>
class RefusedStream final : public Reactor {
 public:
  RefusedStream(grpc::CallbackServerContext* context, const absl::Status& why) {
    this->Finish(ToGrpc(why, context));
  }
  void OnDone() override { delete this; }
};

}  // namespace werkplek
