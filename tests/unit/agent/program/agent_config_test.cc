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

struct Bad {
  const char* before;
  const char* after;
  // Stands in the complaint, with the line.
  const char* complaint;
};

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

  template <size_t count>
  void ExpectComplaints(const Bad (&all)[count]) {
    for (const Bad& bad : all) {
      const absl::StatusOr<AgentConfig> config = LoadWith(bad.before, bad.after);
      EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument) << bad.after;
      EXPECT_THAT(config.status().message(), HasSubstr(bad.complaint));
    }
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
  EXPECT_EQ(config->heard_file, folder_.File("state/heard"));
  EXPECT_THAT(config->storages, IsEmpty());
  EXPECT_EQ(config->core.migration_uri, "");
  EXPECT_TRUE(config->migration_tls);
  EXPECT_EQ(config->core.max_moves, 1u);
}

TEST_F(AgentConfigTest, EverythingThatCanBeSet) {
  const absl::StatusOr<AgentConfig> config = Load(absl::StrCat(
      absl::StrReplaceAll(good_, {{"[\"192.0.2.10:7445\"]",
                                   "[\"0.0.0.0:7445\"]\n  advertise: [\"hv-a1.example:7445\"]\n"
                                   "  origins: [\"https://werkplek.example\"]"}}),
      "suspend: disk\nlog: debug\nmetrics: 127.0.0.1:9101\nimage_folders: [/srv/images]\n"
      "limits:\n  operations: 8\n  light_operations: 32\n  desktops: 50\n"
      "  max_moves: 2\nheard_file: /run/werkplek-agent/heard\n"
      "storages:\n- {name: nfs-2, path: /srv/b}\n"
      "- {name: nfs-1, path: /srv/a, plain_folder: true}\n"
      "migration:\n  uri: qemu+tcp://192.0.2.10/system\n  tls: false\n"
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
  EXPECT_EQ(config->core.max_moves, 2u);
  EXPECT_EQ(config->heard_file, "/run/werkplek-agent/heard");
  EXPECT_THAT(config->core.storages, ElementsAre("nfs-1", "nfs-2"));
  ASSERT_EQ(config->storages.size(), 2u);
  EXPECT_EQ(config->storages[0].path, "/srv/b");
  EXPECT_FALSE(config->storages[0].plain_folder);
  EXPECT_TRUE(config->storages[1].plain_folder);
  EXPECT_EQ(config->core.migration_uri, "qemu+tcp://192.0.2.10/system");
  EXPECT_FALSE(config->migration_tls);
}

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
  ExpectComplaints(all);
}

TEST_F(AgentConfigTest, EachBadStorageAndMigrationIsToldToo) {
  const Bad all[] = {
      {"hv-a1\nbrokers", "hv-a1\nlimits: {max_moves: 0}\nbrokers",
       "agent.yaml:2: limits.max_moves: "},
      {"hv-a1\nbrokers", "hv-a1\nstorages: nfs-1\nbrokers", "agent.yaml:2: storages: "},
      {"hv-a1\nbrokers", "hv-a1\nstorages: [{path: /srv/a}]\nbrokers", "storages[0].name: "},
      {"hv-a1\nbrokers", "hv-a1\nstorages: [{name: nfs-1}]\nbrokers", "storages[0].path: "},
      {"hv-a1\nbrokers",
       "hv-a1\nstorages: [{name: nfs-1, path: /srv/a, plain_folder: maybe}]\nbrokers",
       "agent.yaml:2: storages[0].plain_folder: "},
      {"hv-a1\nbrokers", "hv-a1\nstorages: [{name: NFS, path: /srv/a}]\nbrokers",
       "agent.yaml:2: storages[0].name: "},
      {"hv-a1\nbrokers", "hv-a1\nstorages: [{name: nfs-1, path: srv/a}]\nbrokers",
       "agent.yaml:2: storages[0].path: "},
      {"hv-a1\nbrokers", "hv-a1\nstorages: [{name: nfs-1, path: /srv/a/}]\nbrokers",
       "agent.yaml:2: storages[0].path: "},
      {"hv-a1\nbrokers", "hv-a1\nstorages: [{name: nfs-1, path: /srv/../a}]\nbrokers",
       "agent.yaml:2: storages[0].path: "},
      {"hv-a1\nbrokers",
       "hv-a1\nstorages:\n- {name: nfs-1, path: /srv/a}\n- {name: nfs-1, path: /srv/b}\nbrokers",
       "agent.yaml:4: storages[1].name: "},
      {"hv-a1\nbrokers",
       "hv-a1\nstorages:\n- {name: nfs-1, path: /srv/a}\n- {name: nfs-2, path: /srv/a}\nbrokers",
       "agent.yaml:4: storages[1].path: "},
      {"hv-a1\nbrokers", "hv-a1\nmigration: {uri: 'qemu+ssh://hv-a1/system'}\nbrokers",
       "agent.yaml:2: migration.uri: "},
      {"hv-a1\nbrokers", "hv-a1\nmigration: {uri: 'qemu+tcp://192.0.2.1/system'}\nbrokers",
       "use qemu+tls, or `tls: false`"},
      {"\"qemu:///system\"",
       "\"qemu:///embed?root=/x\"\nmigration: {uri: 'qemu+tls://hv-a1/system'}",
       "agent.yaml:5: migration.uri: "},
      {"hv-a1\nbrokers", "hv-a1\nmigration: {tls: maybe}\nbrokers",
       "agent.yaml:2: migration.tls: "},
  };
  ExpectComplaints(all);
}

TEST_F(AgentConfigTest, NetworksAreBridgesOrLibvirts) {
  const absl::StatusOr<AgentConfig> config = Load(absl::StrCat(
      good_,
      "networks:\n- {name: kantoor, bridge: br-kantoor}\n"
      "- {name: gast, bridge: br-gast, isolated: false}\n- {name: beheer, libvirt_network: "
      "vlan-12}\n"));
  ASSERT_TRUE(config.ok()) << config.status();
  const std::vector<HostNetwork>& networks = config->core.networks;
  ASSERT_EQ(networks.size(), 3u);
  EXPECT_EQ(networks[0].name, "beheer");
  EXPECT_EQ(networks[0].libvirt_network, "vlan-12");
  EXPECT_EQ(networks[1].name, "gast");
  EXPECT_FALSE(networks[1].isolated);
  EXPECT_EQ(networks[2].bridge, "br-kantoor");
  EXPECT_TRUE(networks[2].isolated);
}

TEST_F(AgentConfigTest, EachBadNetworkIsToldToo) {
  const Bad all[] = {
      {"hv-a1\nbrokers", "hv-a1\nnetworks: kantoor\nbrokers", "agent.yaml:2: networks: "},
      {"hv-a1\nbrokers", "hv-a1\nnetworks: [{bridge: br0}]\nbrokers", "networks[0].name: "},
      {"hv-a1\nbrokers", "hv-a1\nnetworks: [{name: Kantoor, bridge: br0}]\nbrokers",
       "agent.yaml:2: networks[0].name: "},
      {"hv-a1\nbrokers", "hv-a1\nnetworks: [{name: kantoor}]\nbrokers",
       "give either the host's bridge, or `libvirt_network`"},
      {"hv-a1\nbrokers",
       "hv-a1\nnetworks: [{name: kantoor, bridge: br0, libvirt_network: kantoor}]\nbrokers",
       "agent.yaml:2: networks[0].bridge: "},
      {"hv-a1\nbrokers", "hv-a1\nnetworks: [{name: kantoor, bridge: ../eth0}]\nbrokers",
       "agent.yaml:2: networks[0].bridge: "},
      {"hv-a1\nbrokers", "hv-a1\nnetworks: [{name: kantoor, bridge: br-of-sixteen-by}]\nbrokers",
       "agent.yaml:2: networks[0].bridge: "},
      {"hv-a1\nbrokers", "hv-a1\nnetworks: [{name: kantoor, bridge: br0, isolated: si}]\nbrokers",
       "agent.yaml:2: networks[0].isolated: "},
      {"hv-a1\nbrokers",
       "hv-a1\nnetworks: [{name: kantoor, libvirt_network: n, isolated: true}]\nbrokers",
       "agent.yaml:2: networks[0].isolated: "},
      {"hv-a1\nbrokers",
       "hv-a1\nnetworks:\n- {name: kantoor, bridge: br0}\n- {name: kantoor, bridge: br1}\nbrokers",
       "agent.yaml:4: networks[1].name: "},
      {"\"qemu:///system\"",
       "\"qemu:///embed?root=/x\"\nnetworks: [{name: kantoor, libvirt_network: kantoor}]",
       "agent.yaml:5: networks[0].libvirt_network: "},
      {"hv-a1\nbrokers",
       "hv-a1\nmigration: {uri: 'qemu+tls://hv-a1/system'}\n"
       "networks: [{name: kantoor, libvirt_network: vlan-12}]\nbrokers",
       "call it werkplek-kantoor in libvirt, on every host"},
  };
  ExpectComplaints(all);
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
