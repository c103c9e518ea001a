// The real program, as systemd runs it; its directory is out of reach.
#include "broker/program/broker_program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "common/program/self_probe.h"
#include "tests/support/process/child_process.h"
#include "tests/unit/broker/program/broker_files.h"
#include "tests/unit/broker/program/scrape.h"
#include "tests/unit/common/program/systemd_socket.h"

namespace werkplek {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr absl::Duration kLong = absl::Seconds(60);

class BrokerProgramTest : public testing::Test {
 protected:
  BrokerProgramTest() {
    std::string text = absl::StrReplaceAll(
        files_.GoodConfig(),
        {{":7443", ":0"}, {":7444", ":0"}, {":7445", ":0"}, {":9464", ":0"}, {":636", ":1"}});
    files_.folder().Write("broker.yaml", text);
    // The directory's authority must be a certificate once the broker runs.
    files_.folder().Write("ldap-ca.pem", ReadWholeFile(files_.folder().File("ca.pem")));
  }

  void Start() {
    options_.environment = {absl::StrCat("NOTIFY_SOCKET=", systemd_.path())};
    options_.output_file = output_;
    broker_ = std::make_unique<ChildProcess>(
        std::vector<std::string>{BrokerBinary(), "--config", files_.config_path()}, options_);
    ASSERT_TRUE(systemd_.Hears("READY=1", kLong)) << Output();
  }
  std::string Output() { return ReadWholeFile(output_); }

  // The port that the started broker has for "clients", "agents", "join" or "metrics".
  int Port(const std::string& name) {
    const std::string output = Output();
    const size_t line = output.rfind("event=broker-started");
    const size_t at = output.find(" " + name + "=", line);
    int port = 0;
    if (line == std::string::npos || at == std::string::npos) return 0;
    const size_t begin = at + name.size() + 2;
    EXPECT_TRUE(absl::SimpleAtoi(
        output.substr(begin, output.find_first_not_of("0123456789", begin) - begin), &port));
    return port;
  }

  // Runs `werkplek-broker` with these words to its end.
  std::string Command(const std::vector<std::string>& words) {
    std::vector<std::string> all = {BrokerBinary(), "--config", files_.config_path()};
    all.insert(all.end(), words.begin(), words.end());
    const auto output = RunProgram(all);
    return output.ok() ? *output : std::string(output.status().message());
  }

  BrokerFiles files_;
  std::string output_ = files_.folder().File("broker.log");
  SystemdSocket systemd_{files_.folder().File("notify")};
  ChildOptions options_;
  std::unique_ptr<ChildProcess> broker_;
};

TEST_F(BrokerProgramTest, ServesProbesItselfAndStopsCleanly) {
  Start();
  EXPECT_TRUE(systemd_.Hears("WATCHDOG=1", kLong)) << Output();
  const auto material =
      LoadTlsFiles({files_.folder().File("broker.pem"), files_.folder().File("broker.key"),
                    files_.folder().File("ca.pem")},
                   absl::Now());
  ASSERT_TRUE(material.ok()) << material.status();
  const auto context = MakeClientContext(*material, ExpectIdentity({v1::IDENTITY_BROKER}));
  for (const char* port : {"clients", "agents", "join"}) {
    const absl::Status status = ProbeTls("127.0.0.1:0", Port(port), *context, kLong);
    EXPECT_TRUE(status.ok()) << port << status;
  }
  const absl::Time deadline = absl::Now() + kLong;
  std::string metrics;
  while (absl::Now() < deadline && (metrics.find("werkplek_leading 1") == std::string::npos ||
                                    metrics.find("werkplek_self_probe 1") == std::string::npos)) {
    metrics = ScrapeMetrics(Port("metrics"));
  }
  EXPECT_THAT(metrics, HasSubstr("werkplek_leading 1"));
  EXPECT_THAT(metrics, HasSubstr("werkplek_self_probe 1"));
  EXPECT_THAT(metrics, HasSubstr("werkplek_agents_connected 0"));

  broker_->Signal(SIGTERM);
  EXPECT_EQ(broker_->Wait(kLong), 0) << Output();
  EXPECT_TRUE(systemd_.Hears("STOPPING=1", kLong));
  EXPECT_THAT(Output(), HasSubstr("event=broker-stopping signal=15"));
}

TEST_F(BrokerProgramTest, OldTlsIsRefusedOnEveryPort) {
  Start();
  for (const char* port : {"clients", "agents", "join"}) {
    const std::string address = absl::StrCat("127.0.0.1:", Port(port));
    const auto old = RunProgram({"openssl", "s_client", "-tls1_2", "-connect", address, "-cert",
                                 files_.folder().File("broker.pem"), "-key",
                                 files_.folder().File("broker.key"), "-no_ign_eof"});
    EXPECT_FALSE(old.ok()) << port;
    EXPECT_THAT(std::string(old.status().message()), HasSubstr("Cipher is (NONE)")) << port;
    const auto now = RunProgram({"openssl", "s_client", "-tls1_3", "-alpn", "h2", "-connect",
                                 address, "-cert", files_.folder().File("broker.pem"), "-key",
                                 files_.folder().File("broker.key"), "-no_ign_eof"});
    EXPECT_THAT(now.ok() ? *now : std::string(now.status().message()),
                HasSubstr("New, TLSv1.3, Cipher is"))
        << port;
  }
}

TEST_F(BrokerProgramTest, TheStoreBelongsToOneProcess) {
  Start();
  EXPECT_THAT(Command({"enrol-first-admin", "--user", "beheer1"}), Not(HasSubstr("otpauth://")));
  EXPECT_THAT(Command({"init"}), HasSubstr("fleet.sqlite"));
  broker_->Signal(SIGINT);
  EXPECT_EQ(broker_->Wait(kLong), 0);
  EXPECT_THAT(Command({"enrol-first-admin", "--user", "beheer1"}), HasSubstr("otpauth://"));
}

TEST_F(BrokerProgramTest, AKilledBrokerStartsAgain) {
  Start();
  broker_->Signal(SIGKILL);
  EXPECT_EQ(broker_->Wait(kLong), 128 + SIGKILL);
  Start();
  broker_->Signal(SIGTERM);
  EXPECT_EQ(broker_->Wait(kLong), 0) << Output();
}

TEST_F(BrokerProgramTest, APortThatIsTakenIsNamed) {
  Start();
  const std::string taken = absl::StrCat("127.0.0.1:", Port("join"));
  BrokerFiles second;
  second.folder().Write("ldap-ca.pem", ReadWholeFile(second.folder().File("ca.pem")));
  second.folder().Write("broker.yaml",
                        absl::StrReplaceAll(second.GoodConfig(), {{":7443", ":0"},
                                                                  {":7444", ":0"},
                                                                  {":9464", ":0"},
                                                                  {":636", ":1"},
                                                                  {"127.0.0.1:7445", taken}}));
  const auto output = RunProgram({BrokerBinary(), "--config", second.config_path()});
  ASSERT_FALSE(output.ok());
  EXPECT_THAT(std::string(output.status().message()), HasSubstr("cannot listen on " + taken));
}

TEST_F(BrokerProgramTest, NothingSecretIsLogged) {
  options_.environment.clear();
  Start();
  broker_->Signal(SIGTERM);
  broker_->Wait(kLong);
  EXPECT_THAT(Output(), Not(HasSubstr("hush")));
}

}  // namespace
}  // namespace werkplek
