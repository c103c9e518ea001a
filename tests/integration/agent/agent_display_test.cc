// Tickets and displays through a whole agent: real TLS, real relay, the real core.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/integration/agent/agent_harness.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

class AgentDisplayTest : public AgentTest {
 protected:
  void SetUp() override {
    StartAgent();
    StartSession();
  }
  void TearDown() override {
    for (const int descriptor : open_) close(descriptor);
  }

  int Open(const std::string& client, const std::string& ticket) {
    const absl::StatusOr<int> opened = TryOpen(client, ticket);
    EXPECT_TRUE(opened.ok()) << opened.status();
    open_.push_back(opened.value_or(-1));
    return open_.back();
  }

  void ExpectRefused(const absl::StatusOr<int>& opened, absl::StatusCode code,
                     const std::string& reason) {
    EXPECT_EQ(opened.status().code(), code) << opened.status();
    EXPECT_THAT(opened.status().message(), HasSubstr(reason));
    if (opened.ok()) close(*opened);
  }

  std::vector<int> open_;
};

TEST_F(AgentDisplayTest, ATicketOpensTheDisplayAndTheViewerIsReported) {
  GrantAndWait(Grant("t1", "tc-1"));
  const int viewer = Open("tc-1", "t1");
  EXPECT_TRUE(WaitForViewer(v1::VIEWER_CONNECTED));
  const int display = hypervisor_.TakeDisplay("kantoor-1");
  ASSERT_GE(display, 0);
  ASSERT_EQ(write(viewer, "keys", 4), 4);
  EXPECT_EQ(ReadSome(display, 4), "keys");
  ASSERT_EQ(write(display, "pixels", 6), 6);
  EXPECT_EQ(ReadSome(viewer, 6), "pixels");
  // QEMU closes when its viewer does.
  close(open_.back());
  open_.clear();
  EXPECT_EQ(ReadSome(display, 1), "");
  close(display);
  EXPECT_TRUE(WaitForViewer(v1::VIEWER_GONE));
}

TEST_F(AgentDisplayTest, EveryWrongTicketGetsItsReason) {
  broker_->Send(Command(v1::COMMAND_START, "kantoor-2"));
  ASSERT_TRUE(broker_->WaitForDesktop(
      "kantoor-2", [](const v1::DesktopReport& report) { return report.has_proof(); }));
  GrantAndWait(Grant("t1", "tc-1"));
  using Code = absl::StatusCode;
  ExpectRefused(TryOpen("tc-1", "guess"), Code::kPermissionDenied, "not one of this desktop's");
  ExpectRefused(TryOpen("tc-2", "t1"), Code::kPermissionDenied, "another machine");
  ExpectRefused(TryOpen("tc-1", "t1", "kantoor-2"), Code::kPermissionDenied,
                "not one of this desktop's");
  ExpectRefused(TryOpen("tc-1", "t1", "kantoor-9"), Code::kNotFound, "no such desktop");
  Open("tc-1", "t1");
  ExpectRefused(TryOpen("tc-1", "t1"), Code::kPermissionDenied, "used already");
}

TEST_F(AgentDisplayTest, ALateTicketIsLate) {
  broker_->Send(Grant("t1", "tc-1", 1));
  // It was known, and is no longer open.
  ASSERT_TRUE(broker_->WaitForDesktop("kantoor-1", [this](const v1::DesktopReport& report) {
    return report.open_tickets_size() == 0 && hypervisor_.Count(FakeHypervisor::Call::kRetag) >= 2;
  }));
  GrantAndWait(Grant("t2", "tc-1"));
  broker_->Send(Grant("t3", "tc-1", 1));
  ASSERT_TRUE(broker_->WaitForDesktop("kantoor-1", [](const v1::DesktopReport& report) {
    return report.open_tickets_size() == 0;
  }));
  ExpectRefused(TryOpen("tc-1", "t3"), absl::StatusCode::kPermissionDenied, "too late");
  ExpectRefused(TryOpen("tc-1", "t2"), absl::StatusCode::kPermissionDenied, "took its place");
}

TEST_F(AgentDisplayTest, OfAHundredAtOnceExactlyOneGetsIn) {
  GrantAndWait(Grant("t1", "tc-1"));
  constexpr int kAttempts = 100;
  std::vector<std::unique_ptr<RelayClient>> clients;
  // Each is a viewer of its own.
  for (int i = 0; i < kAttempts; ++i) clients.push_back(Viewer("tc-1", Target("t1")));
  std::vector<std::thread> threads;
  std::atomic<int> opened{0};
  std::atomic<int> refused{0};
  for (int t = 0; t < 10; ++t) {
    threads.emplace_back([&, t] {
      for (int i = t; i < kAttempts; i += 10) {
        const absl::StatusOr<int> got = clients[static_cast<size_t>(i)]->Open(kTestDeadline);
        if (got.ok()) ++opened;
        if (absl::IsPermissionDenied(got.status())) ++refused;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(opened, 1);
  EXPECT_EQ(refused, kAttempts - 1);
  EXPECT_EQ(hypervisor_.Count(FakeHypervisor::Call::kOpenDisplay), 1);
}

TEST_F(AgentDisplayTest, TheExtraChannelsOfOneViewerShareItsTicket) {
  GrantAndWait(Grant("t1", "tc-1"));
  const std::unique_ptr<RelayClient> viewer = Viewer("tc-1", Target("t1"));
  for (int i = 0; i < 5; ++i) {
    const absl::StatusOr<int> channel = viewer->Open(kTestDeadline);
    ASSERT_TRUE(channel.ok()) << channel.status();
    open_.push_back(*channel);
  }
  EXPECT_EQ(viewer->channels(), 5);
  EXPECT_EQ(hypervisor_.Count(FakeHypervisor::Call::kOpenDisplay), 5);
}

TEST_F(AgentDisplayTest, ATakeoverCutsTheFirstDisplay) {
  GrantAndWait(Grant("t1", "tc-1"));
  const int first = Open("tc-1", "t1");
  EXPECT_TRUE(WaitForViewer(v1::VIEWER_CONNECTED));
  GrantAndWait(Grant("t2", "tc-2"));
  EXPECT_EQ(ReadSome(first, 1), "");
  const int second = Open("tc-2", "t2");
  EXPECT_TRUE(WaitForViewer(v1::VIEWER_CONNECTED));
  // Beside the first, whose QEMU end the fake still holds.
  close(hypervisor_.TakeDisplay("kantoor-1"));
  const int display = hypervisor_.TakeDisplay("kantoor-1");
  ASSERT_EQ(write(second, "x", 1), 1);
  EXPECT_EQ(ReadSome(display, 1), "x");
  close(display);
}

TEST_F(AgentDisplayTest, TheDisplayIsClosedOnCommandAndAtTheEndOfTheSession) {
  for (const v1::CommandVerb verb : {v1::COMMAND_CLOSE_DISPLAY, v1::COMMAND_END_SESSION}) {
    const std::string ticket = v1::CommandVerb_Name(verb);
    GrantAndWait(Grant(ticket, "tc-1"));
    const int viewer = Open("tc-1", ticket);
    ASSERT_TRUE(WaitForViewer(v1::VIEWER_CONNECTED));
    broker_->Send(Command(verb));
    EXPECT_EQ(ReadSome(viewer, 1), "") << ticket;
  }
  EXPECT_TRUE(WaitForViewer(v1::VIEWER_NONE));
}

TEST_F(AgentDisplayTest, ADisplayThatCannotBeOpenedIsSaidSo) {
  GrantAndWait(Grant("t1", "tc-1"));
  hypervisor_.FailNext(FakeHypervisor::Call::kOpenDisplay, "kantoor-1",
                       absl::InternalError("no display"));
  ExpectRefused(TryOpen("tc-1", "t1"), absl::StatusCode::kUnavailable, "cannot be opened");
  // The ticket is spent; the next one works.
  GrantAndWait(Grant("t2", "tc-1"));
  Open("tc-1", "t2");
  EXPECT_TRUE(WaitForViewer(v1::VIEWER_CONNECTED));
}

TEST_F(AgentDisplayTest, TheEndOfTheAgentCutsDisplaysAndLeavesDesktops) {
  GrantAndWait(Grant("t1", "tc-1"));
  const int viewer = Open("tc-1", "t1");
  runner_.reset();
  EXPECT_EQ(ReadSome(viewer, 1), "");
  const auto domains = hypervisor_.List();
  ASSERT_TRUE(domains.ok());
  ASSERT_EQ(domains->size(), 1u);
  EXPECT_EQ((*domains)[0].power, DomainPower::kRunning);
}

}  // namespace
}  // namespace werkplek
