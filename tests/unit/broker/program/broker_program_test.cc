// The real program, as systemd runs it; its directory is out of reach.
#include "broker/program/broker_program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/program/self_probe.h"
#include "common/tls/ssl_context.h"
#include "tests/unit/broker/program/running_broker.h"
#include "tests/unit/broker/program/scrape.h"

namespace werkplek {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(BrokerProgramTest, ServesProbesItselfAndStopsCleanly) {
  RunningBroker broker;
  ASSERT_TRUE(broker.Start()) << broker.Log();
  EXPECT_TRUE(broker.systemd().Hears("WATCHDOG=1", kLong)) << broker.Log();
  const auto material = LoadTlsFiles(broker.own_files(), absl::Now());
  ASSERT_TRUE(material.ok()) << material.status();
  const auto context = MakeClientContext(*material, ExpectIdentity({v1::IDENTITY_BROKER}));
  for (const char* port : {"clients", "agents", "join"}) {
    const absl::Status status = ProbeTls("127.0.0.1:0", broker.Port(port), *context, kLong);
    EXPECT_TRUE(status.ok()) << port << status;
  }
  const absl::Time deadline = absl::Now() + kLong;
  std::string metrics;
  while (absl::Now() < deadline && (metrics.find("werkplek_leading 1") == std::string::npos ||
                                    metrics.find("werkplek_self_probe 1") == std::string::npos)) {
    metrics = ScrapeMetrics(broker.Port("metrics"));
  }
  EXPECT_THAT(metrics, HasSubstr("werkplek_leading 1"));
  EXPECT_THAT(metrics, HasSubstr("werkplek_self_probe 1"));
  EXPECT_THAT(metrics, HasSubstr("werkplek_agents_connected 0"));

  EXPECT_EQ(broker.Stop(SIGTERM), 0) << broker.Log();
  EXPECT_TRUE(broker.systemd().Hears("STOPPING=1", kLong));
  EXPECT_THAT(broker.Log(), HasSubstr("event=broker-stopping signal=15"));
  EXPECT_THAT(broker.Log(), Not(HasSubstr("hush"))) << "the directory's password";
}

TEST(BrokerProgramTest, OldTlsIsRefusedOnEveryPort) {
  RunningBroker broker;
  ASSERT_TRUE(broker.Start()) << broker.Log();
  const TlsFiles own = broker.own_files();
  for (const char* port : {"clients", "agents", "join"}) {
    const std::string address = absl::StrCat("127.0.0.1:", broker.Port(port));
    const auto old = RunProgram({"openssl", "s_client", "-tls1_2", "-connect", address, "-cert",
                                 own.certificate, "-key", own.key, "-no_ign_eof"});
    EXPECT_FALSE(old.ok()) << port;
    EXPECT_THAT(std::string(old.status().message()), HasSubstr("Cipher is (NONE)")) << port;
    const auto now =
        RunProgram({"openssl", "s_client", "-tls1_3", "-alpn", "h2", "-connect", address, "-cert",
                    own.certificate, "-key", own.key, "-no_ign_eof"});
    EXPECT_THAT(now.ok() ? *now : std::string(now.status().message()),
                HasSubstr("New, TLSv1.3, Cipher is"))
        << port;
  }
}

TEST(BrokerProgramTest, TheStoreBelongsToOneProcess) {
  RunningBroker broker;
  ASSERT_TRUE(broker.Start()) << broker.Log();
  const std::vector<std::string> enrol = {"enrol-first-admin", "--user", "beheer1"};
  EXPECT_THAT(broker.Command(enrol), Not(HasSubstr("otpauth://")));
  EXPECT_THAT(broker.Command({"init"}), HasSubstr("fleet.sqlite"));
  EXPECT_EQ(broker.Stop(SIGINT), 0);
  EXPECT_THAT(broker.Command(enrol), HasSubstr("otpauth://"));
}

TEST(BrokerProgramTest, AKilledBrokerStartsAgain) {
  RunningBroker broker;
  ASSERT_TRUE(broker.Start()) << broker.Log();
  EXPECT_EQ(broker.Stop(SIGKILL), 128 + SIGKILL);
  ASSERT_TRUE(broker.Start()) << broker.Log();
  EXPECT_EQ(broker.Stop(SIGTERM), 0) << broker.Log();
}

TEST(BrokerProgramTest, APortThatIsTakenIsNamed) {
  RunningBroker first;
  ASSERT_TRUE(first.Start()) << first.Log();
  const std::string taken = absl::StrCat("127.0.0.1:", first.Port("join"));
  RunningBroker second({{"127.0.0.1:7445", taken}});
  EXPECT_THAT(second.Command({}), HasSubstr("cannot listen on " + taken));
}

// No debugger and no core: /proc/PID is root's, and the limit is zero.
TEST(BrokerProgramTest, TheProcessKeepsItsSecrets) {
  RunningBroker broker;
  ASSERT_TRUE(broker.Start()) << broker.Log();
  const std::string limits = ReadWholeFile(absl::StrCat("/proc/", broker.pid(), "/limits"));
  EXPECT_THAT(limits, testing::ContainsRegex("Max core file size +0 +0"));
  const std::string status = ReadWholeFile(absl::StrCat("/proc/", broker.pid(), "/status"));
  EXPECT_THAT(status, HasSubstr("Umask:\t0077"));
}

}  // namespace
}  // namespace werkplek
