// What the portal refuses since there is too much of it, and what a browser is told.
#include <signal.h>

#include <algorithm>

#include "common/base/log.h"
#include "tests/unit/gateway/portal/portal_harness.h"

namespace werkplek {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

// What the program logs while one lives.
class LoggedLines {
 public:
  LoggedLines() {
    SetLogSink([this](const std::string& line) {
      MutexLock lock(mutex_);
      lines_.push_back(line);
    });
  }
  ~LoggedLines() { SetLogSink(nullptr); }
  LoggedLines(const LoggedLines&) = delete;
  LoggedLines& operator=(const LoggedLines&) = delete;

  long With(const std::string& text) {
    MutexLock lock(mutex_);
    return std::count_if(lines_.begin(), lines_.end(), [&text](const std::string& line) {
      return line.find(text) != std::string::npos;
    });
  }

 private:
  Mutex mutex_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
};

class PortalLimitsTest : public PortalTest {
 protected:
  HttpAnswer SignIn(const std::string& request_id) {
    return Ask(
        Post("/api/sign-in",
             {{"request_id", request_id}, {"user", "jan"}, {"password", "geheim"}, {"code", "1"}}));
  }
  HttpAnswer List() { return Ask(Request("GET /api/pools", kCookie)); }
  static void ExpectNetworkBusy(const HttpAnswer& answer) {
    EXPECT_THAT(answer.head, StartsWith("HTTP/1.1 429 "));
    EXPECT_THAT(answer.head, HasSubstr("Retry-After: 5\r\n"));
    EXPECT_EQ(json::parse(answer.body)["error"], "network-busy");
  }
};

TEST_F(PortalLimitsTest, OneAddressCannotUseUpTheGatewaysSignIns) {
  portal_options_.sign_ins_per_address = {.per_second = 0.001, .burst = 2};
  StartPortal();
  EXPECT_THAT(SignIn("r1").head, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(SignIn("r2").head, StartsWith("HTTP/1.1 200"));
  const HttpAnswer refused = SignIn("r3");
  EXPECT_THAT(refused.head, StartsWith("HTTP/1.1 429 "));
  EXPECT_THAT(refused.head, HasSubstr("Retry-After: 1000\r\n")) << "until there is one again";
  EXPECT_EQ(json::parse(refused.body)["error"], "network-busy");
  EXPECT_THAT(List().head, StartsWith("HTTP/1.1 200")) << "who is signed in works on";
  EXPECT_EQ(broker_.WaitForSaid(3).size(), 3u) << "two sign-ins and a list";
  EXPECT_THAT(Scrape(),
              HasSubstr("werkplek_gateway_portal_refusals_total{limit=\"sign-ins\"} 1\n"));
}

TEST_F(PortalLimitsTest, OneAddressCannotHaveTheBrokersAskedAboutAnyCookie) {
  portal_options_.requests_per_address = {.per_second = 0.5, .burst = 2};
  StartPortal();
  EXPECT_THAT(List().head, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(List().head, StartsWith("HTTP/1.1 200"));
  ExpectNetworkBusy(List());
  ExpectNetworkBusy(Ask(Post("/api/sign-out", {{"request_id", "r1"}}, kCookie)));
  ExpectNetworkBusy(Ask(Post("/api/end", {{"request_id", "r1"}, {"session", "s1"}}, kCookie)));
  ExpectNetworkBusy(Ask(Upgrade()));
  EXPECT_EQ(broker_.WaitForSaid(2).size(), 2u) << "nothing beyond the limit was asked";
  EXPECT_THAT(Scrape(),
              AllOf(HasSubstr("werkplek_gateway_portal_refusals_total{limit=\"requests\"} 4\n"),
                    HasSubstr("werkplek_gateway_displays_total{answer=\"too-many\"} 1\n")));
}

TEST_F(PortalLimitsTest, WhatAsksNoBrokerIsNotCounted) {
  portal_options_.requests_per_address = {.per_second = 0.001, .burst = 1};
  StartPortal();
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(Ask(Request("GET /", "")).head, StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(Ask(Request("GET /api/pools", "")).head, StartsWith("HTTP/1.1 401"));
    EXPECT_THAT(Ask(Post("/api/sign-in", {{"user", 1}})).head, StartsWith("HTTP/1.1 400"));
  }
  EXPECT_THAT(List().head, StartsWith("HTTP/1.1 200"));
}

TEST_F(PortalLimitsTest, ATownHallBehindOneAddressDoesNotMeetTheDefaults) {
  constexpr int kPeople = 200;
  RawClient line = Browser();
  // Each person mistypes once, signs in, and gets the list twice.
  for (int i = 0; i < 2 * kPeople; ++i) {
    ASSERT_TRUE(line.Send(Post("/api/sign-in", {{"request_id", "r"},
                                                {"user", "jan"},
                                                {"password", i % 2 ? "geheim" : "x"},
                                                {"code", ""}})));
    ASSERT_THAT(Receive(line).head, StartsWith(i % 2 ? "HTTP/1.1 200" : "HTTP/1.1 401")) << i;
    ASSERT_TRUE(line.Send(Request("GET /api/pools", kCookie)));
    ASSERT_THAT(Receive(line).head, StartsWith("HTTP/1.1 200")) << i;
  }
}

TEST_F(PortalLimitsTest, ConnectionsOfOneAddressAreLimitedUntilTheyShowADesktop) {
  portal_options_.max_waiting_per_address = 2;
  StartPortal();
  broker_.updates = {ReadyUpdate()};
  RawClient shown = Opening();
  EXPECT_EQ(Frame(shown), Text(kReadyText));
  const Descriptor display = TakeDisplay();
  RawClient second = Browser();
  RawClient third = Browser();
  EXPECT_TRUE(second.connected() && third.connected());
  // OpenSSL's own socket writes raise it when the other side is gone.
  signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(portal_->turned_away(), 0u);
  EXPECT_FALSE(Browser().connected()) << "one too many from this address";
  EXPECT_EQ(portal_->turned_away(), 1u);
}

TEST_F(PortalLimitsTest, ABrowserThatHasItsPageIsSoonInNobodysWay) {
  portal_options_.max_waiting_per_address = 1;
  portal_options_.request_deadline = absl::Minutes(10);
  portal_options_.idle_deadline = absl::Milliseconds(20);
  StartPortal();
  RawClient first = Browser();
  ASSERT_TRUE(first.Send(Request("GET /", "")));
  EXPECT_THAT(Receive(first).head, StartsWith("HTTP/1.1 200"));
  EXPECT_TRUE(AtEnd(first.socket()));
  EXPECT_TRUE(Browser().connected());
}

TEST_F(PortalLimitsTest, AFloodOfRefusedConnectionsIsCountedAndNoFloodOfLines) {
  portal_options_.max_waiting_per_address = 1;
  StartPortal();
  LoggedLines lines;
  signal(SIGPIPE, SIG_IGN);
  const RawClient waiting = Browser();
  const absl::Time start = absl::Now();
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(Browser().connected());
  EXPECT_EQ(portal_->turned_away(), 20u);
  EXPECT_GE(lines.With("event=connection-refused port=portal address=127.0.0.1"), 1);
  EXPECT_LE(lines.With("event=connection-refused"), 1 + absl::ToInt64Seconds(absl::Now() - start));
  EXPECT_THAT(Scrape(),
              HasSubstr("werkplek_gateway_portal_refusals_total{limit=\"connections\"} 20\n"));
}

TEST_F(PortalLimitsTest, AFullGatewaySaysSoAndWhenToTryAgain) {
  portal_options_.max_displays = 1;
  StartPortal();
  broker_.updates = {ReadyUpdate()};
  RawClient first = Opening();
  EXPECT_EQ(Frame(first), Text(kReadyText));
  RawClient second = Opening();
  EXPECT_EQ(Frame(second),
            Text(R"({"error":"gateway-full","message":"this gateway shows as many displays as )"
                 R"(it may","retry_after_s":30,"stage":"failed"})"));
  EXPECT_EQ(displays_, 1u);
  EXPECT_THAT(Scrape(), HasSubstr("werkplek_gateway_displays_total{answer=\"full\"} 1\n"));
}

}  // namespace
}  // namespace werkplek
