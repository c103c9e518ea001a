#include "client/api/broker_client.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <future>
#include <optional>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "client/api/client_config.h"
#include "tests/support/loopback_socket.h"
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

// A port on loopback, and where it is.
struct Door {
  Door() {
    sockaddr_in where = {};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(where);
    EXPECT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&where), size), 0);
    EXPECT_EQ(listen(listener.get(), 16), 0);
    EXPECT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&where), &size), 0);
    address = absl::StrCat("127.0.0.1:", ntohs(where.sin_port));
  }
  const Descriptor listener{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::string address;
};

// A port whose kernel accepts connections although nobody ever reads them, as that of a broker that
// stands still.
class StandingStill {
 public:
  // Without the client's patience, calls would wait for ever.
  BrokerEndpoint Endpoint() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 24 * 3600 * 1000);
    return {door_.address, grpc::CreateCustomChannel(
                               door_.address, grpc::InsecureChannelCredentials(), arguments)};
  }
  const std::string& address() const { return door_.address; }

 private:
  const Door door_;
};

// A line to a broker whose machine loses its power when it is told to: what is sent there from then
// on is answered by nothing, not even by an end.
class FailingLine {
 public:
  explicit FailingLine(const FakeBroker& broker)
      : port_(std::stoi(broker.address().substr(broker.address().rfind(':') + 1))),
        thread_([this] { PassOn(); }) {}
  ~FailingLine() {
    Fail();
    thread_.join();
  }
  void Fail() { eventfd_write(failed_.get(), 1); }

  BrokerEndpoint Endpoint(const SignsOfLife& signs) const {
    return {door_.address,
            grpc::CreateCustomChannel(door_.address, grpc::InsecureChannelCredentials(),
                                      BrokerChannelArguments(signs))};
  }

 private:
  // The first of the descriptors that has something; the line has failed: -1.
  int Next(const std::vector<int>& descriptors) const {
    std::vector<pollfd> watched = {{failed_.get(), POLLIN, 0}};
    for (const int descriptor : descriptors) watched.push_back({descriptor, POLLIN, 0});
    while (poll(watched.data(), watched.size(), -1) < 0) {
    }
    if (watched[0].revents != 0) return -1;
    for (size_t i = 1; i < watched.size(); ++i) {
      if (watched[i].revents != 0) return watched[i].fd;
    }
    return -1;
  }

  void PassOn() {
    if (Next({door_.listener.get()}) < 0) return;
    client_ = Descriptor(accept(door_.listener.get(), nullptr, nullptr));
    broker_ = ConnectTcp(port_);
    for (int from = 0; (from = Next({client_.get(), broker_.get()})) >= 0;) {
      char bytes[4096];
      const ssize_t got = read(from, bytes, sizeof(bytes));
      if (got <= 0) return;
      WriteTo(from == client_.get() ? broker_.get() : client_.get(), std::string(bytes, got));
    }
  }

  const int port_;
  const Door door_;
  const Descriptor failed_{eventfd(0, EFD_CLOEXEC)};
  // They stay open to the end.
  Descriptor client_;
  Descriptor broker_;
  std::thread thread_;
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
  const absl::Status status =
      client.Stream(&Stub::Connect, request, absl::Minutes(1),
                    {.on_message =
                         [&](const v1::ConnectUpdate& update) {
                           stages.push_back(update.has_queued() ? "queued" : "ready");
                           return true;
                         },
                     .on_open = [&] { ++opened; }});
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(stages, ElementsAre("queued", "ready"));
  EXPECT_EQ(opened, 2);
  const auto requests = broker.Requests<v1::ConnectRequest>("Connect");
  ASSERT_EQ(requests.size(), 2);
  EXPECT_EQ(requests[0].request_id(), requests[1].request_id());
}

v1::ConnectUpdate Queued() {
  v1::ConnectUpdate update;
  update.mutable_queued()->set_position(2);
  return update;
}

v1::ConnectUpdate Ready() {
  v1::ConnectUpdate update;
  update.mutable_ready()->set_desktop("d1");
  return update;
}

TEST_F(BrokerClientTest, AsksTheNextBrokerWhenOneLosesItsPowerWhileAStreamWaits) {
  FakeBroker dying;
  FakeBroker alive;
  alive.Reply("Connect", Ready());
  std::promise<void> end;
  FakeBroker::Answer waits = FakeBroker::Says(Queued());
  waits.until = end.get_future().share();
  dying.Always("Connect", waits);
  FailingLine line(dying);
  BrokerClient client = Client({line.Endpoint({.ask_after = absl::Milliseconds(100),
                                               .answer_within = absl::Milliseconds(100)}),
                                alive.Endpoint()});
  std::vector<std::string> stages;
  const auto on_update = [&](const v1::ConnectUpdate& update) {
    stages.push_back(update.has_queued() ? "queued" : "ready");
    // However long the stream was quiet before, its loss is the first failure.
    now_ += absl::Hours(1);
    if (update.has_queued()) line.Fail();
    return true;
  };
  const absl::Status status =
      client.Stream(&Stub::Connect, v1::ConnectRequest(), kTestDeadline, {.on_message = on_update});
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(stages, ElementsAre("queued", "ready"));
  EXPECT_TRUE(slept_.empty());
  EXPECT_EQ(client.address(), alive.address());
}

TEST_F(BrokerClientTest, AsksTheNextBrokerWhenOneSaysNothingForTooLong) {
  FakeBroker mute;
  FakeBroker alive;
  alive.Reply("Connect", Ready());
  std::promise<void> end;
  FakeBroker::Answer waits = FakeBroker::Says(Queued());
  waits.until = end.get_future().share();
  mute.Always("Connect", waits);
  BrokerClient client = Client({mute.Endpoint(), alive.Endpoint()});
  std::vector<std::string> failures;
  client.SetRetryListener(
      [&](const std::string& address, const absl::Status& failure, absl::Duration) {
        failures.push_back(absl::StrCat(address, ": ", failure.message()));
      });
  std::optional<v1::Ready> ready;
  const auto on_update = [&](const v1::ConnectUpdate& update) {
    if (update.has_ready()) ready = update.ready();
    return true;
  };
  const absl::Status status = client.Stream(
      &Stub::Connect, v1::ConnectRequest(), kTestDeadline,
      {.on_message = on_update, .silence = [](const v1::ConnectUpdate& update) {
         return update.has_queued() ? absl::Milliseconds(50) : absl::InfiniteDuration();
       }});
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(ready.has_value());
  EXPECT_THAT(failures, ElementsAre(mute.address() + ": the broker says nothing any more"));
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
  const absl::Status status =
      client.Stream(&Stub::Connect, v1::ConnectRequest(), absl::Minutes(1),
                    {.on_message = [&](const v1::ConnectUpdate&) { return ++seen < 3; }});
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(seen, 3);
}

}  // namespace
}  // namespace werkplek
