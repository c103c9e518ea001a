// A broker that answers as a test tells it: a real gRPC server on loopback, in this process.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>

#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/api/broker_client.h"
#include "common/base/mutex.h"
#include "werkplek/v1/admin.grpc.pb.h"
#include "werkplek/v1/session.grpc.pb.h"

namespace werkplek {

// Thread-safe. Every method answers what was scripted for its name ("SignIn"), the entries made
// with Once first; a method without a script answers UNIMPLEMENTED.
class FakeBroker {
 public:
  FakeBroker();
  ~FakeBroker();

  // One answer: messages (one for a unary call, any number for a stream), then a status.
  struct Answer {
    std::vector<std::shared_ptr<google::protobuf::Message>> messages;
    grpc::Status status;
    std::string retry_after_ms;
    // Not empty: a stream's status waits for it.
    std::shared_future<void> until = {};
  };
  template <typename Message>
  static Answer Says(const Message& message) {
    return {.messages = {std::make_shared<Message>(message)}, .status = {}, .retry_after_ms = ""};
  }
  static Answer Fails(grpc::StatusCode code, const std::string& text,
                      const std::string& retry_after_ms = "") {
    return {.messages = {}, .status = grpc::Status(code, text), .retry_after_ms = retry_after_ms};
  }

  void Always(const std::string& method, Answer answer);
  void Once(const std::string& method, Answer answer);
  template <typename Message>
  void Reply(const std::string& method, const Message& message) {
    Always(method, Says(message));
  }

  // The requests of a method so far, in order.
  template <typename Request>
  std::vector<Request> Requests(const std::string& method) const {
    const MutexLock lock(mutex_);
    std::vector<Request> requests;
    for (const Call& call : calls_) {
      if (call.method == method) requests.push_back(static_cast<const Request&>(*call.request));
    }
    return requests;
  }
  // The methods that were called, in order.
  std::vector<std::string> Methods() const;
  // The `authorization` of the last call.
  std::string LastAuthorization() const;

  const std::string& address() const { return address_; }
  BrokerEndpoint Endpoint() const;
  // The server goes; its address refuses connections from then on.
  void Stop();

  // For the services.
  Answer Take(const std::string& method, const google::protobuf::Message& request,
              const grpc::ServerContext& context);

 private:
  struct Call {
    std::string method;
    std::unique_ptr<google::protobuf::Message> request;
    std::string authorization;
  };
  class Session;
  class Admin;

  mutable Mutex mutex_;
  std::map<std::string, std::deque<Answer>> once_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Answer> always_ ABSL_GUARDED_BY(mutex_);
  std::vector<Call> calls_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Session> session_;
  std::unique_ptr<Admin> admin_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace werkplek
