// The gateway's way to the brokers, against real servers that say what the test tells them to.
#include "gateway/link/broker_link.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <future>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/mutex.h"
#include "common/tls/grpc_credentials.h"
#include "common/tls/process_tls.h"
#include "tests/support/pki/test_pki.h"
#include "werkplek/v1/gateway.grpc.pb.h"

namespace werkplek {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(20);

class Broker : public v1::GatewayService::Service {
 public:
  // Port 0: a free one.
  Broker(const TlsFiles& files, grpc::StatusCode code, int port = 0) : code_(code) {
    const auto credentials = GrpcServerCredentials(files);
    EXPECT_TRUE(credentials.ok()) << credentials.status();
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), *credentials, &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~Broker() override { server_->Shutdown(absl::ToChronoTime(absl::Now())); }

  grpc::Status AnnounceGateway(grpc::ServerContext*, const v1::AnnounceGatewayRequest* said,
                               v1::AnnounceGatewayResponse*) override {
    MutexLock lock(mutex_);
    said_.push_back(*said);
    changed_.SignalAll();
    return {code_, "as told"};
  }
  grpc::Status FindDisplay(grpc::ServerContext*, const v1::FindDisplayRequest* request,
                           v1::FindDisplayResponse* response) override {
    response->set_host(absl::StrCat("host-of-", request->desktop()));
    return {code_, "as told"};
  }

  std::vector<v1::AnnounceGatewayRequest> WaitForSaid(size_t count) {
    MutexLock lock(mutex_);
    const absl::Time deadline = absl::Now() + kDeadline;
    while (said_.size() < count && absl::Now() < deadline) {
      changed_.WaitFor(mutex_, absl::Milliseconds(100));
    }
    return said_;
  }
  int port() const { return port_; }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

 private:
  const grpc::StatusCode code_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  Mutex mutex_;
  CondVar changed_;
  std::vector<v1::AnnounceGatewayRequest> said_ ABSL_GUARDED_BY(mutex_);
};

class GatewayLinkTest : public testing::Test {
 protected:
  GatewayLinkTest()
      : broker_files_(pki_.Issue(v1::IDENTITY_BROKER, "b1")),
        own_(pki_.Issue(v1::IDENTITY_GATEWAY, "gw-a")) {
    EXPECT_TRUE(RequireTls13InThisProcess().ok());
  }

  std::unique_ptr<GatewayLink> Link(std::vector<std::string> brokers) {
    GatewayLinkSettings settings;
    settings.brokers = std::move(brokers);
    settings.announcement.set_site("a");
    settings.announcement.add_addresses("192.0.2.1:7460");
    settings.announce_interval = absl::Milliseconds(50);
    const auto credentials = GrpcChannelCredentials(own_, ExpectIdentity({v1::IDENTITY_BROKER}));
    EXPECT_TRUE(credentials.ok()) << credentials.status();
    return std::make_unique<GatewayLink>(std::move(settings), *credentials, [] { return 7u; });
  }
  static absl::StatusOr<v1::FindDisplayResponse> Find(GatewayLink& link) {
    v1::FindDisplayRequest request;
    request.set_desktop("kantoor-1");
    // The answer's thread may still be in it when this one goes on.
    const auto found = std::make_shared<std::promise<absl::StatusOr<v1::FindDisplayResponse>>>();
    link.Find(request, [found](auto answer) { found->set_value(std::move(answer)); });
    return found->get_future().get();
  }

  TestPki pki_;
  const TlsFiles broker_files_;
  const TlsFiles own_;
};

TEST_F(GatewayLinkTest, ItSaysAgainAndAgainThatItIsThere) {
  Broker broker(broker_files_, grpc::StatusCode::OK);
  const auto link = Link({broker.address()});
  const auto said = broker.WaitForSaid(3);
  ASSERT_GE(said.size(), 3u);
  EXPECT_EQ(said[2].site(), "a");
  EXPECT_EQ(said[2].addresses(0), "192.0.2.1:7460");
  EXPECT_EQ(said[2].channels(), 7u);
}

TEST_F(GatewayLinkTest, ABrokerThatWasAwayIsToldAgain) {
  auto broker = std::make_unique<Broker>(broker_files_, grpc::StatusCode::OK);
  const int port = broker->port();
  const auto link = Link({broker->address()});
  for (int away = 0; away < 3; ++away) {
    ASSERT_FALSE(broker->WaitForSaid(1).empty()) << away;
    broker = nullptr;
    broker = std::make_unique<Broker>(broker_files_, grpc::StatusCode::OK, port);
  }
  EXPECT_FALSE(broker->WaitForSaid(1).empty());
}

TEST_F(GatewayLinkTest, ABrokerThatCannotSayIsLeftForTheNext) {
  Broker lame(broker_files_, grpc::StatusCode::UNAVAILABLE);
  Broker good(broker_files_, grpc::StatusCode::OK);
  const auto link = Link({lame.address(), good.address()});
  const auto found = Find(*link);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->host(), "host-of-kantoor-1");
  EXPECT_FALSE(good.WaitForSaid(1).empty());
}

TEST_F(GatewayLinkTest, AnAnswerIsAnAnswerAndNobodyElseIsAsked) {
  Broker knows(broker_files_, grpc::StatusCode::NOT_FOUND);
  const auto link = Link({knows.address()});
  EXPECT_TRUE(absl::IsNotFound(Find(*link).status()));
}

TEST_F(GatewayLinkTest, WhereNobodyAnswersThatIsTheAnswer) {
  Broker one(broker_files_, grpc::StatusCode::UNAVAILABLE);
  Broker two(broker_files_, grpc::StatusCode::UNAVAILABLE);
  const auto link = Link({one.address(), two.address()});
  EXPECT_TRUE(absl::IsUnavailable(Find(*link).status()));
}

}  // namespace
}  // namespace werkplek
