// The gateway's configuration: one good file, and many bad ones with what each is told.
#include "gateway/program/gateway_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/pki/key_request.h"
#include "tests/support/pki/browser_pki.h"
#include "tests/support/pki/test_pki.h"
#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class GatewayConfigTest : public testing::Test {
 protected:
  GatewayConfigTest() {
    const TlsFiles files = pki_.Issue(v1::IDENTITY_GATEWAY, "gw-a");
    good_ = absl::StrCat(R"(name: gw-a
site: a
brokers: ["127.0.0.1:7443", "broker-b.example:7443"]
listen:
  clients: ["192.0.2.10:7460"]
tls:
  certificate: )",
                         files.certificate, "\n  key: ", files.key, "\n  ca: ", files.ca, "\n");
    folder_.Write("novnc/core/rfb.js", "rfb");
    folder_.Write("novnc/vendor/pako.js", "pako");
    with_portal_ = absl::StrCat(
        absl::StrReplaceAll(good_, {{"listen:\n", "listen:\n  portal: [\"192.0.2.10:443\"]\n"}}),
        R"(portal:
  origins: ["https://werkplek.example", "https://werkplek.example:8443"]
  certificate: )",
        portal_.certificate, "\n  key: ", portal_.key, "\n  novnc: ", folder_.File("novnc"), "\n");
  }

  absl::StatusOr<GatewayConfig> Load(const std::string& text) {
    return LoadGatewayConfig(folder_.Write("gateway.yaml", text));
  }

  TestPki pki_;
  TemporaryFolder folder_;
  const TlsFiles portal_ = BrowserPki(pki_.folder()).Issue("werkplek.example");
  std::string good_;
  std::string with_portal_;
};

TEST_F(GatewayConfigTest, AGoodOneIsRead) {
  const auto config = Load(good_);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->name, "gw-a");
  EXPECT_EQ(config->site, "a");
  EXPECT_THAT(config->advertise, ElementsAre("192.0.2.10:7460"));
  EXPECT_EQ(config->relay.max_channels, 4'096u);
}

TEST_F(GatewayConfigTest, LimitsAreRead) {
  const auto config = Load(absl::StrCat(
      good_, "limits: {channels: 10, waiting: 9, waiting_per_address: 8, head_deadline: 7s, ",
      "browsers: 6000, browsers_per_address: 5000}\n"));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->relay.max_channels, 10u);
  EXPECT_EQ(config->relay.max_waiting, 9u);
  EXPECT_EQ(config->relay.max_waiting_per_address, 8u);
  EXPECT_EQ(config->relay.head_deadline, absl::Seconds(7));
  EXPECT_EQ(config->portal.max_waiting, 6'000u);
  EXPECT_EQ(config->portal.max_waiting_per_address, 5'000u);
}

TEST_F(GatewayConfigTest, WhatOneAddressMayAskIsRead) {
  const auto config = Load(absl::StrCat(good_, R"(limits:
  sign_ins_per_address: {per_second: 3, burst: 40}
  requests_per_address: {burst: 500}
)"));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->portal.sign_ins_per_address.per_second, 3);
  EXPECT_EQ(config->portal.sign_ins_per_address.burst, 40);
  EXPECT_EQ(config->portal.requests_per_address.per_second, 100) << "as it was";
  EXPECT_EQ(config->portal.requests_per_address.burst, 500);
}

TEST_F(GatewayConfigTest, WhetherTheFileNamesTheChannelsIsKnown) {
  EXPECT_FALSE(Load(good_)->names_channels);
  EXPECT_TRUE(Load(good_ + "limits: {channels: 5000}\n")->names_channels);
}

TEST_F(GatewayConfigTest, EveryBadOneIsToldWhatToDo) {
  struct Bad {
    const char* before;
    const char* after;
    const char* complaint;
  };
  const Bad all[] = {
      {"name: gw-a\n", "", "name"},
      {"name: gw-a", "name: Gw_A", "must be 1 to 63"},
      {"name: gw-a", "name: gw-b", "not of gateway/gw-b; set `name`, or join again"},
      {"site: a\n", "", "site"},
      {"site: a", "site: \"A B\"", "must be 1 to 63"},
      {"[\"127.0.0.1:7443\", \"broker-b.example:7443\"]", "[]", ":3: brokers"},
      {"\"127.0.0.1:7443\"", "\"127.0.0.1\"", ":3: brokers"},
      {"192.0.2.10:7460", "gw.example:7460", "must begin with an IP address"},
      {"192.0.2.10:7460", "0.0.0.0:7460", "which one clients are told"},
      {"  clients: [\"192.0.2.10:7460\"]\n", "  metrics: 127.0.0.1:9466\n", "clients"},
      {"listen:\n", "listen:\n  metrics: 192.0.2.10:9466\n", "on loopback only"},
      {"listen:\n", "listen:\n  advertise: [\"nowhere\"]\n", "advertise"},
      {"site: a\n", "site: a\nlog: loud\n", "log"},
      {"site: a\n", "site: a\nldap: x\n", "ldap"},
      {"site: a\n", "site: a\nlimits: {channels: 0}\n", "channels"},
      {"site: a\n", "site: a\nlimits: {channels: 5001}\n",
       ":3: limits.channels: 5001: must be 1 to 5000"},
      {"site: a\n", "site: a\nlimits: {sign_ins_per_address: {per_second: 0}}\n",
       ":3: limits.sign_ins_per_address.per_second"},
      {"site: a\n", "site: a\nlimits: {sign_ins_per_address: 5}\n",
       ":3: limits.sign_ins_per_address"},
      {"site: a\n", "site: a\nlimits: {requests_per_address: {burst: 100001}}\n",
       ":3: limits.requests_per_address.burst"},
      {"site: a\n", "site: a\nlimits: {requests_per_address: {a_second: 1}}\n", "a_second"},
      {"site: a\n", "site: a\nlimits: {waiting: 5000}\n", "waiting"},
      {"site: a\n", "site: a\nlimits: {waiting: 5}\n", "must be at most `waiting`, 5"},
      {"site: a\n", "site: a\nlimits: {browsers: 8193}\n",
       ":3: limits.browsers: 8193: must be 1 to 8192"},
      {"site: a\n", "site: a\nlimits: {browsers: 500}\n",
       "limits.browsers_per_address: must be at most `browsers`, 500"},
      {"site: a\n", "site: a\nlimits: {head_deadline: 2}\n", "head_deadline"},
      {"  key: ", "  key: /nonexistent", "/nonexistent"},
  };
  for (const Bad& bad : all) {
    const std::string text = absl::StrReplaceAll(good_, {{bad.before, bad.after}});
    ASSERT_NE(text, good_) << bad.before;
    const auto config = Load(text);
    EXPECT_TRUE(absl::IsInvalidArgument(config.status())) << bad.after;
    EXPECT_THAT(config.status().message(), HasSubstr(bad.complaint));
    EXPECT_THAT(config.status().message(), HasSubstr("gateway.yaml:"));
  }
}

TEST_F(GatewayConfigTest, APortalIsRead) {
  const auto config = Load(with_portal_);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(config->portal.addresses, ElementsAre("192.0.2.10:443"));
  EXPECT_THAT(config->portal.origins,
              ElementsAre("https://werkplek.example", "https://werkplek.example:8443"));
  EXPECT_EQ(config->portal.novnc, folder_.File("novnc"));
  EXPECT_EQ(config->portal.max_displays, config->relay.max_channels);
  EXPECT_EQ(config->portal_tls.certificate, portal_.certificate);
  EXPECT_EQ(config->portal_tls.key, portal_.key);
  EXPECT_EQ(config->portal_tls.ca, "");
}

TEST_F(GatewayConfigTest, WithoutItThereIsNoPortal) {
  const auto config = Load(good_);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->portal.addresses.empty());
  EXPECT_EQ(config->portal.novnc, "/usr/share/novnc");
}

TEST_F(GatewayConfigTest, EveryBadPortalIsToldWhatToDo) {
  constexpr char kOrigin[] = "no origin as browsers write it: https://, the name in lower case";
  struct Bad {
    std::string before;
    std::string after;
    std::string complaint;
  };
  const Bad all[] = {
      {"portal:\n  origins", "limits:\n  origins", "portal"},
      {"  portal: [\"192.0.2.10:443\"]\n", "", "there is no `listen.portal` that it is for"},
      {"192.0.2.10:443", "werkplek.example:443", "must begin with an IP address"},
      {"\"https://werkplek.example\"", "\"https://werkplek.example/\"", kOrigin},
      {"\"https://werkplek.example\"", "\"https://werkplek.example/portal\"", kOrigin},
      {"\"https://werkplek.example\"", "\"https://Werkplek.example\"", kOrigin},
      {"\"https://werkplek.example\"", "\"http://werkplek.example\"", kOrigin},
      {"\"https://werkplek.example\"", "\"werkplek.example\"", kOrigin},
      {"\"https://werkplek.example\"", "\"https://\"", kOrigin},
      {"\"https://werkplek.example\"", "\"*\"", kOrigin},
      {"werkplek.example:8443", "werkplek.example:443", "only when it is not 443"},
      {"[\"https://werkplek.example\", \"https://werkplek.example:8443\"]", "[]", "origins"},
      {"  origins: [\"https://werkplek.example\", \"https://werkplek.example:8443\"]\n", "",
       "origins"},
      {"  certificate: " + portal_.certificate + "\n", "", "certificate"},
      {"  key: " + portal_.key + "\n", "", "key"},
      {portal_.certificate, "/nonexistent.pem", "/nonexistent.pem: cannot open it"},
      {portal_.key, "/nonexistent.key", "/nonexistent.key: cannot open it"},
      {folder_.File("novnc"), "/nonexistent", "install Debian's package novnc"},
      {"  novnc:", "  no_vnc:", "no_vnc"},
  };
  for (const Bad& bad : all) {
    const std::string text = absl::StrReplaceAll(with_portal_, {{bad.before, bad.after}});
    ASSERT_NE(text, with_portal_) << bad.before;
    const auto config = Load(text);
    EXPECT_TRUE(absl::IsInvalidArgument(config.status())) << bad.after;
    EXPECT_THAT(std::string(config.status().message()),
                AllOf(HasSubstr(bad.complaint), HasSubstr("gateway.yaml:")));
  }
}

TEST_F(GatewayConfigTest, APortalsCertificateIsJudged) {
  const auto complaint = [this] { return std::string(Load(with_portal_).status().message()); };
  ASSERT_TRUE(WriteFileAtomically(portal_.key, NewPrivateKeyPem()->Reveal(), 0600).ok());
  EXPECT_THAT(complaint(), HasSubstr(portal_.key + ": does not belong to the certificate"));
  std::filesystem::permissions(portal_.key, std::filesystem::perms(0644));
  EXPECT_THAT(complaint(), AllOf(HasSubstr(portal_.key), HasSubstr("chmod 0600")));
  BrowserPki(pki_.folder()).Issue("werkplek.example", absl::Now() - absl::Hours(2));
  EXPECT_THAT(complaint(), HasSubstr(portal_.certificate + ": expired"));
}

TEST_F(GatewayConfigTest, TheProgramJudgesItAndEndsWithItsOwnCode) {
  const std::string program = absl::StrCat(std::getenv("WERKPLEK_BIN_DIR"), "/werkplek-gateway");
  const std::string good = folder_.Write("good.yaml", good_);
  const auto said = RunProgram({program, "--config", good, "check-config"});
  ASSERT_TRUE(said.ok()) << said.status();
  EXPECT_THAT(*said, HasSubstr("good.yaml: good"));
  ChildProcess bad({program, "--config", folder_.Write("bad.yaml", "name: 1\n"), "check-config"});
  EXPECT_EQ(bad.Wait(absl::Seconds(20)), 78);
  ChildProcess none(std::vector<std::string>{program});
  EXPECT_EQ(none.Wait(absl::Seconds(20)), 64);
}

TEST_F(GatewayConfigTest, TheProgramDoesNotStartWithLimitsBeyondItsDescriptors) {
  const std::string program = absl::StrCat(std::getenv("WERKPLEK_BIN_DIR"), "/werkplek-gateway");
  const std::string log = folder_.File("log");
  const std::string config =
      folder_.Write("many.yaml", absl::StrCat(good_, "limits: {channels: 5000}\n"));
  ChildProcess many({"prlimit", "--nofile=4096:8192", program, "--config", config},
                    {.output_file = log});
  EXPECT_EQ(many.Wait(absl::Seconds(20)), 70);
  EXPECT_THAT(ReadWholeFile(log),
              AllOf(HasSubstr("this process may open 8192 descriptors"), HasSubstr("LimitNOFILE"),
                    HasSubstr("set limits.channels to at most 1439")))
      << "the soft limit is raised to the hard one, and that does not do";
}

}  // namespace
}  // namespace werkplek
