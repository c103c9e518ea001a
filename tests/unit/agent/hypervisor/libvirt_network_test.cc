// On libvirt's own imitation of a host.
#include "agent/hypervisor/libvirt_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/hypervisor/host_network.h"
#include "agent/hypervisor/libvirt_handles.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

class LibvirtNetworkTest : public testing::Test {
 protected:
  void SetUp() override {
    connection_ = virConnectOpen("test:///default");
    ASSERT_NE(connection_, nullptr);
  }
  ~LibvirtNetworkTest() override {
    if (connection_ != nullptr) virConnectClose(connection_);
  }
  // As libvirt has it; "": it has none.
  std::string Description(const std::string& name) {
    const NetworkHandle network(virNetworkLookupByName(connection_, name.c_str()));
    if (network == nullptr) return "";
    return LibvirtString(virNetworkGetXMLDesc(network.get(), 0)).get();
  }
  std::string Says(const std::string& name) {
    return std::string(FindLibvirtNetwork(connection_, name).message());
  }

  virConnectPtr connection_ = nullptr;
};

TEST_F(LibvirtNetworkTest, AtHandWhileItIsActive) {
  EXPECT_TRUE(FindLibvirtNetwork(connection_, "default").ok()) << Says("default");
  EXPECT_THAT(Says("vlan-12"), HasSubstr("libvirt has no network vlan-12; define it"));
  const NetworkHandle network(virNetworkLookupByName(connection_, "default"));
  ASSERT_EQ(virNetworkDestroy(network.get()), 0);
  EXPECT_THAT(Says("default"), HasSubstr("is not active; start it"));
}

TEST_F(LibvirtNetworkTest, ABridgeIsOfferedOnceAndAnewWhenItIsAnother) {
  HostNetwork network = {.name = "kantoor", .bridge = "br-1"};
  ASSERT_TRUE(OfferBridge(connection_, network).ok());
  const std::string first = Description("werkplek-kantoor");
  EXPECT_TRUE(IsBridgeNetwork(first, network)) << first;
  ASSERT_TRUE(OfferBridge(connection_, network).ok());
  EXPECT_EQ(Description("werkplek-kantoor"), first) << "its UUID would be another";
  network.bridge = "br-2";
  network.isolated = false;
  const absl::Status again = OfferBridge(connection_, network);
  ASSERT_TRUE(again.ok()) << again;
  EXPECT_TRUE(IsBridgeNetwork(Description("werkplek-kantoor"), network));
}

}  // namespace
}  // namespace werkplek
