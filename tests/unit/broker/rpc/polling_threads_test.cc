#include "broker/rpc/polling_threads.h"

#include <chrono>
#include <future>
#include <memory>
#include <set>
#include <thread>

#include "grpcpp/client_context.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/server_builder.h"
#include "grpcpp/support/byte_buffer.h"
#include "gtest/gtest.h"
#include "werkplek/v1/session.grpc.pb.h"

namespace werkplek {
namespace {

class PollingThreadsTest : public testing::Test {
 protected:
  PollingThreadsTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    channel_ = server_->InProcessChannel(grpc::ChannelArguments());
  }

  // The thread on which the answer to a call comes.
  std::thread::id ThreadOfAnAnswer() {
    auto context = std::make_shared<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    const auto answered = std::make_shared<std::promise<std::thread::id>>();
    const grpc::Slice nothing;
    const grpc::ByteBuffer request(&nothing, 1);
    grpc::ByteBuffer response;
    grpc::GenericStub(channel_).UnaryCall(context.get(), "/werkplek.v1.Nobody/Call",
                                          grpc::StubOptions(), &request, &response,
                                          [context, answered](const grpc::Status&) mutable {
                                            // It has the channel, and must not be its last holder.
                                            context = nullptr;
                                            answered->set_value(std::this_thread::get_id());
                                          });
    return answered->get_future().get();
  }

  v1::SessionService::CallbackService service_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(PollingThreadsTest, OneIsLeftAndServesAll) {
  const PollingThreads polling(server_.get());
  std::set<std::thread::id> threads;
  for (int i = 0; i < 50; ++i) threads.insert(ThreadOfAnAnswer());
  EXPECT_EQ(threads.size(), 1u);
}

TEST_F(PollingThreadsTest, ASecondOneHoldsNothingAndTheThreadsComeBack) {
  auto first = std::make_unique<PollingThreads>(server_.get());
  {
    const PollingThreads second(server_.get());
    ThreadOfAnAnswer();
  }
  ThreadOfAnAnswer();
  first.reset();
  // The next one can hold them again.
  first = std::make_unique<PollingThreads>(server_.get());
  std::set<std::thread::id> threads;
  for (int i = 0; i < 50; ++i) threads.insert(ThreadOfAnAnswer());
  EXPECT_EQ(threads.size(), 1u);
}

}  // namespace
}  // namespace werkplek
