// Which broker is asked, what it is told of the person, and how calls end, against real servers.
#include "gateway/link/broker_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "common/base/retry_after.h"
#include "tests/support/channel_arguments.h"
#include "tests/unit/gateway/link/link_harness.h"

namespace werkplek {
namespace {

using testing::HasSubstr;
using Pools = absl::StatusOr<v1::ListPoolsResponse>;

void AskForPools(BrokerLines& lines, CalledFor whom, std::function<void(Pools)> answered) {
  lines.Ask<v1::ListPoolsResponse>(
      std::move(whom),
      [request = v1::ListPoolsRequest()](const BrokerLines::Line& line,
                                         grpc::ClientContext* context, auto* response,
                                         BrokerLines::Done done) {
        line.session->async()->ListPools(context, &request, response, std::move(done));
      },
      std::move(answered));
}

// The answer.
Pools Ask(BrokerLines& lines, CalledFor whom = {}) {
  const auto found = std::make_shared<std::promise<Pools>>();
  AskForPools(lines, std::move(whom), [found](Pools pools) { found->set_value(std::move(pools)); });
  return found->get_future().get();
}

// The address of the broker that answered.
std::string WhoAnswers(BrokerLines& lines) {
  const Pools pools = Ask(lines);
  EXPECT_TRUE(pools.ok()) << pools.status();
  return pools.ok() ? pools->pools(0).description() : "";
}

class BrokerLinesTest : public LinkTest {
 protected:
  std::unique_ptr<BrokerLines> Lines(const std::vector<std::string>& brokers,
                                     absl::Duration deadline = kDeadline) const {
    return std::make_unique<BrokerLines>(brokers, Credentials(), deadline);
  }
  std::unique_ptr<Broker> NewBroker(grpc::StatusCode code = grpc::StatusCode::OK) const {
    return std::make_unique<Broker>(broker_files_, code);
  }
  // Nobody is there any more.
  std::string AddressOfNobody() const { return NewBroker()->address(); }
};

TEST_F(BrokerLinesTest, WhoeverWaitsOnAFrozenBrokerIsToldAtLast) {
  const grpc::ChannelArguments made = LineArguments();
  // broker/rpc/listener.h: least_ping_interval.
  EXPECT_GE(ArgumentOf(made, GRPC_ARG_KEEPALIVE_TIME_MS), 20'000);
  EXPECT_LE(ArgumentOf(made, GRPC_ARG_KEEPALIVE_TIME_MS), 25'000);
  EXPECT_EQ(ArgumentOf(made, GRPC_ARG_KEEPALIVE_TIMEOUT_MS), 3'000);
  EXPECT_EQ(ArgumentOf(made, GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA), 0) << "as often as it takes";
}

TEST_F(BrokerLinesTest, TheNearestIsAskedWhileItAnswers) {
  const auto near = NewBroker();
  const auto far = NewBroker();
  const auto lines = Lines({near->address(), far->address()});
  EXPECT_EQ(lines->size(), 2u);
  EXPECT_EQ(WhoAnswers(*lines), near->address());
  EXPECT_EQ(WhoAnswers(*lines), near->address());
  EXPECT_TRUE(far->asked().empty());
}

TEST_F(BrokerLinesTest, WhenOneDoesNotAnswerTheNextIsAskedFromThenOn) {
  const auto lame = NewBroker(grpc::StatusCode::UNAVAILABLE);
  const auto good = NewBroker();
  const auto lines = Lines({AddressOfNobody(), lame->address(), good->address()});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(WhoAnswers(*lines), good->address());
  EXPECT_EQ(lame->asked().size(), 1u);
  EXPECT_EQ(good->asked().size(), 3u);
  EXPECT_EQ(lines->Nearest().broker, good->address());
}

TEST_F(BrokerLinesTest, AfterTheLastTheFirstIsAskedAgain) {
  const auto first = NewBroker();
  auto last = NewBroker();
  const auto lines = Lines({first->address(), last->address()});
  lines->PassOver(lines->Nearest());
  EXPECT_EQ(WhoAnswers(*lines), last->address());
  last = nullptr;
  EXPECT_EQ(WhoAnswers(*lines), first->address());
}

TEST_F(BrokerLinesTest, OneThatIsSilentIsLeftAfterTheDeadline) {
  const auto silent = NewBroker();
  silent->Hold();
  const auto good = NewBroker();
  // Long enough for the good one's handshake on a slow machine.
  const auto lines = Lines({silent->address(), good->address()}, absl::Seconds(2));
  EXPECT_EQ(WhoAnswers(*lines), good->address());
  EXPECT_EQ(silent->WaitForAsked(1).size(), 1u);
}

TEST_F(BrokerLinesTest, ARefusalIsGivenAsItIsAndNobodyElseIsAsked) {
  const auto refuses = NewBroker(grpc::StatusCode::RESOURCE_EXHAUSTED);
  const auto other = NewBroker();
  const auto lines = Lines({refuses->address(), other->address()});
  absl::Status status = Ask(*lines).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_EQ(status.message(), "as told");
  EXPECT_EQ(RetryDelayOf(status), absl::ZeroDuration());
  refuses->SetRetryAfter("1500");
  status = Ask(*lines).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_EQ(RetryDelayOf(status), absl::Milliseconds(1500));
  EXPECT_TRUE(other->asked().empty());
}

TEST_F(BrokerLinesTest, ATimeThatIsNoneIsNotWaited) {
  const auto refuses = NewBroker(grpc::StatusCode::RESOURCE_EXHAUSTED);
  const auto lines = Lines({refuses->address()});
  for (const char* odd : {"soon", "99999999999999999999"}) {
    refuses->SetRetryAfter(odd);
    EXPECT_EQ(RetryDelayOf(Ask(*lines).status()), absl::ZeroDuration()) << odd;
  }
  EXPECT_EQ(RetryDelayOf(absl::OkStatus()), absl::ZeroDuration());
}

TEST_F(BrokerLinesTest, ABrokerLearnsForWhomTheCallIs) {
  const auto broker = NewBroker();
  const auto lines = Lines({broker->address()});
  ASSERT_TRUE(Ask(*lines, {Secret("T"), "198.51.100.7:51234"}).ok());
  ASSERT_TRUE(Ask(*lines, {Secret("T"), ""}).ok());
  ASSERT_TRUE(Ask(*lines, {{}, "198.51.100.7:51234"}).ok());
  ASSERT_TRUE(Ask(*lines).ok());
  const auto asked = broker->asked();
  ASSERT_EQ(asked.size(), 4u);
  EXPECT_EQ(asked[0].authorization, "Bearer T");
  EXPECT_EQ(asked[0].browser_address, "198.51.100.7:51234");
  EXPECT_EQ(asked[1].authorization, "Bearer T");
  EXPECT_EQ(asked[1].browser_address, "");
  EXPECT_EQ(asked[2].authorization, "");
  EXPECT_EQ(asked[2].browser_address, "198.51.100.7:51234");
  EXPECT_EQ(asked[3].authorization, "");
  EXPECT_EQ(asked[3].browser_address, "");
}

TEST_F(BrokerLinesTest, TheNextBrokerLearnsItToo) {
  const auto lame = NewBroker(grpc::StatusCode::UNAVAILABLE);
  const auto good = NewBroker();
  const auto lines = Lines({lame->address(), good->address()});
  ASSERT_TRUE(Ask(*lines, {Secret("T"), "198.51.100.7:51234"}).ok());
  ASSERT_EQ(good->asked().size(), 1u);
  EXPECT_EQ(good->asked()[0].authorization, "Bearer T");
  EXPECT_EQ(good->asked()[0].browser_address, "198.51.100.7:51234");
}

TEST_F(BrokerLinesTest, WithAllAwayTheAnswerNamesTheLastOne) {
  const std::string last = AddressOfNobody();
  const auto lines = Lines({AddressOfNobody(), last});
  const absl::Status status = Ask(*lines).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(last + ": "));
}

TEST_F(BrokerLinesTest, OnlyTheBrokerThatIsAskedIsPassedOver) {
  const auto lines = Lines({"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"});
  const BrokerLines::Line& first = lines->Nearest();
  EXPECT_EQ(first.broker, "127.0.0.1:1");
  lines->PassOver(first);
  lines->PassOver(first);
  EXPECT_EQ(lines->Nearest().broker, "127.0.0.1:2");
  lines->PassOver(lines->Nearest());
  lines->PassOver(lines->Nearest());
  EXPECT_EQ(lines->Nearest().broker, "127.0.0.1:1");
}

TEST_F(BrokerLinesTest, GoingEndsWhatIsUnderWayAndNoCallbackComesAfterwards) {
  constexpr int kCalls = 20;
  const auto silent = NewBroker();
  silent->Hold();
  auto lines = Lines({silent->address(), AddressOfNobody()});
  std::atomic<int> cancelled = 0;
  std::atomic<int> other = 0;
  for (int i = 0; i < kCalls; ++i) {
    AskForPools(*lines, {}, [&](const Pools& pools) {
      ++(absl::IsCancelled(pools.status()) ? cancelled : other);
    });
  }
  // Some are with the broker, others perhaps on their way.
  ASSERT_FALSE(silent->WaitForAsked(1).empty());
  lines = nullptr;
  EXPECT_EQ(cancelled, kCalls);
  EXPECT_EQ(other, 0);
}

TEST_F(BrokerLinesTest, AStreamIsCancelledToo) {
  const auto silent = NewBroker();
  silent->Hold();
  auto lines = Lines({silent->address()});
  auto context = std::make_unique<grpc::ClientContext>();
  ASSERT_TRUE(lines->Begin(*context, {Secret("T"), ""}));
  const v1::ListPoolsRequest request;
  v1::ListPoolsResponse response;
  std::atomic<bool> ended = false;
  BrokerLines* const given = lines.get();
  given->Nearest().session->async()->ListPools(
      context.get(), &request, &response, [&](const grpc::Status& status) {
        EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
        ended = true;
        given->End(std::move(context));
      });
  ASSERT_EQ(silent->WaitForAsked(1).size(), 1u);
  EXPECT_EQ(silent->asked()[0].authorization, "Bearer T");
  lines = nullptr;
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace werkplek
