// The contract on libvirt's own test driver, with a domain of somebody else's beside ours.
#include <unistd.h>

#include "agent/hypervisor/libvirt_hypervisor.h"
#include "tests/contract/hypervisor/hypervisor_contract.h"
#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

constexpr char kNode[] = R"(<node>
  <cpu><num>16</num><mhz>2600</mhz><sockets>1</sockets><cores>16</cores><threads>1</threads></cpu>
  <memory>67108864</memory>
  <domain type='test'>
    <name>werkplek-stranger</name>
    <uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>
    <memory>8388608</memory><vcpu>2</vcpu>
    <os><type>hvm</type></os>
  </domain>
</node>)";

// One of ours whose generation got lost.
constexpr char kNodeWithDamage[] = R"(<node>
  <memory>67108864</memory>
  <domain type='test'>
    <name>werkplek-damaged</name>
    <uuid>6695eb01-f6a4-8304-79aa-97f2502e1940</uuid>
    <metadata><w:desktop xmlns:w='urn:werkplek:desktop:1' id='damaged'/></metadata>
    <memory>8388608</memory><vcpu>2</vcpu>
    <os><type>hvm</type></os>
  </domain>
</node>)";

class TestDriverKit : public HypervisorKit {
 public:
  explicit TestDriverKit(const char* node = kNode) {
    auto opened = LibvirtHypervisor::Open({.uri = "test://" + folder_.Write("node.xml", node)});
    EXPECT_TRUE(opened.ok()) << opened.status();
    hypervisor_ = *std::move(opened);
  }
  Hypervisor& hypervisor() override { return *hypervisor_; }
  DomainSpec Spec(const std::string& desktop, int number) override {
    return PlainSpec(desktop, number);
  }
  bool has_displays() const override { return false; }
  bool has_guests() const override { return false; }

 private:
  TemporaryFolder folder_;
  std::unique_ptr<LibvirtHypervisor> hypervisor_;
};

INSTANTIATE_TEST_SUITE_P(TestDriver, HypervisorContract,
                         testing::Values(KitParameter{
                             "test", [] { return std::make_unique<TestDriverKit>(); }}));

// The stranger even has a name of our form: only the metadata counts.
TEST(LibvirtTestDriverTest, StrangersAreNotTouched) {
  TestDriverKit kit;
  Hypervisor& hv = kit.hypervisor();
  EXPECT_TRUE(hv.List()->empty());
  EXPECT_EQ(hv.Shutdown("stranger", ShutdownMode::kPowerOff).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(hv.Suspend("stranger", false).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(hv.Remove("stranger").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(hv.Retag(PlainSpec("stranger", 1).tag).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(hv.Create(PlainSpec("stranger", 1)).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(hv.List()->empty());
}

TEST(LibvirtTestDriverTest, ADomainThatCannotBeReadKeepsNobodyFromTheOthers) {
  TestDriverKit kit(kNodeWithDamage);
  Hypervisor& hv = kit.hypervisor();
  EXPECT_EQ(hv.Create(PlainSpec("whole", 1)), absl::OkStatus());
  const auto domains = hv.List();
  ASSERT_TRUE(domains.ok()) << domains.status();
  ASSERT_EQ(domains->size(), 2u);
  EXPECT_EQ((*domains)[0].tag.desktop, "damaged");
  EXPECT_THAT((*domains)[0].unread, testing::HasSubstr("damaged"));
  EXPECT_EQ((*domains)[1].tag.desktop, "whole");
  EXPECT_EQ((*domains)[1].unread, "");
  EXPECT_EQ((*domains)[1].power, DomainPower::kRunning);
}

TEST(LibvirtTestDriverTest, AStartThatFailsLeavesNothing) {
  TestDriverKit kit;
  // The stranger's uuid under another name: libvirt refuses it.
  DomainSpec spec = PlainSpec("d1", 1);
  spec.uuid = "6695eb01-f6a4-8304-79aa-97f2502e193f";
  EXPECT_FALSE(kit.hypervisor().Create(spec).ok());
  EXPECT_TRUE(kit.hypervisor().List()->empty());
}

TEST(LibvirtTestDriverTest, AHypervisorThatIsNotThereIsUnavailable) {
  const auto opened = LibvirtHypervisor::Open({.uri = "test:///nonexistent.xml"});
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(opened.status().message()), testing::HasSubstr("nonexistent.xml"));
}

}  // namespace
}  // namespace werkplek
