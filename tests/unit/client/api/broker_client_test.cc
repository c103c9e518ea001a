#include "client/api/broker_client.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "tests/unit/client/fake_broker.h"

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Stub = v1::SessionService::Stub;

// Time passes only by the client's own waiting.
class BrokerClientTest : public testing::Test {
 protected:
  BrokerClient Client(std::vector<BrokerEndpoint> endpoints, RetryPolicy policy = {}) {
    return {std::move(endpoints), policy,
            RetryPorts{.monotonic = [this] { return now_; },
                       .sleep =
                           [this](absl::Duration delay) {
                             now_ += delay;
                             slept_.push_back(delay);
                           },
                       .chance = [] { return 0.0; }}};
  }
  static v1::SignOutRequest SignOut() {
    v1::SignOutRequest request;
    request.set_request_id(NewRequestId());
    return request;
  }

  absl::Duration now_;
  std::vector<absl::Duration> slept_;
};

TEST_F(BrokerClientTest, RequestIdsAre128RandomBitsInHexadecimal) {
  std::set<std::string> ids;
  for (int i = 0; i < 100; ++i) {
    const std::string id = NewRequestId();
    EXPECT_EQ(id.size(), 32);
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 100);
}

TEST_F(BrokerClientTest, SendsTheAccessTokenOnlyOnceThereIsOne) {
  FakeBroker broker;
  broker.Reply("SignOut", v1::SignOutResponse());
  BrokerClient client = Client({broker.Endpoint()});
  EXPECT_TRUE(client.Call(&Stub::SignOut, SignOut()).ok());
  EXPECT_EQ(broker.LastAuthorization(), "");
  client.SetAccessToken(Secret("abc"));
  EXPECT_TRUE(client.Call(&Stub::SignOut, SignOut()).ok());
  EXPECT_EQ(broker.LastAuthorization(), "Bearer abc");
}

TEST_F(BrokerClientTest, FailsOverToABrokerThatAnswersAndStaysThere) {
  FakeBroker gone;
  const BrokerEndpoint dead = gone.Endpoint();
  gone.Stop();
  FakeBroker alive;
  alive.Reply("SignOut", v1::SignOutResponse());
  BrokerClient client = Client({dead, alive.Endpoint()});
  EXPECT_TRUE(client.Call(&Stub::SignOut, SignOut()).ok());
  EXPECT_EQ(client.address(), alive.address());
  EXPECT_TRUE(slept_.empty());
  EXPECT_TRUE(client.Call(&Stub::SignOut, SignOut()).ok());
  EXPECT_EQ(alive.Requests<v1::SignOutRequest>("SignOut").size(), 2);
}

// A port whose kernel accepts connections although nobody ever reads them, as that of a broker that
// stands still.
class StandingStill {
 public:
  StandingStill() {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 16), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    address_ = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  }
  ~StandingStill() { close(listener_); }

  // Without the client's patience, calls would wait for ever.
  BrokerEndpoint Endpoint() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 24 * 3600 * 1000);
    return {address_,
            grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments)};
  }
  const std::string& address() const { return address_; }

 private:
  const int listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::string address_;
};

RetryPolicy WithoutDeadlines() {
  RetryPolicy policy;
  policy.connect_patience = absl::Milliseconds(20);
  policy.attempt_timeout = absl::Hours(1);
  return policy;
}

TEST_F(BrokerClientTest, PassesOverABrokerThatStandsStill) {
  const StandingStill still;
  FakeBroker alive;
  alive.Once("SignOut", FakeBroker::Fails(grpc::StatusCode::UNAVAILABLE, "no leader"));
  alive.Reply("SignOut", v1::SignOutResponse());
  BrokerClient client = Client({still.Endpoint(), alive.Endpoint()}, WithoutDeadlines());
  std::vector<std::string> passed_over;
  client.SetRetryListener([&](const std::string& address, const absl::Status&, absl::Duration) {
    passed_over.push_back(address);
  });
  EXPECT_TRUE(client.Call(&Stub::SignOut, SignOut()).ok());
  EXPECT_EQ(client.address(), alive.address());
  EXPECT_THAT(passed_over, ElementsAre(still.address(), alive.address(), still.address()));
}

TEST_F(BrokerClientTest, SaysThatABrokerStandsStill) {
  const StandingStill a;
  const StandingStill b;
  RetryPolicy policy = WithoutDeadlines();
  policy.max_attempts = 4;
  BrokerClient client = Client({a.Endpoint(), b.Endpoint()}, policy);
  EXPECT_EQ(client.Call(&Stub::SignOut, SignOut()).status(),
            absl::UnavailableError("no broker answers (" + a.address() + ": no connection yet; " +
                                   b.address() + ": no connection yet)"));
}

TEST_F(BrokerClientTest, KeepsTheRequestIdOverRetries) {
  FakeBroker a;
  FakeBroker b;
  for (FakeBroker* broker : {&a, &b}) {
    broker->Once("SignOut", FakeBroker::Fails(grpc::StatusCode::UNAVAILABLE, "starting"));
    broker->Reply("SignOut", v1::SignOutResponse());
  }
  BrokerClient client = Client({a.Endpoint(), b.Endpoint()});
  EXPECT_TRUE(client.Call(&Stub::SignOut, SignOut()).ok());
  std::set<std::string> ids;
  size_t calls = 0;
  for (FakeBroker* broker : {&a, &b}) {
    for (const auto& request : broker->Requests<v1::SignOutRequest>("SignOut")) {
      ids.insert(request.request_id());
      ++calls;
    }
  }
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(ids.size(), 1);
  EXPECT_THAT(slept_, ElementsAre(absl::Milliseconds(50)));
}

TEST_F(BrokerClientTest, HonoursRetryAfter) {
  FakeBroker broker;
  broker.Once("SignOut", FakeBroker::Fails(grpc::StatusCode::RESOURCE_EXHAUSTED, "full", "1500"));
  broker.Reply("SignOut", v1::SignOutResponse());
  BrokerClient client = Client({broker.Endpoint()});
  EXPECT_TRUE(client.Call(&Stub::SignOut, SignOut()).ok());
  EXPECT_THAT(slept_, ElementsAre(absl::Milliseconds(1500)));
}

TEST_F(BrokerClientTest, IgnoresARetryAfterThatIsNoNumber) {
  FakeBroker broker;
  for (const char* bad : {"soon", "-5", "999999999999999999999"}) {
    broker.Once("SignOut", FakeBroker::Fails(grpc::StatusCode::RESOURCE_EXHAUSTED, "full", bad));
  }
  broker.Reply("SignOut", v1::SignOutResponse());
  BrokerClient client = Client({broker.Endpoint()});
  EXPECT_TRUE(client.Call(&Stub::SignOut, SignOut()).ok());
  EXPECT_THAT(slept_, ElementsAre(absl::Milliseconds(50), absl::Milliseconds(100),
                                  absl::Milliseconds(200)));
}

TEST_F(BrokerClientTest, EndsAtItsBoundWithTheBrokersOwnWords) {
  FakeBroker broker;
  broker.Always("SignOut",
                FakeBroker::Fails(grpc::StatusCode::RESOURCE_EXHAUSTED, "too many at once"));
  BrokerClient client = Client({broker.Endpoint()});
  const absl::Status status = client.Call(&Stub::SignOut, SignOut()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "too many at once");
  EXPECT_LE(now_, absl::Seconds(30));
  EXPECT_LE(broker.Methods().size(), 20);
}

TEST_F(BrokerClientTest, NamesEveryBrokerThatDoesNotAnswer) {
  FakeBroker a;
  FakeBroker b;
  a.Stop();
  b.Stop();
  RetryPolicy policy;
  policy.max_attempts = 2;
  BrokerClient client = Client({a.Endpoint(), b.Endpoint()}, policy);
  const absl::Status status = client.Call(&Stub::SignOut, SignOut()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(), "no broker answers (" + a.address() + ": Connection refused; " +
                                  b.address() + ": Connection refused)");
}

TEST_F(BrokerClientTest, DoesNotRetryARefusal) {
  FakeBroker broker;
  broker.Always("SignOut", FakeBroker::Fails(grpc::StatusCode::UNAUTHENTICATED, "who?"));
  BrokerClient client = Client({broker.Endpoint()});
  EXPECT_TRUE(absl::IsUnauthenticated(client.Call(&Stub::SignOut, SignOut()).status()));
  EXPECT_EQ(broker.Methods().size(), 1);
}

TEST_F(BrokerClientTest, OpensALostStreamAnewWithTheSameRequest) {
  FakeBroker broker;
  v1::ConnectUpdate queued;
  queued.mutable_queued()->set_position(2);
  FakeBroker::Answer lost = FakeBroker::Says(queued);
  lost.status = grpc::Status(grpc::StatusCode::UNAVAILABLE, "going away");
  broker.Once("Connect", lost);
  v1::ConnectUpdate ready;
  ready.mutable_ready()->set_desktop("d1");
  broker.Reply("Connect", ready);
  BrokerClient client = Client({broker.Endpoint()});
  v1::ConnectRequest request;
  request.set_request_id(NewRequestId());
  std::vector<std::string> stages;
  int opened = 0;
  const absl::Status status = client.Stream(
      &Stub::Connect, request, absl::Minutes(1),
      [&](const v1::ConnectUpdate& update) {
        stages.push_back(update.has_queued() ? "queued" : "ready");
        return true;
      },
      [&] { ++opened; });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(stages, ElementsAre("queued", "ready"));
  EXPECT_EQ(opened, 2);
  const auto requests = broker.Requests<v1::ConnectRequest>("Connect");
  ASSERT_EQ(requests.size(), 2);
  EXPECT_EQ(requests[0].request_id(), requests[1].request_id());
}

TEST_F(BrokerClientTest, StopsAStreamWhenToldTo) {
  FakeBroker broker;
  v1::ConnectUpdate update;
  update.mutable_starting()->set_desktop("d1");
  FakeBroker::Answer many = FakeBroker::Says(update);
  for (int i = 0; i < 100; ++i) many.messages.push_back(many.messages.front());
  broker.Always("Connect", many);
  BrokerClient client = Client({broker.Endpoint()});
  int seen = 0;
  const absl::Status status = client.Stream(&Stub::Connect, v1::ConnectRequest(), absl::Minutes(1),
                                            [&](const v1::ConnectUpdate&) { return ++seen < 3; });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(seen, 3);
}

}  // namespace
}  // namespace werkplek
