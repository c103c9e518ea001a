// Displays through real gateways: programs of their own, before a whole agent with its real relay,
// and killed as a crash kills them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <iostream>
#include <thread>

#include "tests/integration/agent/agent_harness.h"
#include "werkplek/v1/gateway.grpc.pb.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

// What a broker knows from the agent's report, and which gateways announced themselves.
class GatewayBroker : public v1::GatewayService::Service {
 public:
  GatewayBroker(const TlsFiles& files, TestBroker* reports) : reports_(reports) {
    grpc::ServerBuilder builder;
    const auto credentials = GrpcServerCredentials(files);
    EXPECT_TRUE(credentials.ok()) << credentials.status();
    builder.AddListeningPort("127.0.0.1:0", *credentials, &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~GatewayBroker() override { server_->Shutdown(absl::ToChronoTime(absl::Now())); }

  grpc::Status AnnounceGateway(grpc::ServerContext*, const v1::AnnounceGatewayRequest* said,
                               v1::AnnounceGatewayResponse*) override {
    MutexLock lock(mutex_);
    said_[said->site()] = said->addresses(0);
    changed_.SignalAll();
    return grpc::Status::OK;
  }

  grpc::Status FindDisplay(grpc::ServerContext*, const v1::FindDisplayRequest* request,
                           v1::FindDisplayResponse* response) override {
    ++asked_;
    const v1::AgentReport report = reports_->report();
    for (const v1::DesktopReport& desktop : report.desktops()) {
      for (const std::string& ticket : desktop.open_tickets()) {
        if (desktop.desktop() != request->desktop() || ticket != request->ticket_sha256()) continue;
        response->set_host("hv-a1");
        *response->mutable_relays() = report.relays();
        return grpc::Status::OK;
      }
    }
    return {grpc::StatusCode::NOT_FOUND, "no such ticket"};
  }

  // The address that the site's gateway announced; empty: none did in time.
  std::string AddressOf(const std::string& site) {
    MutexLock lock(mutex_);
    const absl::Time deadline = absl::Now() + kTestDeadline;
    while (said_[site].empty() && absl::Now() < deadline) {
      changed_.WaitFor(mutex_, absl::Milliseconds(100));
    }
    return said_[site];
  }
  int asked() const { return asked_; }
  int port() const { return port_; }

 private:
  TestBroker* const reports_;
  int port_ = 0;
  std::atomic<int> asked_{0};
  std::unique_ptr<grpc::Server> server_;
  Mutex mutex_;
  CondVar changed_;
  std::map<std::string, std::string> said_ ABSL_GUARDED_BY(mutex_);
};

class GatewayTest : public AgentTest {
 protected:
  void SetUp() override {
    StartAgent();
    StartSession();
    gateway_broker_ = std::make_unique<GatewayBroker>(broker_files_, broker_.get());
    gateways_["a"] = StartGateway("a");
    gateways_["b"] = StartGateway("b");
    for (const char* site : {"a", "b"}) {
      addresses_.push_back(gateway_broker_->AddressOf(site));
      ASSERT_NE(addresses_.back(), "");
    }
  }
  void TearDown() override {
    for (const int descriptor : open_) close(descriptor);
    viewers_.clear();
    gateways_.clear();
  }

  std::unique_ptr<ChildProcess> StartGateway(const std::string& site) {
    const TlsFiles files = pki_.Issue(v1::IDENTITY_GATEWAY, "gw-" + site);
    const std::string config = folder_.Write(
        site + ".yaml", absl::StrCat("name: gw-", site, "\nsite: ", site,
                                     "\nbrokers: [\"127.0.0.1:", gateway_broker_->port(),
                                     "\"]\nlisten: {clients: [\"127.0.0.1:0\"]}\ntls:\n",
                                     "  certificate: ", files.certificate, "\n  key: ", files.key,
                                     "\n  ca: ", files.ca, "\n"));
    const char* programs = std::getenv("WERKPLEK_BIN_DIR");
    return std::make_unique<ChildProcess>(
        std::vector<std::string>{absl::StrCat(programs, "/werkplek-gateway"), "--config", config});
  }

  RelayTarget Through(const std::string& ticket, const std::string& desktop = "kantoor-1") {
    RelayTarget target = Target(ticket, desktop);
    target.addresses.clear();
    target.gateways = addresses_;
    return target;
  }
  RelayClient& NewViewer(const std::string& client, RelayTarget target) {
    viewers_.push_back(Viewer(client, std::move(target)));
    return *viewers_.back();
  }
  int Open(RelayClient& viewer) {
    const absl::StatusOr<int> opened = viewer.Open(kTestDeadline);
    EXPECT_TRUE(opened.ok()) << opened.status();
    open_.push_back(opened.value_or(-1));
    return open_.back();
  }
  // The line works both ways.
  void ExpectDisplay(int viewer) {
    const int display = hypervisor_.TakeDisplay("kantoor-1");
    ASSERT_GE(display, 0);
    open_.push_back(display);
    ASSERT_EQ(write(viewer, "keys", 4), 4);
    EXPECT_EQ(ReadSome(display, 4), "keys");
    ASSERT_EQ(write(display, "pixels", 6), 6);
    EXPECT_EQ(ReadSome(viewer, 6), "pixels");
  }
  void ExpectRefused(const std::string& client, RelayTarget target, const std::string& reason) {
    const absl::StatusOr<int> opened = NewViewer(client, std::move(target)).Open(kTestDeadline);
    EXPECT_TRUE(absl::IsPermissionDenied(opened.status())) << opened.status();
    EXPECT_THAT(opened.status().message(), HasSubstr(reason));
    if (opened.ok()) close(*opened);
  }

  TemporaryFolder folder_;
  std::unique_ptr<GatewayBroker> gateway_broker_;
  std::map<std::string, std::unique_ptr<ChildProcess>> gateways_;
  std::vector<std::string> addresses_;
  std::vector<int> open_;
};

TEST_F(GatewayTest, ATicketOpensTheDisplayAndItsFurtherChannels) {
  GrantAndWait(Grant("t1", "tc-1"));
  RelayClient& viewer = NewViewer("tc-1", Through("t1"));
  ExpectDisplay(Open(viewer));
  EXPECT_TRUE(WaitForViewer(v1::VIEWER_CONNECTED));
  // The ticket is used by now, so the broker knows it no longer.
  ASSERT_TRUE(broker_->WaitForDesktop("kantoor-1", [](const v1::DesktopReport& report) {
    return report.open_tickets_size() == 0;
  }));
  ExpectDisplay(Open(viewer));
  EXPECT_EQ(viewer.channels(), 2);
  EXPECT_EQ(gateway_broker_->asked(), 1);
}

TEST_F(GatewayTest, WhatTheBrokerDoesNotKnowGoesNowhere) {
  GrantAndWait(Grant("t1", "tc-1"));
  ExpectRefused("tc-1", Through("guess"), "opens no such display");
  ExpectRefused("tc-1", Through("t1", "kantoor-2"), "opens no such display");
  ExpectRefused("tc-1", Through("t1", "hv-a1.example"), "opens no such display");
  // Its host knows whose it is.
  ExpectRefused("tc-2", Through("t1"), "another machine");
  ExpectDisplay(Open(NewViewer("tc-1", Through("t1"))));
  ExpectRefused("tc-1", Through("t1"), "");
}

TEST_F(GatewayTest, ALateTicketIsRefused) {
  GrantAndWait(Grant("t1", "tc-1"));
  broker_->Send(Grant("t2", "tc-1", 1));
  ASSERT_TRUE(broker_->WaitForDesktop("kantoor-1", [](const v1::DesktopReport& report) {
    return report.open_tickets_size() == 0;
  }));
  ExpectRefused("tc-1", Through("t2"), "opens no such display");
}

TEST_F(GatewayTest, OfAHundredAtOnceExactlyOneGetsIn) {
  GrantAndWait(Grant("t1", "tc-1"));
  constexpr int kAttempts = 100;
  std::atomic<int> opened{0};
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  std::vector<std::unique_ptr<RelayClient>> clients;
  for (int i = 0; i < kAttempts; ++i) clients.push_back(Viewer("tc-1", Through("t1")));
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

TEST_F(GatewayTest, AfterAKilledGatewayTheClientIsBackThroughTheOther) {
  GrantAndWait(Grant("t1", "tc-1"));
  RelayClient& first = NewViewer("tc-1", Through("t1"));
  const int lost = Open(first);
  ExpectDisplay(lost);
  EXPECT_TRUE(WaitForViewer(v1::VIEWER_CONNECTED));
  const absl::Time killed = absl::Now();
  gateways_["a"]->Signal(SIGKILL);
  EXPECT_EQ(ReadSome(lost, 1), "");
  EXPECT_TRUE(first.gateway_lost());
  // What the broker does for a client that asks again; the dead gateway is still of its list.
  GrantAndWait(Grant("t2", "tc-1"));
  ExpectDisplay(Open(NewViewer("tc-1", Through("t2"))));
  const absl::Duration away = absl::Now() - killed;
  std::cout << "back through another gateway after " << absl::ToInt64Milliseconds(away) << " ms\n";
  EXPECT_LE(away, absl::Seconds(5));
  // The desktop knows the session as before.
  EXPECT_TRUE(WaitForViewer(v1::VIEWER_CONNECTED));
  EXPECT_TRUE(broker_->WaitForDesktop("kantoor-1", [](const v1::DesktopReport& report) {
    return report.session() == "session-1";
  }));
}

TEST_F(GatewayTest, AnEndOfTheHostsIsNoLossOfTheGateway) {
  GrantAndWait(Grant("t1", "tc-1"));
  RelayClient& viewer = NewViewer("tc-1", Through("t1"));
  const int local = Open(viewer);
  ExpectDisplay(local);
  // Another client takes the session over: the host cuts this display.
  broker_->Send(Grant("t2", "tc-2"));
  EXPECT_EQ(ReadSome(local, 1), "");
  EXPECT_FALSE(viewer.gateway_lost());
}

}  // namespace
}  // namespace werkplek
