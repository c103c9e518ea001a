// The gateway's way to the brokers, against real servers that say what the test tells them to.
#include "gateway/link/broker_link.h"

#include <gtest/gtest.h>

#include <future>

#include "tests/unit/gateway/link/link_harness.h"

namespace werkplek {
namespace {

class GatewayLinkTest : public LinkTest {
 protected:
  std::unique_ptr<GatewayLink> Link(std::vector<std::string> brokers) {
    GatewayLinkSettings settings;
    settings.brokers = std::move(brokers);
    settings.announcement.set_site("a");
    settings.announcement.add_addresses("192.0.2.1:7460");
    settings.announce_interval = absl::Milliseconds(50);
    return std::make_unique<GatewayLink>(std::move(settings), Credentials(), [] { return 7u; });
  }
  static absl::StatusOr<v1::FindDisplayResponse> Find(GatewayLink& link) {
    v1::FindDisplayRequest request;
    request.set_desktop("kantoor-1");
    // The answer's thread may still be in it when this one goes on.
    const auto found = std::make_shared<std::promise<absl::StatusOr<v1::FindDisplayResponse>>>();
    link.Find(request, [found](auto answer) { found->set_value(std::move(answer)); });
    return found->get_future().get();
  }
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
