// A whole agent but for its hypervisor and its images: real core, real pools, real relay, real link
// over mTLS to a small broker in the same process.
#pragma once

#include <grpcpp/grpcpp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/program/agent_runner.h"
#include "agent/program/epoch_file.h"
#include "common/base/crypto.h"
#include "common/base/loop_executor.h"
#include "common/base/mutex.h"
#include "common/relay/relay_client.h"
#include "common/tls/grpc_credentials.h"
#include "common/tls/process_tls.h"
#include "gtest/gtest.h"
#include "tests/support/fake_hypervisor/fake_hypervisor.h"
#include "tests/support/pki/test_pki.h"
#include "tests/support/process/child_process.h"
#include "werkplek/v1/agent.grpc.pb.h"

namespace werkplek {

inline constexpr absl::Duration kTestDeadline = absl::Seconds(30);

// Hears reports, and says what the test tells it to.
class TestBroker : public v1::AgentService::Service {
 public:
  TestBroker(const TlsFiles& files, int port) {
    grpc::ServerBuilder builder;
    const auto credentials = GrpcServerCredentials(files);
    EXPECT_TRUE(credentials.ok()) << credentials.status();
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), *credentials, &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    EXPECT_NE(server_, nullptr);
  }
  ~TestBroker() override {
    {
      MutexLock lock(mutex_);
      if (context_ != nullptr) context_->TryCancel();
    }
    server_->Shutdown(absl::ToChronoTime(absl::Now()));
  }

  grpc::Status Attach(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::AgentCommand, v1::AgentReport>* stream) override {
    {
      MutexLock lock(mutex_);
      context_ = context;
      stream_ = stream;
    }
    v1::AgentReport report;
    while (stream->Read(&report)) {
      MutexLock lock(mutex_);
      report_ = report;
      ++reports_;
      changed_.SignalAll();
    }
    MutexLock lock(mutex_);
    if (stream_ == stream) {
      stream_ = nullptr;
      context_ = nullptr;
    }
    return grpc::Status::OK;
  }

  void Send(const v1::AgentCommand& command) {
    MutexLock lock(mutex_);
    ASSERT_NE(stream_, nullptr);
    stream_->Write(command);
  }

  // Waits for a report that is as wanted.
  bool WaitFor(const std::function<bool(const v1::AgentReport&)>& wanted) {
    MutexLock lock(mutex_);
    const absl::Time deadline = absl::Now() + kTestDeadline;
    while (reports_ == 0 || !wanted(report_)) {
      if (absl::Now() > deadline) {
        ADD_FAILURE() << "the last of " << reports_ << " reports: " << report_.ShortDebugString();
        return false;
      }
      changed_.WaitFor(mutex_, absl::Milliseconds(100));
    }
    return true;
  }
  bool WaitForDesktop(const std::string& id,
                      const std::function<bool(const v1::DesktopReport&)>& wanted) {
    return WaitFor([&](const v1::AgentReport& report) {
      for (const v1::DesktopReport& desktop : report.desktops()) {
        if (desktop.desktop() == id) return wanted(desktop);
      }
      return false;
    });
  }

  v1::AgentReport report() {
    MutexLock lock(mutex_);
    return report_;
  }
  int port() const { return port_; }

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  Mutex mutex_;
  CondVar changed_;
  grpc::ServerContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;
  grpc::ServerReaderWriter<v1::AgentCommand, v1::AgentReport>* stream_ ABSL_GUARDED_BY(mutex_) =
      nullptr;
  v1::AgentReport report_ ABSL_GUARDED_BY(mutex_);
  uint64_t reports_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Images that are at hand when asked for, and overlays that are numbers.
class TestImages {
 public:
  ImageFunctions functions() {
    ImageFunctions made;
    made.fetch = [this](const std::string&, const std::string& name, const v1::Image& image) {
      MutexLock lock(mutex_);
      v1::ImageReport& report = reports_.emplace_back();
      report.set_image(name);
      report.set_sha256(image.sha256());
      report.set_verified(true);
      return absl::OkStatus();
    };
    made.report = [this](const std::string&) {
      MutexLock lock(mutex_);
      return reports_;
    };
    made.create_overlay = [this](const DiskKey& disk,
                                 const std::string& sha256) -> absl::StatusOr<Overlay> {
      MutexLock lock(mutex_);
      ++overlays_;
      return Overlay{absl::StrCat("/overlays/", disk.desktop, ".", disk.generation),
                     absl::StrCat("8:", overlays_), static_cast<int64_t>(overlays_), sha256};
    };
    made.take_disk = [](const DiskKey& disk) -> absl::StatusOr<std::string> {
      return absl::StrCat("/overlays/", disk.desktop, ".disk");
    };
    made.remove_overlays = [](const DiskKey&, const std::string&) { return absl::OkStatus(); };
    made.drop = [](const std::string&, const std::string&) { return absl::OkStatus(); };
    made.remove_leftovers = [](absl::Duration, const StopAsked&) {};
    made.hand_over = [](const DiskKey&, const std::string&) { return absl::OkStatus(); };
    made.take_back = [](const DiskKey&) { return absl::OkStatus(); };
    return made;
  }

 private:
  Mutex mutex_;
  std::vector<v1::ImageReport> reports_ ABSL_GUARDED_BY(mutex_);
  int overlays_ ABSL_GUARDED_BY(mutex_) = 0;
};

class AgentTest : public testing::Test {
 protected:
  AgentTest()
      : host_files_(pki_.Issue(v1::IDENTITY_HOST, "hv-a1")),
        broker_files_(pki_.Issue(v1::IDENTITY_BROKER, "broker-1")) {
    EXPECT_TRUE(RequireTls13InThisProcess().ok());
    broker_port_ = FreeLoopbackPort();
    broker_ = std::make_unique<TestBroker>(broker_files_, broker_port_);
    auto tls = FollowingContext::Create(host_files_, [](const TlsMaterial& own) {
      return MakeServerContext(own, ExpectIdentity({v1::IDENTITY_CLIENT, v1::IDENTITY_GATEWAY}));
    });
    EXPECT_TRUE(tls.ok()) << tls.status();
    tls_ = *std::move(tls);
  }

  // Starts a new run of the agent, over whatever the host holds.
  void StartAgent() {
    runner_.reset();
    const std::string epoch_file = pki_.folder() + "/epoch";
    AgentRunnerParts parts;
    parts.settings.report_interval = absl::Milliseconds(200);
    parts.settings.guest_poll = absl::Milliseconds(100);
    parts.settings.guest_wait_poll = absl::Milliseconds(50);
    parts.settings.list_interval = absl::Milliseconds(500);
    parts.host = "hv-a1";
    parts.agent_run = absl::StrCat("run-", ++runs_);
    parts.boot_id = "boot-1";
    parts.epoch_file = epoch_file;
    parts.heard_file = pki_.folder() + "/heard";
    parts.data_folder = pki_.folder();
    parts.executor = &loop_;
    parts.hypervisor = &hypervisor_;
    parts.images = images_.functions();
    parts.relay_tls = tls_.get();
    parts.relay.addresses = {"127.0.0.1:0"};
    parts.relay.believe_gateways = true;
    parts.link.brokers = {absl::StrCat("127.0.0.1:", broker_port_)};
    parts.link.first_pause = absl::Milliseconds(50);
    parts.link.last_pause = absl::Milliseconds(200);
    // This broker speaks only when the test does.
    parts.link.answer_limit = absl::Hours(1);
    parts.link.silence_limit = absl::Hours(1);
    const auto credentials =
        GrpcChannelCredentials(host_files_, ExpectIdentity({v1::IDENTITY_BROKER}));
    ASSERT_TRUE(credentials.ok()) << credentials.status();
    parts.credentials = *credentials;
    parts.metrics = &metrics_;
    absl::StatusOr<std::unique_ptr<AgentRunner>> runner = AgentRunner::Start(std::move(parts));
    ASSERT_TRUE(runner.ok()) << runner.status();
    runner_ = *std::move(runner);
    ASSERT_TRUE(broker_->WaitFor([this](const v1::AgentReport& report) {
      return report.agent_run() == absl::StrCat("run-", runs_) && report.adopted();
    }));
  }

  v1::AgentCommand Command(v1::CommandVerb verb, const std::string& desktop = "kantoor-1",
                           uint64_t generation = 1) {
    v1::AgentCommand command;
    command.set_epoch(epoch_);
    command.set_desktop(desktop);
    command.set_generation(generation);
    command.set_verb(verb);
    command.mutable_spec()->set_pool("kantoor");
    command.mutable_spec()->set_memory_mib(192);
    command.mutable_spec()->set_vcpus(1);
    command.set_image_name("tiny");
    command.mutable_image()->set_sha256(std::string(64, 'a'));
    command.mutable_image()->set_guest_agent(true);
    command.set_session("session-1");
    command.set_user("jan");
    return command;
  }

  v1::AgentCommand Grant(const std::string& ticket, const std::string& client,
                         uint32_t lifetime_ms = 30'000, const std::string& desktop = "kantoor-1") {
    v1::AgentCommand command = Command(v1::COMMAND_GRANT_TICKET, desktop);
    command.mutable_ticket()->set_ticket_sha256(Sha256(ticket));
    command.mutable_ticket()->set_certificate_sha256(Client(client).own.sha256);
    command.mutable_ticket()->set_lifetime_ms(lifetime_ms);
    return command;
  }

  // A machine with the name, the same one each time.
  const TlsMaterial& Client(const std::string& name) {
    auto found = clients_.find(name);
    if (found == clients_.end()) {
      const TlsFiles files = pki_.Issue(v1::IDENTITY_CLIENT, name);
      absl::StatusOr<TlsMaterial> material = LoadTlsFiles(files, absl::Now());
      EXPECT_TRUE(material.ok()) << material.status();
      found = clients_.emplace(name, *std::move(material)).first;
    }
    return found->second;
  }

  // Starts a desktop and has a session begun on it.
  void StartSession(const std::string& desktop = "kantoor-1") {
    broker_->Send(Command(v1::COMMAND_START, desktop));
    ASSERT_TRUE(broker_->WaitForDesktop(
        desktop, [](const v1::DesktopReport& report) { return report.has_proof(); }));
    broker_->Send(Command(v1::COMMAND_BEGIN_SESSION, desktop));
    ASSERT_TRUE(broker_->WaitForDesktop(
        desktop, [](const v1::DesktopReport& report) { return report.session() == "session-1"; }));
  }
  void GrantAndWait(const v1::AgentCommand& grant) {
    broker_->Send(grant);
    ASSERT_TRUE(broker_->WaitForDesktop(grant.desktop(), [&](const v1::DesktopReport& report) {
      return report.open_tickets_size() == 1 &&
             report.open_tickets(0) == grant.ticket().ticket_sha256();
    }));
  }
  bool WaitForViewer(v1::Viewer viewer) {
    return broker_->WaitForDesktop(
        "kantoor-1", [&](const v1::DesktopReport& report) { return report.viewer() == viewer; });
  }

  RelayTarget Target(const std::string& ticket, const std::string& desktop = "kantoor-1") {
    RelayTarget target;
    target.addresses = {absl::StrCat("127.0.0.1:", runner_->relay_port())};
    target.host = "hv-a1";
    target.desktop = desktop;
    target.ticket = Secret(ticket);
    return target;
  }
  std::unique_ptr<RelayClient> Viewer(const std::string& client, RelayTarget target) {
    absl::StatusOr<std::unique_ptr<RelayClient>> made =
        RelayClient::Create(Client(client), std::move(target));
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }
  absl::StatusOr<int> TryOpen(const std::string& client, const std::string& ticket,
                              const std::string& desktop = "kantoor-1") {
    viewers_.push_back(Viewer(client, Target(ticket, desktop)));
    return viewers_.back()->Open(kTestDeadline);
  }

  static std::string ReadSome(int descriptor, size_t size) {
    std::string text;
    const absl::Time deadline = absl::Now() + kTestDeadline;
    while (text.size() < size && absl::Now() < deadline) {
      pollfd wait{descriptor, POLLIN, 0};
      if (poll(&wait, 1, 100) <= 0) continue;
      char buffer[4096];
      const ssize_t got = read(descriptor, buffer, std::min(sizeof(buffer), size - text.size()));
      if (got <= 0) break;
      text.append(buffer, static_cast<size_t>(got));
    }
    return text;
  }

  TestPki pki_;
  const TlsFiles host_files_;
  const TlsFiles broker_files_;
  std::map<std::string, TlsMaterial> clients_;
  int broker_port_ = 0;
  int runs_ = 0;
  uint64_t epoch_ = 1;
  Metrics metrics_;
  LoopExecutor loop_{"agent-test"};
  FakeHypervisor hypervisor_;
  TestImages images_;
  std::unique_ptr<TestBroker> broker_;
  std::unique_ptr<FollowingContext> tls_;
  std::unique_ptr<AgentRunner> runner_;
  std::vector<std::unique_ptr<RelayClient>> viewers_;
};

}  // namespace werkplek
