#include "tests/integration/rpc/generic_call.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "grpcpp/client_context.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/generic/generic_stub.h"
#include "tests/support/loopback_broker/test_channel.h"

namespace werkplek {
namespace {

// Waits for the one operation under way; false: it failed.
bool Done(grpc::CompletionQueue& queue) {
  void* tag = nullptr;
  bool ok = false;
  const auto until = std::chrono::system_clock::now() + std::chrono::seconds(20);
  if (queue.AsyncNext(&tag, &ok, until) != grpc::CompletionQueue::GOT_EVENT) {
    std::fprintf(stderr, "a call hangs\n");
    std::abort();
  }
  return ok;
}

std::string Text(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string text;
  if (!buffer.Valid() || !buffer.Dump(&slices).ok()) return text;
  for (const grpc::Slice& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return text;
}

}  // namespace

GenericAnswer Call(const std::shared_ptr<grpc::Channel>& channel, const GenericCall& call) {
  grpc::ClientContext context;
  if (call.deadline > absl::ZeroDuration()) {
    Prepare(context, call.token, call.deadline);
  } else if (!call.token.empty()) {
    context.AddMetadata("authorization", "Bearer " + call.token);
  }
  for (const auto& [key, value] : call.metadata) context.AddMetadata(key, value);
  if (call.gzip) context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  grpc::CompletionQueue queue;
  grpc::GenericStub stub(channel);
  const auto stream = stub.PrepareCall(&context, call.path, &queue);
  stream->StartCall(nullptr);
  GenericAnswer answer;
  if (Done(queue)) {
    const grpc::Slice slice(call.request);
    stream->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
    (void)Done(queue);
    grpc::ByteBuffer response;
    stream->Read(&response, nullptr);
    answer.answered = Done(queue);
    answer.response = Text(response);
    if (answer.answered) {
      grpc::ByteBuffer more;
      stream->Read(&more, nullptr);
      // A unary call has ended; a stream that goes on is told to stop.
      void* tag = nullptr;
      bool ok = false;
      const auto soon = std::chrono::system_clock::now() + std::chrono::milliseconds(50);
      if (queue.AsyncNext(&tag, &ok, soon) != grpc::CompletionQueue::GOT_EVENT) {
        context.TryCancel();
        (void)Done(queue);
      } else if (ok) {
        context.TryCancel();
      }
    }
  }
  stream->Finish(&answer.status, nullptr);
  (void)Done(queue);
  if (answer.answered && answer.status.error_code() == grpc::StatusCode::CANCELLED) {
    answer.status = grpc::Status::OK;
  }
  const auto& trailing = context.GetServerTrailingMetadata();
  if (const auto found = trailing.find("retry-after-ms"); found != trailing.end()) {
    answer.retry_after_ms = std::string(found->second.data(), found->second.size());
  }
  queue.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue.Next(&tag, &ok)) {
  }
  return answer;
}

}  // namespace werkplek
