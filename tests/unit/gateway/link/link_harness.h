// Brokers as a gateway sees them: real servers on loopback that say what the test tells them to.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/mutex.h"
#include "common/tls/grpc_credentials.h"
#include "common/tls/process_tls.h"
#include "tests/support/pki/test_pki.h"
#include "werkplek/v1/gateway.grpc.pb.h"
#include "werkplek/v1/session.grpc.pb.h"

namespace werkplek {

inline constexpr absl::Duration kDeadline = absl::Seconds(20);

class Broker {
 public:
  // What one call for a person carried: all values of the key, with commas.
  struct Asked {
    std::string authorization;
    std::string browser_address;
  };

  // Port 0: a free one.
  Broker(const TlsFiles& files, grpc::StatusCode code, int port = 0) : code_(code) {
    const auto credentials = GrpcServerCredentials(files);
    EXPECT_TRUE(credentials.ok()) << credentials.status();
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), *credentials, &port_);
    builder.RegisterService(&gateways_);
    builder.RegisterService(&sessions_);
    server_ = builder.BuildAndStart();
  }
  ~Broker() { server_->Shutdown(absl::ToChronoTime(absl::Now())); }
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  // Calls for people are answered with this trailing metadata from now on; empty: without.
  void SetRetryAfter(const std::string& value) {
    MutexLock lock(mutex_);
    retry_after_ = value;
  }
  // Calls for people are not answered from now on, until the caller gives them up.
  void Hold() {
    MutexLock lock(mutex_);
    holds_ = true;
  }

  std::vector<v1::AnnounceGatewayRequest> WaitForSaid(size_t count) { return Wait(said_, count); }
  std::vector<Asked> WaitForAsked(size_t count) { return Wait(asked_, count); }
  std::vector<Asked> asked() { return Wait(asked_, 0); }

  int port() const { return port_; }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

 private:
  class Gateways : public v1::GatewayService::Service {
   public:
    explicit Gateways(Broker* broker) : broker_(broker) {}
    grpc::Status AnnounceGateway(grpc::ServerContext*, const v1::AnnounceGatewayRequest* said,
                                 v1::AnnounceGatewayResponse*) override {
      MutexLock lock(broker_->mutex_);
      broker_->said_.push_back(*said);
      broker_->changed_.SignalAll();
      return {broker_->code_, "as told"};
    }
    grpc::Status FindDisplay(grpc::ServerContext*, const v1::FindDisplayRequest* request,
                             v1::FindDisplayResponse* response) override {
      response->set_host(absl::StrCat("host-of-", request->desktop()));
      return {broker_->code_, "as told"};
    }

   private:
    Broker* const broker_;
  };

  // The first pool's description is the broker's address.
  class Sessions : public v1::SessionService::Service {
   public:
    explicit Sessions(Broker* broker) : broker_(broker) {}
    grpc::Status ListPools(grpc::ServerContext* context, const v1::ListPoolsRequest*,
                           v1::ListPoolsResponse* response) override {
      MutexLock lock(broker_->mutex_);
      broker_->asked_.push_back(
          {All(*context, "authorization"), All(*context, "werkplek-browser-address")});
      broker_->changed_.SignalAll();
      while (broker_->holds_ && !context->IsCancelled()) {
        broker_->changed_.WaitFor(broker_->mutex_, absl::Milliseconds(10));
      }
      if (!broker_->retry_after_.empty()) {
        context->AddTrailingMetadata("retry-after-ms", broker_->retry_after_);
      }
      response->add_pools()->set_description(broker_->address());
      return {broker_->code_, "as told"};
    }

   private:
    static std::string All(const grpc::ServerContext& context, const std::string& key) {
      std::string all;
      const auto [from, to] = context.client_metadata().equal_range(key);
      for (auto at = from; at != to; ++at) {
        absl::StrAppend(&all, all.empty() ? "" : ",",
                        absl::string_view(at->second.data(), at->second.size()));
      }
      return all;
    }

    Broker* const broker_;
  };

  template <typename T>
  std::vector<T> Wait(const std::vector<T>& calls, size_t count) {
    MutexLock lock(mutex_);
    const absl::Time deadline = absl::Now() + kDeadline;
    while (calls.size() < count && absl::Now() < deadline) {
      changed_.WaitFor(mutex_, absl::Milliseconds(100));
    }
    return calls;
  }

  const grpc::StatusCode code_;
  int port_ = 0;
  Gateways gateways_{this};
  Sessions sessions_{this};
  Mutex mutex_;
  CondVar changed_;
  bool holds_ ABSL_GUARDED_BY(mutex_) = false;
  std::string retry_after_ ABSL_GUARDED_BY(mutex_);
  // Passed on by reference, and looked at with the mutex.
  std::vector<v1::AnnounceGatewayRequest> said_;
  std::vector<Asked> asked_;
  std::unique_ptr<grpc::Server> server_;
};

class LinkTest : public testing::Test {
 protected:
  LinkTest()
      : broker_files_(pki_.Issue(v1::IDENTITY_BROKER, "b1")),
        own_(pki_.Issue(v1::IDENTITY_GATEWAY, "gw-a")) {
    EXPECT_TRUE(RequireTls13InThisProcess().ok());
  }

  // A gateway's own.
  std::shared_ptr<grpc::ChannelCredentials> Credentials() const {
    const auto credentials = GrpcChannelCredentials(own_, ExpectIdentity({v1::IDENTITY_BROKER}));
    EXPECT_TRUE(credentials.ok()) << credentials.status();
    return *credentials;
  }

  TestPki pki_;
  const TlsFiles broker_files_;
  const TlsFiles own_;
};

}  // namespace werkplek
