// The agent's configuration: one good file, and many bad ones with what each is told.
#include "agent/program/agent_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_replace.h"
#include "tests/support/pki/test_pki.h"
#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class AgentConfigTest : public testing::Test {
 protected:
  AgentConfigTest() {
    const TlsFiles files = pki_.Issue(v1::IDENTITY_HOST, "hv-a1");
    good_ = absl::StrCat(R"(host: hv-a1
brokers: ["127.0.0.1:7444", "broker-b.example:7444"]
data_dir: state
hypervisor: "qemu:///system"
relay:
  listen: ["192.0.2.10:7445"]
tls:
  certificate: )",
                         files.certificate, "\n  key: ", files.key, "\n  ca: ", files.ca, "\n");
  }

  absl::StatusOr<AgentConfig> Load(const std::string& text) {
    return LoadAgentConfig(folder_.Write("agent.yaml", text), AgentConfigCheck::kWhole);
  }
  absl::StatusOr<AgentConfig> LoadWith(const std::string& before, const std::string& after) {
    EXPECT_THAT(good_, HasSubstr(before));
    return Load(absl::StrReplaceAll(good_, {{before, after}}));
  }

  TestPki pki_;
  TemporaryFolder folder_;
  std::string good_;
};

TEST_F(AgentConfigTest, TheGoodOne) {
  const absl::StatusOr<AgentConfig> config = Load(good_);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->host, "hv-a1");
  EXPECT_THAT(config->brokers, ElementsAre("127.0.0.1:7444", "broker-b.example:7444"));
  EXPECT_EQ(config->data_dir, folder_.File("state"));
  EXPECT_THAT(config->core.relays, ElementsAre("192.0.2.10:7445"));
  EXPECT_THAT(config->relay_origins, IsEmpty());
  EXPECT_EQ(config->core.agent_version, WERKPLEK_VERSION);
  EXPECT_FALSE(config->core.suspend_to_disk);
  EXPECT_EQ(config->metrics_address, "");
}

TEST_F(AgentConfigTest, EverythingThatCanBeSet) {
  const absl::StatusOr<AgentConfig> config = Load(absl::StrCat(
      absl::StrReplaceAll(good_, {{"[\"192.0.2.10:7445\"]",
                                   "[\"0.0.0.0:7445\"]\n  advertise: [\"hv-a1.example:7445\"]\n"
                                   "  origins: [\"https://werkplek.example\"]"}}),
      "suspend: disk\nlog: debug\nmetrics: 127.0.0.1:9101\nimage_folders: [/srv/images]\n"
      "limits:\n  operations: 8\n  light_operations: 32\n  desktops: 50\n"
      "times:\n  guest_poll: 5s\n  list_interval: 10s\n  guest_shutdown: 1m\n  acpi_shutdown: "
      "30s\n"));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(config->core.relays, ElementsAre("hv-a1.example:7445"));
  EXPECT_THAT(config->relay_listen, ElementsAre("0.0.0.0:7445"));
  EXPECT_THAT(config->relay_origins, ElementsAre("https://werkplek.example"));
  EXPECT_TRUE(config->core.suspend_to_disk);
  EXPECT_EQ(config->core.max_operations, 8u);
  EXPECT_EQ(config->core.max_light_operations, 32u);
  EXPECT_EQ(config->core.max_desktops, 50u);
  EXPECT_EQ(config->core.guest_shutdown, absl::Minutes(1));
  EXPECT_THAT(config->core.image_folders, ElementsAre("/srv/images"));
  EXPECT_EQ(config->metrics_address, "127.0.0.1:9101");
}

struct Bad {
  const char* before;
  const char* after;
  // Stands in the complaint, with the line.
  const char* complaint;
};

TEST_F(AgentConfigTest, EachBadFileIsToldItsLineAndField) {
  const Bad all[] = {
      {"host: hv-a1", "host: HV_A1", "agent.yaml:1: host: "},
      {"host: hv-a1", "host: hv-b2", "not of host/hv-b2"},
      {"host: hv-a1\n", "", "host: "},
      {"host: hv-a1\n", "host: hv-a1\nhost: hv-a1\n", "agent.yaml:2: "},
      {"host: hv-a1\n", "hots: hv-a1\n", "hots: "},
      {"[\"127.0.0.1:7444\", \"broker-b.example:7444\"]", "[]", "agent.yaml:2: brokers: "},
      {"[\"127.0.0.1:7444\", \"broker-b.example:7444\"]", "127.0.0.1:7444",
       "agent.yaml:2: brokers: "},
      {"127.0.0.1:7444", "127.0.0.1", "agent.yaml:2: brokers[0]: "},
      {"127.0.0.1:7444", "127.0.0.1:99999", "agent.yaml:2: brokers[0]: "},
      {"data_dir: state\n", "", "data_dir: "},
      {"qemu:///system", "xen:///system", "agent.yaml:4: hypervisor: "},
      {"qemu:///system", "qemu+ssh://other/system", "agent.yaml:4: hypervisor: "},
      {"qemu:///system", "qemu:///embed?root=relative", "agent.yaml:4: hypervisor: "},
      {"[\"192.0.2.10:7445\"]", "[]", "agent.yaml:6: relay.listen: "},
      {"[\"192.0.2.10:7445\"]", "[\"relay.example:7445\"]", "agent.yaml:6: relay.listen[0]: "},
      {"[\"192.0.2.10:7445\"]", "[\"0.0.0.0:7445\"]", "relay.advertise: "},
      {"[\"192.0.2.10:7445\"]", "[\"192.0.2.10:7445\"]\n  port: 1", "agent.yaml:7: relay.port: "},
      {"relay:\n  listen: [\"192.0.2.10:7445\"]\n", "", "relay: "},
      {"hv-a1\nbrokers", "hv-a1\nlog: loud\nbrokers", "agent.yaml:2: log: "},
      {"hv-a1\nbrokers", "hv-a1\nsuspend: never\nbrokers", "agent.yaml:2: suspend: "},
      {"hv-a1\nbrokers", "hv-a1\nmetrics: 0.0.0.0:9101\nbrokers", "agent.yaml:2: metrics: "},
      {"hv-a1\nbrokers", "hv-a1\nimage_folders: [images]\nbrokers",
       "agent.yaml:2: image_folders[0]: "},
      {"hv-a1\nbrokers", "hv-a1\nimage_folders: [/srv/../etc]\nbrokers",
       "agent.yaml:2: image_folders[0]: "},
      {"hv-a1\nbrokers", "hv-a1\nlimits: {operations: 0}\nbrokers",
       "agent.yaml:2: limits.operations: "},
      {"hv-a1\nbrokers", "hv-a1\nlimits: {operations: many}\nbrokers",
       "agent.yaml:2: limits.operations: "},
      {"hv-a1\nbrokers", "hv-a1\ntimes: {guest_poll: 3}\nbrokers",
       "agent.yaml:2: times.guest_poll: "},
      {"hv-a1\nbrokers", "hv-a1\ntimes: {guest_shutdown: 1h}\nbrokers",
       "agent.yaml:2: times.guest_shutdown: "},
      {"hv-a1\nbrokers", "hv-a1\n\ttab: 1\nbrokers", "agent.yaml:2: "},
  };
  for (const Bad& bad : all) {
    const absl::StatusOr<AgentConfig> config = LoadWith(bad.before, bad.after);
    EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument) << bad.after;
    EXPECT_THAT(config.status().message(), HasSubstr(bad.complaint));
  }
}

TEST_F(AgentConfigTest, TheFilesMustBeThereAndFit) {
  EXPECT_THAT(LoadWith("hv-a1.key", "gone.key").status().message(), HasSubstr("gone.key"));
  const TlsFiles other = pki_.Issue(v1::IDENTITY_CLIENT, "tc-1");
  const TlsFiles own = pki_.Issue(v1::IDENTITY_HOST, "hv-a1");
  EXPECT_THAT(
      Load(absl::StrReplaceAll(good_, {{own.certificate, other.certificate}, {own.key, other.key}}))
          .status()
          .message(),
      HasSubstr("is of client/tc-1"));
  EXPECT_FALSE(Load(absl::StrReplaceAll(good_, {{own.key, other.key}})).ok());
}

TEST_F(AgentConfigTest, AllComplaintsAtOnce) {
  const absl::Status status =
      Load(absl::StrReplaceAll(good_, {{"qemu:///system", "xen"}, {"127.0.0.1:7444", "x"}}))
          .status();
  EXPECT_THAT(status.message(), HasSubstr("hypervisor: "));
  EXPECT_THAT(status.message(), HasSubstr("brokers[0]: "));
}

}  // namespace
}  // namespace werkplek
