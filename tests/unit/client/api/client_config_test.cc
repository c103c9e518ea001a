#include "client/api/client_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/api/exit_code.h"
#include "tests/support/channel_arguments.h"

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kGood[] =
    "brokers: [\"broker-a:7443\", \"[2001:db8::1]:7443\"]\n"
    "certificate: client.crt\n"
    "key: client.key\n"
    "ca: /etc/werkplek/ca.crt\n"
    "language: nl\n";

TEST(ClientConfig, ReadsAllFieldsAndRelativePaths) {
  const absl::StatusOr<ClientConfig> config = ParseClientConfig("/conf/config.yaml", kGood);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(config->brokers, ElementsAre("broker-a:7443", "[2001:db8::1]:7443"));
  EXPECT_EQ(config->tls.certificate, "/conf/client.crt");
  EXPECT_EQ(config->tls.key, "/conf/client.key");
  EXPECT_EQ(config->tls.ca, "/etc/werkplek/ca.crt");
  EXPECT_EQ(config->language, "nl");
  EXPECT_EQ(config->viewer, "remote-viewer");
}

TEST(ClientConfig, SaysFileLineAndField) {
  const std::string rest = "certificate: a\nkey: b\nca: c\n";
  for (const auto& [text, complaint] : {
           std::pair<std::string, std::string>{"brokers: [\"x:1\"]\n" + rest + "colour: red\n",
                                               "c.yaml:5: "},
           {"brokers: []\n" + rest, "c.yaml:1: "},
           {"brokers: [\"nowhere\"]\n" + rest, "c.yaml:1: "},
           {rest, "brokers"},
           {"brokers: [\"x:1\"]\nkey: b\nca: c\n", "certificate"},
           {"brokers: [\"x:1\"]\n" + rest + "language: fr\n", "c.yaml:5: "},
           {"brokers: x\n" + rest, "c.yaml:1: "},
           {"\tbrokers: [\"x:1\"]\n", "c.yaml:1: "},
       }) {
    const absl::Status status = ParseClientConfig("c.yaml", text).status();
    EXPECT_EQ(ExitCodeFor(status), ExitCode::kLocal) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(complaint)) << text;
  }
}

TEST(ClientConfig, AMissingFileSaysWhere) {
  setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
  EXPECT_EQ(*FindClientConfig("given.yaml"), "given.yaml");
  const absl::Status status = FindClientConfig("", "x.yaml", "never-there.yaml").status();
  EXPECT_EQ(ExitCodeFor(status), ExitCode::kLocal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nonexistent/werkplek/x.yaml"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("/etc/werkplek/never-there.yaml"));
  EXPECT_EQ(ExitCodeFor(LoadClientConfig("/nonexistent/x").status()), ExitCode::kLocal);
}

TEST(ClientConfig, CertificatesThatAreNotThereAreALocalProblem) {
  ClientConfig config;
  config.brokers = {"127.0.0.1:1"};
  config.tls = {"/nonexistent/crt", "/nonexistent/key", "/nonexistent/ca"};
  const absl::Status status = OpenBrokers(config).status();
  EXPECT_EQ(ExitCodeFor(status), ExitCode::kLocal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nonexistent/"));
}

TEST(ClientConfig, BrokersAreNotAskedForSignsOfLifeMoreOftenThanTheyTake) {
  // broker/rpc/listener.h: least_ping_interval.
  EXPECT_GE(SignsOfLife().ask_after, absl::Seconds(20));
  const grpc::ChannelArguments made = BrokerChannelArguments();
  EXPECT_GE(ArgumentOf(made, GRPC_ARG_KEEPALIVE_TIME_MS), 20'000);
  EXPECT_EQ(ArgumentOf(made, GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS), 0);
  EXPECT_EQ(ArgumentOf(made, GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA), 0);
}

}  // namespace
}  // namespace werkplek
