#include "agent/link/broker_link.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "broker/rpc/settings.h"
#include "common/base/loop_executor.h"
#include "common/base/mutex.h"
#include "tests/support/loopback_socket.h"
#include "werkplek/v1/agent.grpc.pb.h"

namespace werkplek {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(20);
// What the broker's agent port takes at most.
const int kAgentMessageBytes = RpcSettings().agent_message_bytes;

// Things that happened, in order, for a test to wait for.
class Happenings {
 public:
  void Add(std::string what) {
    MutexLock lock(mutex_);
    happened_.push_back(std::move(what));
    changed_.SignalAll();
  }
  // The next one; "nothing" when the deadline passes.
  std::string Next() {
    MutexLock lock(mutex_);
    while (happened_.empty()) {
      if (!changed_.WaitFor(mutex_, kDeadline)) return "nothing";
    }
    std::string first = std::move(happened_.front());
    happened_.pop_front();
    return first;
  }
  // Drops everything up to and with `what`.
  bool WaitFor(const std::string& what) {
    for (std::string next = Next(); next != "nothing"; next = Next()) {
      if (next == what) return true;
    }
    return false;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::deque<std::string> happened_ ABSL_GUARDED_BY(mutex_);
};

// A broker that hears each report; tells the host a command for each, until a report says "hush".
class HearingBroker : public v1::AgentService::Service {
 public:
  explicit HearingBroker(Happenings* happenings, int port = 0) : happenings_(happenings) {
    grpc::ServerBuilder builder;
    // As the broker's agent port.
    builder.SetMaxReceiveMessageSize(kAgentMessageBytes);
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~HearingBroker() override { server_->Shutdown(absl::ToChronoTime(absl::Now())); }

  grpc::Status Attach(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::AgentCommand, v1::AgentReport>* stream) override {
    happenings_->Add("attached");
    bool hushed = false;
    v1::AgentReport report;
    while (stream->Read(&report)) {
      happenings_->Add(absl::StrCat("report ", report.sequence()));
      if (report.desktops_size() > 0) {
        happenings_->Add(absl::StrCat(report.desktops_size(), " desktops, the last ",
                                      report.desktops().rbegin()->desktop()));
      }
      if (report.host() == "leave") return grpc::Status::OK;
      if (report.host() == "hush") hushed = true;
      if (hushed) continue;
      v1::AgentCommand command;
      command.set_verb(v1::COMMAND_HEARD);
      command.set_heard_sequence(report.sequence());
      stream->Write(command);
    }
    return grpc::Status::OK;
  }

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }
  int port() const { return port_; }

 private:
  Happenings* const happenings_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// A broker that does not lead, and says who does.
class FollowingBroker : public v1::AgentService::Service {
 public:
  FollowingBroker(Happenings* happenings, const std::string& leader)
      : happenings_(happenings), leader_(leader) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FollowingBroker() override { server_->Shutdown(absl::ToChronoTime(absl::Now())); }

  grpc::Status Attach(grpc::ServerContext* context,
                      grpc::ServerReaderWriter<v1::AgentCommand, v1::AgentReport>*) override {
    happenings_->Add("sent on");
    MutexLock lock(mutex_);
    context->AddTrailingMetadata("leader-agent-address", leader_);
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "this broker does not lead");
  }

  void Names(const std::string& leader) {
    MutexLock lock(mutex_);
    leader_ = leader;
  }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

 private:
  Happenings* const happenings_;
  Mutex mutex_;
  std::string leader_ ABSL_GUARDED_BY(mutex_);
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

class BrokerLinkTest : public testing::Test {
 protected:
  std::unique_ptr<BrokerLink> Link(std::vector<std::string> brokers) {
    // Brokers that are well may be slow here.
    return Link(std::move(brokers), kDeadline, kDeadline);
  }
  std::unique_ptr<BrokerLink> Link(std::vector<std::string> brokers, absl::Duration answer_limit,
                                   absl::Duration silence_limit) {
    BrokerLinkSettings settings;
    settings.brokers = std::move(brokers);
    settings.first_pause = absl::Milliseconds(10);
    settings.last_pause = absl::Milliseconds(100);
    settings.answer_limit = answer_limit;
    settings.silence_limit = silence_limit;
    auto link = std::make_unique<BrokerLink>(
        settings, grpc::InsecureChannelCredentials(), &executor_,
        BrokerLinkListener{[this] { mine_.Add("up"); },
                           [this](const absl::Status&) { mine_.Add("down"); },
                           [this](const v1::AgentCommand& command) {
                             mine_.Add(absl::StrCat("heard ", command.heard_sequence()));
                           }});
    link->Start();
    return link;
  }

  static v1::AgentReport Report(uint64_t sequence, const std::string& host = "hv-a1") {
    v1::AgentReport report;
    report.set_host(host);
    report.set_sequence(sequence);
    return report;
  }

  Happenings brokers_;
  Happenings mine_;
  LoopExecutor executor_{"test"};
};

TEST_F(BrokerLinkTest, ReportsGoUpAndCommandsComeDown) {
  HearingBroker broker(&brokers_);
  const auto link = Link({broker.address()});
  EXPECT_EQ(mine_.Next(), "up");
  link->Send(Report(1));
  EXPECT_EQ(mine_.Next(), "heard 1");
  link->Send(Report(2));
  EXPECT_EQ(mine_.Next(), "heard 2");
}

TEST_F(BrokerLinkTest, ABrokerThatIsNotThereIsPassedOver) {
  HearingBroker broker(&brokers_);
  const auto link = Link({"127.0.0.1:1", broker.address()});
  ASSERT_TRUE(mine_.WaitFor("down"));
  ASSERT_TRUE(mine_.WaitFor("up"));
  link->Send(Report(7));
  EXPECT_TRUE(mine_.WaitFor("heard 7"));
}

TEST_F(BrokerLinkTest, ComesBackAfterTheBrokerLeft) {
  HearingBroker broker(&brokers_);
  const auto link = Link({broker.address()});
  EXPECT_EQ(mine_.Next(), "up");
  link->Send(Report(1));
  EXPECT_EQ(mine_.Next(), "heard 1");
  link->Send(Report(2, "leave"));
  EXPECT_EQ(mine_.Next(), "down");
  EXPECT_EQ(mine_.Next(), "up");
  link->Send(Report(3));
  EXPECT_EQ(mine_.Next(), "heard 3");
}

TEST_F(BrokerLinkTest, GoesToTheLeaderThatAFollowerNames) {
  HearingBroker leader(&brokers_);
  Happenings follower_saw;
  FollowingBroker follower(&follower_saw, leader.address());
  const auto link = Link({follower.address()});
  ASSERT_TRUE(mine_.WaitFor("down"));
  EXPECT_EQ(follower_saw.Next(), "sent on");
  ASSERT_TRUE(mine_.WaitFor("up"));
  link->Send(Report(1));
  EXPECT_TRUE(mine_.WaitFor("heard 1"));
  // The leader goes: once more there, then the list again.
  link->Send(Report(2, "leave"));
  ASSERT_TRUE(mine_.WaitFor("down"));
  ASSERT_TRUE(mine_.WaitFor("up"));
  link->Send(Report(3));
  EXPECT_TRUE(mine_.WaitFor("heard 3"));
}

TEST_F(BrokerLinkTest, AGoneLeaderSendsItBackToItsList) {
  Happenings follower_saw;
  FollowingBroker follower(&follower_saw, "127.0.0.1:1");
  HearingBroker leader(&brokers_);
  const auto link = Link({follower.address(), leader.address()});
  ASSERT_TRUE(brokers_.WaitFor("attached"));
  link->Send(Report(5));
  EXPECT_TRUE(mine_.WaitFor("heard 5"));
}

TEST_F(BrokerLinkTest, BrokersThatSendItRoundAreNotFollowedForEver) {
  Happenings first_saw;
  Happenings second_saw;
  FollowingBroker first(&first_saw, "");
  FollowingBroker second(&second_saw, first.address());
  first.Names(second.address());
  HearingBroker leader(&brokers_);
  const auto link = Link({first.address(), leader.address()});
  EXPECT_TRUE(brokers_.WaitFor("attached"));
}

TEST_F(BrokerLinkTest, WhatIsNoAddressIsNotFollowed) {
  Happenings follower_saw;
  FollowingBroker follower(&follower_saw, "unix:///tmp/somewhere");
  HearingBroker leader(&brokers_);
  const auto link = Link({follower.address(), leader.address()});
  EXPECT_TRUE(brokers_.WaitFor("attached"));
}

TEST_F(BrokerLinkTest, OnlyTheNewestReportWaits) {
  HearingBroker broker(&brokers_);
  const auto link = Link({broker.address()});
  EXPECT_EQ(mine_.Next(), "up");
  constexpr uint64_t kLast = 20'000;
  for (uint64_t sequence = 1; sequence <= kLast; ++sequence) link->Send(Report(sequence));
  // The last one arrives, and many before it did not have to.
  size_t arrived = 0;
  const std::string last = absl::StrCat("report ", kLast);
  for (std::string next = brokers_.Next(); next != last; next = brokers_.Next()) {
    ASSERT_NE(next, "nothing");
    ++arrived;
  }
  EXPECT_LT(arrived, kLast);
}

TEST_F(BrokerLinkTest, ALeaderThatFallsSilentIsLeftForAnother) {
  Happenings other_saw;
  HearingBroker leader(&brokers_);
  HearingBroker other(&other_saw);
  const auto link = Link({leader.address(), other.address()}, kDeadline, absl::Milliseconds(200));
  EXPECT_EQ(mine_.Next(), "up");
  link->Send(Report(1));
  EXPECT_EQ(mine_.Next(), "heard 1");
  // It goes on reading, and its kernel and its gRPC are well.
  link->Send(Report(2, "hush"));
  EXPECT_EQ(mine_.Next(), "down");
  EXPECT_EQ(mine_.Next(), "up");
  // Straight there: the silent one is not tried again first.
  EXPECT_EQ(other_saw.Next(), "attached");
  link->Send(Report(3));
  EXPECT_TRUE(mine_.WaitFor("heard 3"));
}

TEST_F(BrokerLinkTest, ALeaderThatWasOnlySlowIsFoundAgain) {
  HearingBroker leader(&brokers_);
  Happenings follower_saw;
  FollowingBroker follower(&follower_saw, leader.address());
  const auto link =
      Link({leader.address(), follower.address()}, kDeadline, absl::Milliseconds(200));
  EXPECT_EQ(mine_.Next(), "up");
  link->Send(Report(1));
  EXPECT_EQ(mine_.Next(), "heard 1");
  link->Send(Report(2, "hush"));
  EXPECT_EQ(follower_saw.Next(), "sent on");
  ASSERT_TRUE(brokers_.WaitFor("report 2"));
  ASSERT_TRUE(brokers_.WaitFor("attached"));
  link->Send(Report(3));
  EXPECT_TRUE(mine_.WaitFor("heard 3"));
}

TEST_F(BrokerLinkTest, ABrokerThatTakesConnectionsOnlyIsPassedOver) {
  const SilentPort still;
  HearingBroker other(&brokers_);
  // By itself gRPC gives up after 20 s.
  const absl::Time begin = absl::Now();
  const auto link = Link({still.address(), other.address()}, absl::Milliseconds(200), kDeadline);
  ASSERT_TRUE(brokers_.WaitFor("attached"));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(10));
  link->Send(Report(1));
  EXPECT_TRUE(mine_.WaitFor("heard 1"));
}

TEST_F(BrokerLinkTest, AConnectionIsNotWaitedForLong) {
  const SilentPort still;
  HearingBroker other(&brokers_);
  const absl::Time begin = absl::Now();
  const auto link = Link({still.address(), other.address()});
  ASSERT_TRUE(brokers_.WaitFor("attached"));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(10));
}

// All fields that a desktop in use fills, as long as they get.
v1::DesktopReport FullDesktop(int number) {
  v1::DesktopReport desktop;
  desktop.set_desktop(absl::StrFormat("desk-%058d", number));
  desktop.set_generation(1'000'000 + number);
  desktop.set_power(v1::POWER_RUNNING);
  desktop.set_guest(v1::GUEST_STATE_SESSION);
  desktop.set_guest_agent(true);
  desktop.set_session(std::string(32, 's'));
  desktop.set_viewer(v1::VIEWER_CONNECTED);
  desktop.add_open_tickets(std::string(32, '\xff'));
  desktop.set_failed_verb(v1::COMMAND_END_SESSION);
  desktop.set_error(std::string(256, 'e'));
  desktop.set_memory_mib(65'536);
  desktop.set_idle_s(-1);
  v1::ProofOfCleanness& proof = *desktop.mutable_proof();
  proof.set_generation(desktop.generation());
  proof.set_overlay_identity("18446744073709551615:18446744073709551615");
  proof.set_overlay_created_unix_ns(1'800'000'000'000'000'000);
  proof.set_backing_sha256(std::string(64, 'a'));
  proof.set_domain_uuid(std::string(36, 'u'));
  proof.set_guest_boot_id(std::string(36, 'b'));
  return desktop;
}

TEST_F(BrokerLinkTest, AFullReportOfAThousandDesktopsFits) {
  HearingBroker broker(&brokers_);
  const auto link = Link({broker.address()});
  EXPECT_EQ(mine_.Next(), "up");
  v1::AgentReport report = Report(1);
  for (int i = 1; i <= 1'000; ++i) *report.add_desktops() = FullDesktop(i);
  RecordProperty("bytes", static_cast<int>(report.ByteSizeLong()));
  EXPECT_LT(report.ByteSizeLong(), static_cast<size_t>(kAgentMessageBytes));
  link->Send(report);
  EXPECT_EQ(mine_.Next(), "heard 1");
  ASSERT_TRUE(brokers_.WaitFor("report 1"));
  EXPECT_EQ(brokers_.Next(),
            absl::StrCat("1000 desktops, the last ", FullDesktop(1'000).desktop()));
}

// The limit is real: this is what would be seen if a report outgrew it.
TEST_F(BrokerLinkTest, AReportBeyondTheBrokersLimitEndsTheStream) {
  HearingBroker broker(&brokers_);
  const auto link = Link({broker.address()});
  EXPECT_EQ(mine_.Next(), "up");
  link->Send(Report(1, std::string(kAgentMessageBytes + 1, 'h')));
  EXPECT_EQ(mine_.Next(), "down");
}

TEST_F(BrokerLinkTest, StopEndsTheStreamAndSaysNothingMore) {
  HearingBroker broker(&brokers_);
  auto link = Link({broker.address()});
  EXPECT_EQ(mine_.Next(), "up");
  link->Send(Report(1));
  EXPECT_EQ(mine_.Next(), "heard 1");
  link->Stop();
  link->Send(Report(2));
  link.reset();
  executor_.Stop();
  mine_.Add("the end");
  EXPECT_EQ(mine_.Next(), "the end");
}

}  // namespace
}  // namespace werkplek
