#include "agent/hypervisor/host_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "absl/strings/str_cat.h"
#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

TEST(CardAddressTest, TheSameForEver) {
  // The first bytes of the SHA-256 of the id; a guest knows its card again by it.
  EXPECT_EQ(CardAddressOf("kantoor-09c2ca44"), CardAddressOf("kantoor-09c2ca44"));
  EXPECT_EQ(CardAddressOf("abc"), "ba:78:16:bf:8f:01");
}

TEST(CardAddressTest, UnicastLocallyAdministeredAndOfOneDesktop) {
  std::set<std::string> all;
  for (int i = 0; i < 1000; ++i) {
    const std::string address = CardAddressOf(absl::StrCat("kantoor-", i));
    EXPECT_THAT(address, MatchesRegex("[0-9a-f][26ae](:[0-9a-f][0-9a-f])+"));
    EXPECT_EQ(address.size(), 17u);
    all.insert(address);
  }
  EXPECT_EQ(all.size(), 1000u);
}

TEST(HostNetworkTest, ExactlyOneOfTheTwo) {
  EXPECT_TRUE(CheckHostNetwork({.name = "k", .bridge = "br-kantoor"}).ok());
  EXPECT_TRUE(CheckHostNetwork({.name = "k", .bridge = "vmbr0.100"}).ok());
  EXPECT_TRUE(CheckHostNetwork({.name = "k", .libvirt_network = "vlan_12"}).ok());
  EXPECT_FALSE(CheckHostNetwork({.name = "k"}).ok());
  EXPECT_FALSE(CheckHostNetwork({.name = "k", .bridge = "br0", .libvirt_network = "n"}).ok());
  for (const char* bridge : {".", "..", "a/b", "a b", "br:1", "bridge-of-16-byt"}) {
    EXPECT_THAT(CheckHostNetwork({.name = "k", .bridge = bridge}).message(), HasSubstr("bridge: "))
        << bridge;
  }
  EXPECT_THAT(CheckHostNetwork({.name = "k", .libvirt_network = "a/b"}).message(),
              HasSubstr("libvirt_network: "));
}

TEST(HostNetworkTest, ABridgeIsANetworkOfLibvirtsByOurName) {
  HostNetwork network = {.name = "kantoor", .bridge = "br-1"};
  EXPECT_EQ(LibvirtNetworkOf(network), "werkplek-kantoor");
  const std::string xml = BuildBridgeNetworkXml(network);
  EXPECT_EQ(xml, R"(<network>
  <name>werkplek-kantoor</name>
  <forward mode="bridge" />
  <bridge name="br-1" />
  <port isolated="yes" />
</network>
)");
  EXPECT_TRUE(IsBridgeNetwork(xml, network));
  network.isolated = false;
  EXPECT_FALSE(IsBridgeNetwork(xml, network));
  EXPECT_TRUE(IsBridgeNetwork(BuildBridgeNetworkXml(network), network));
  network.bridge = "br-2";
  EXPECT_FALSE(IsBridgeNetwork(xml, network));
  EXPECT_FALSE(IsBridgeNetwork("<network><bridge name='br-2'/></network>", network))
      << "libvirt made that bridge";
  EXPECT_FALSE(IsBridgeNetwork("", network));
  EXPECT_EQ(LibvirtNetworkOf({.name = "kantoor", .libvirt_network = "vlan"}), "vlan");
}

class BridgeTest : public testing::Test {
 protected:
  void Make(const std::string& name, bool bridge, const std::string& flags) {
    std::filesystem::create_directories(folder_.File(name) + (bridge ? "/bridge" : ""));
    std::ofstream(folder_.File(name) + "/flags") << flags << "\n";
  }
  std::string Says(const std::string& bridge) {
    return std::string(BridgeAtHand(folder_.path(), bridge).message());
  }

  TemporaryFolder folder_;
};

TEST_F(BridgeTest, AtHandWhenItIsThereAndUp) {
  Make("br0", true, "0x1003");
  Make("br1", true, "0x1002");
  Make("eth0", false, "0x1003");
  Make("br2", true, "up");
  EXPECT_EQ(Says("br0"), "");
  EXPECT_THAT(Says("br1"), HasSubstr("bridge br1 is down; bring it up"));
  EXPECT_THAT(Says("eth0"), HasSubstr("eth0 is no bridge; make one"));
  EXPECT_THAT(Says("br2"), HasSubstr("cannot read"));
  EXPECT_THAT(Says("br9"), HasSubstr("this host has no bridge br9; make it"));
}

}  // namespace
}  // namespace werkplek
