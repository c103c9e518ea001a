// What viewers are told; the whole way of a ticket is tests/integration/agent's.
#include "agent/display/display_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/loop_executor.h"
#include "common/relay/relay_client.h"
#include "tests/support/fake_hypervisor/fake_hypervisor.h"
#include "tests/support/pki/test_pki.h"

namespace werkplek {
namespace {

using agent::TicketAnswer;
using testing::HasSubstr;

TEST(RefusalTest, EveryAnswerHasItsStatus) {
  const std::pair<TicketAnswer, unsigned> all[] = {{TicketAnswer::kNoDesktop, 404},
                                                   {TicketAnswer::kUnknown, 403},
                                                   {TicketAnswer::kUsed, 403},
                                                   {TicketAnswer::kLate, 403},
                                                   {TicketAnswer::kOtherCertificate, 403},
                                                   {TicketAnswer::kTooManyChannels, 429},
                                                   {TicketAnswer::kNotRunning, 503}};
  std::set<std::string> reasons;
  for (const auto& [answer, status] : all) {
    const RelayVerdict verdict = RefusalOf(answer);
    EXPECT_EQ(verdict.status, status);
    EXPECT_EQ(verdict.display, -1);
    EXPECT_EQ(verdict.reason.find('\n'), std::string::npos);
    reasons.insert(verdict.reason);
  }
  EXPECT_EQ(reasons.size(), std::size(all)) << "each has its own reason";
}

class DisplayServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    auto tls = FollowingContext::Create(
        pki_.Issue(v1::IDENTITY_HOST, "hv-a1"), [](const TlsMaterial& own) {
          return MakeServerContext(own, ExpectIdentity({v1::IDENTITY_CLIENT}));
        });
    ASSERT_TRUE(tls.ok()) << tls.status();
    tls_ = *std::move(tls);
    RelayOptions options;
    options.addresses = {"127.0.0.1:0"};
    DomainSpec spec;
    spec.tag.desktop = "kantoor-1";
    ASSERT_TRUE(hypervisor_.Create(spec).ok());
    auto service =
        DisplayService::Start(options, {.executor = &loop_,
                                        .hypervisor = &hypervisor_,
                                        .tls = tls_.get(),
                                        .sink = [this](const AgentEvent& event) { On(event); }});
    ASSERT_TRUE(service.ok()) << service.status();
    service_ = *std::move(service);
  }

  // Stands for the core: lets in, or not, and keeps what it is told.
  void On(const AgentEvent& event) {
    if (const auto* presented = std::get_if<agent::TicketPresented>(&event)) {
      last_ = *presented;
      service_->Answer({presented->channel, answer_});
      // An answer to nobody is nothing.
      service_->Answer({presented->channel + 1000, answer_});
      service_->Answer({presented->channel, answer_});
    }
    if (std::holds_alternative<agent::DisplayOpened>(event)) opened_.set_value();
    if (std::holds_alternative<agent::DisplayClosed>(event)) closed_.set_value();
  }

  absl::StatusOr<int> Open() {
    const auto material = LoadTlsFiles(pki_.Issue(v1::IDENTITY_CLIENT, "tc-1"), absl::Now());
    EXPECT_TRUE(material.ok()) << material.status();
    RelayTarget target;
    target.addresses = {absl::StrCat("127.0.0.1:", service_->ports()[0])};
    target.host = "hv-a1";
    target.desktop = "kantoor-1";
    target.ticket = Secret("t1");
    target.viewer = "v1";
    auto client = RelayClient::Create(*material, std::move(target));
    EXPECT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
    return client_->Open(absl::Seconds(20));
  }

  static bool Comes(std::promise<void>& promise) {
    return promise.get_future().wait_for(std::chrono::seconds(20)) == std::future_status::ready;
  }

  TestPki pki_;
  LoopExecutor loop_{"display-test"};
  FakeHypervisor hypervisor_;
  std::unique_ptr<FollowingContext> tls_;
  TicketAnswer answer_ = TicketAnswer::kGranted;
  agent::TicketPresented last_;
  std::promise<void> opened_;
  std::promise<void> closed_;
  std::unique_ptr<DisplayService> service_;
  std::unique_ptr<RelayClient> client_;
};

TEST_F(DisplayServiceTest, AGrantedTicketOpensAndItsEndIsTold) {
  const absl::StatusOr<int> opened = Open();
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_TRUE(Comes(opened_));
  EXPECT_EQ(last_.desktop, "kantoor-1");
  EXPECT_EQ(last_.ticket_sha256, Sha256("t1"));
  EXPECT_EQ(last_.viewer, "v1");
  client_.reset();
  EXPECT_TRUE(Comes(closed_));
  close(*opened);
}

TEST_F(DisplayServiceTest, ClosingCutsTheChannel) {
  const absl::StatusOr<int> opened = Open();
  ASSERT_TRUE(opened.ok()) << opened.status();
  ASSERT_TRUE(Comes(opened_));
  loop_.Post([this] { service_->Close({"kantoor-1", {last_.channel}}); });
  EXPECT_TRUE(Comes(closed_));
  close(*opened);
}

TEST_F(DisplayServiceTest, ARefusedTicketOpensNothing) {
  answer_ = TicketAnswer::kLate;
  const absl::StatusOr<int> opened = Open();
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(opened.status().message(), HasSubstr("too late"));
  EXPECT_EQ(hypervisor_.Count(FakeHypervisor::Call::kOpenDisplay), 0);
}

TEST_F(DisplayServiceTest, ADisplayThatDoesNotOpenIsToldAsClosed) {
  hypervisor_.FailNext(FakeHypervisor::Call::kOpenDisplay, "kantoor-1",
                       absl::InternalError("secret path /x"));
  const absl::StatusOr<int> opened = Open();
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(opened.status().message(), testing::Not(HasSubstr("secret path")));
  EXPECT_TRUE(Comes(closed_));
}

}  // namespace
}  // namespace werkplek
