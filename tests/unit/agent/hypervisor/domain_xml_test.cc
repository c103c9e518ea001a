#include "agent/hypervisor/domain_xml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "agent/hypervisor/host_network.h"

namespace werkplek {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

DomainSpec Spec() {
  DomainSpec spec;
  spec.tag = {.desktop = "office-0001",
              .pool = "office",
              .image = "tiny",
              .generation = 3,
              .overlay_identity = "65024:77",
              .overlay_created_unix_ns = 1700000000000000001,
              .backing_sha256 = std::string(64, 'b'),
              .session = "",
              .used = false};
  spec.uuid = "7f9c2ba4-e88f-4270-9b5f-000000000001";
  spec.memory_mib = 128;
  spec.vcpus = 2;
  spec.disk = "/var/lib/werkplek/overlays/office-0001/3.qcow2";
  return spec;
}

// The whole text, so that a change of the domain is seen in review.
constexpr char kHead[] =
    R"(<domain type="qemu">
  <name>werkplek-office-0001</name>
  <uuid>7f9c2ba4-e88f-4270-9b5f-000000000001</uuid>
  <metadata>
    <werkplek:desktop xmlns:werkplek="urn:werkplek:desktop:1" id="office-0001" )"
    R"(pool="office" image="tiny" generation="3" overlay-identity="65024:77" overlay-created="1700000000000000001" backing-sha256=)"
    R"("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" session="" used="no" />
  </metadata>
  <memory unit="MiB">128</memory>
  <vcpu>2</vcpu>
)";
constexpr char kBody[] = R"(  <sysinfo type="smbios">
    <system>
      <entry name="manufacturer">Werkplek</entry>
      <entry name="serial">office-0001</entry>
    </system>
  </sysinfo>
  <os>
    <type arch="x86_64" machine="pc">hvm</type>
    <kernel>/k</kernel>
    <initrd>/i</initrd>
    <cmdline>quiet "x" &lt;&amp;&gt;</cmdline>
    <smbios mode="sysinfo" />
  </os>
  <features>
    <acpi />
    <apic />
  </features>
  <clock offset="utc" />
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <disk type="file" device="disk">
      <driver name="qemu" type="qcow2" discard="unmap" />
      <source file="/var/lib/werkplek/overlays/office-0001/3.qcow2" />
      <target dev="vda" bus="virtio" />
    </disk>
    <graphics type="spice">
      <listen type="none" />
      <clipboard copypaste="no" />
      <filetransfer enable="no" />
    </graphics>
    <graphics type="vnc" sharePolicy="ignore">
      <listen type="none" />
    </graphics>
    <video>
      <model type="vga" vram="16384" />
    </video>
    <input type="tablet" bus="virtio" />
    <channel type="unix">
      <source mode="bind" path="/r/agents/7f9c2ba4-e88f-4270-9b5f-000000000001" />
      <target type="virtio" name="org.qemu.guest_agent.0" />
    </channel>
    <channel type="spicevmc">
      <target type="virtio" name="com.redhat.spice.0" />
    </channel>
    <rng model="virtio">
      <backend model="random">/dev/urandom</backend>
    </rng>
    <memballoon model="virtio" freePageReporting="on" />
  </devices>
</domain>
)";

TEST(DomainXmlTest, TheWholeDomain) {
  DomainSpec spec = Spec();
  spec.kernel = "/k";
  spec.initrd = "/i";
  spec.kernel_arguments = "quiet \"x\" <&>";
  spec.guest_agent = true;
  EXPECT_EQ(BuildDomainXml(spec, {.type = "qemu", .channel_folder = "/r/agents"}),
            absl::StrCat(kHead, kBody));
}

TEST(DomainXmlTest, WithoutAKernelItBootsFromTheDisk) {
  const std::string xml = BuildDomainXml(Spec(), {.type = "kvm"});
  EXPECT_THAT(xml, StartsWith("<domain type=\"kvm\">"));
  EXPECT_THAT(xml, HasSubstr("<boot dev=\"hd\" />"));
  EXPECT_THAT(xml, HasSubstr("host-passthrough"));
  EXPECT_THAT(xml, Not(HasSubstr("<kernel>")));
  EXPECT_THAT(xml, Not(HasSubstr("guest_agent")));
}

TEST(DomainXmlTest, NoDisplayListens) {
  const std::string xml = BuildDomainXml(Spec(), {.type = "qemu"});
  EXPECT_THAT(xml, Not(HasSubstr("port=")));
  EXPECT_THAT(xml, Not(HasSubstr("address")));
  EXPECT_THAT(xml, Not(HasSubstr("autoport")));
}

DomainSpec SpecWithCard() {
  DomainSpec spec = Spec();
  spec.tag.network = "kantoor";
  spec.network = HostNetwork{.name = "kantoor", .bridge = "br-kantoor"};
  return spec;
}

TEST(DomainXmlTest, ACardInABridgeIsIsolatedAndBootsNothing) {
  DomainSpec spec = SpecWithCard();
  EXPECT_THAT(BuildDomainXml(spec, {.type = "qemu"}), HasSubstr(R"(
    <interface type="bridge">
      <mac address=")" + CardAddressOf("office-0001") + R"(" />
      <source bridge="br-kantoor" />
      <port isolated="yes" />
      <model type="virtio" />
      <rom enabled="no" />
    </interface>
)"));
  spec.network->isolated = false;
  EXPECT_THAT(BuildDomainXml(spec, {.type = "qemu"}), Not(HasSubstr("isolated")));
}

TEST(DomainXmlTest, WhereDesktopsMoveTheCardNamesNoBridgeOfTheHost) {
  DomainSpec spec = SpecWithCard();
  const std::string xml = BuildDomainXml(spec, {.type = "qemu", .names_networks = true});
  EXPECT_THAT(xml, HasSubstr(R"(<interface type="network">)"));
  EXPECT_THAT(xml, HasSubstr(R"(<source network="werkplek-kantoor" />)"));
  EXPECT_THAT(xml, Not(HasSubstr("br-kantoor")));
  EXPECT_THAT(xml, Not(HasSubstr("isolated"))) << "each host's own rule counts";
  spec.network = HostNetwork{.name = "kantoor", .libvirt_network = "vlan-12"};
  EXPECT_THAT(BuildDomainXml(spec, {.type = "qemu"}), HasSubstr(R"(<source network="vlan-12" />)"));
}

TEST(DomainXmlTest, TheCardAndItsNetworkAreReadBack) {
  const std::string xml = BuildDomainXml(SpecWithCard(), {.type = "qemu"});
  EXPECT_EQ(ParseDomainXml(xml)->card_address, CardAddressOf("office-0001"));
  EXPECT_THAT(xml, HasSubstr(R"(network="kantoor" />)")) << "the tag";
  EXPECT_EQ(ParseTagXml(BuildTagXml(SpecWithCard().tag))->network, "kantoor");
  EXPECT_EQ(ParseTagXml(BuildTagXml(Spec().tag))->network, "");
  EXPECT_EQ(ParseDomainXml(BuildDomainXml(Spec(), {.type = "qemu"}))->card_address, "");
}

TEST(DomainXmlTest, NothingInAValueEndsIt) {
  DomainSpec spec = Spec();
  spec.tag.pool = "\"/><evil attribute='";
  spec.disk = "/a\"/><evil>'&.qcow2";
  const std::string xml = BuildDomainXml(spec, {.type = "qemu"});
  EXPECT_THAT(xml, Not(HasSubstr("<evil")));
  const auto facts = ParseDomainXml(xml);
  ASSERT_TRUE(facts.ok());
  EXPECT_EQ(facts->disk, spec.disk);
}

TEST(DomainXmlTest, WhatIsBuiltIsReadBack) {
  DomainSpec spec = Spec();
  spec.guest_agent = true;
  const auto facts = ParseDomainXml(BuildDomainXml(spec, {.type = "qemu"}));
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->uuid, spec.uuid);
  EXPECT_EQ(facts->vcpus, 2u);
  EXPECT_EQ(facts->disk, spec.disk);
  EXPECT_TRUE(facts->guest_agent);
  EXPECT_FALSE(facts->guest_agent_connected);
  EXPECT_EQ(facts->spice_index, 0);
  EXPECT_EQ(facts->vnc_index, 1);
}

TEST(DomainXmlTest, ALiveDomainTellsOfItsAgentAndItsMemory) {
  const auto facts = ParseDomainXml(R"(<domain><uuid>u</uuid><memory unit='KiB'>131072</memory>
      <devices><graphics type='vnc'/><channel type='spicevmc'><target name='com.redhat.spice.0'
      state='connected'/></channel><channel type='unix'><target type='virtio'
      name='org.qemu.guest_agent.0' state='connected'/></channel></devices></domain>)");
  ASSERT_TRUE(facts.ok());
  EXPECT_EQ(facts->memory_mib, 128u);
  EXPECT_TRUE(facts->guest_agent_connected);
  EXPECT_EQ(facts->spice_index, -1);
  EXPECT_EQ(facts->vnc_index, 0);
  EXPECT_FALSE(ParseDomainXml("<domain/>").ok());
  EXPECT_FALSE(ParseDomainXml("not XML").ok());
}

TEST(DomainXmlTest, ATagIsReadBackWhole) {
  DomainTag tag = Spec().tag;
  tag.pool = "a \"<&>' \xc3\xa9";
  tag.session = "s-9";
  tag.used = true;
  tag.generation = 18446744073709551615u;
  tag.overlay_created_unix_ns = -1;
  const auto read = ParseTagXml(BuildTagXml(tag));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->desktop, tag.desktop);
  EXPECT_EQ(read->pool, tag.pool);
  EXPECT_EQ(read->image, tag.image);
  EXPECT_EQ(read->generation, tag.generation);
  EXPECT_EQ(read->overlay_identity, tag.overlay_identity);
  EXPECT_EQ(read->overlay_created_unix_ns, tag.overlay_created_unix_ns);
  EXPECT_EQ(read->backing_sha256, tag.backing_sha256);
  EXPECT_EQ(read->session, tag.session);
  EXPECT_TRUE(read->used);
}

TEST(DomainXmlTest, ADamagedTagIsNoTagAndNeverClean) {
  EXPECT_FALSE(ParseTagXml("").ok());
  EXPECT_FALSE(ParseTagXml("<other id='d1'/>").ok());
  EXPECT_FALSE(ParseTagXml("<desktop id='../x' generation='1' overlay-created='1'/>").ok());
  EXPECT_FALSE(ParseTagXml("<desktop id='d1' generation='-1' overlay-created='1'/>").ok());
  EXPECT_FALSE(ParseTagXml("<desktop id='d1' generation='1'/>").ok());
  const auto read = ParseTagXml("<desktop id='d1' generation='1' overlay-created='1'/>");
  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(read->used);
}

TEST(DomainXmlTest, NamesAndBack) {
  EXPECT_EQ(DomainNameOf("d1"), "werkplek-d1");
  EXPECT_EQ(DesktopOf("werkplek-d1"), "d1");
  EXPECT_EQ(DesktopOf("werkplek-"), std::nullopt);
  EXPECT_EQ(DesktopOf("werkplek-A"), std::nullopt);
  EXPECT_EQ(DesktopOf("other"), std::nullopt);
}

struct BadSpec {
  const char* field;
  void (*spoil)(DomainSpec&);
};

TEST(DomainXmlTest, BadSpecsNameTheField) {
  EXPECT_EQ(CheckDomainSpec(Spec()), absl::OkStatus());
  const BadSpec kBad[] = {
      {"desktop", [](DomainSpec& s) { s.tag.desktop = ""; }},
      {"desktop", [](DomainSpec& s) { s.tag.desktop = "a/b"; }},
      {"desktop", [](DomainSpec& s) { s.tag.desktop = "Office"; }},
      {"desktop", [](DomainSpec& s) { s.tag.desktop = "-a"; }},
      {"desktop", [](DomainSpec& s) { s.tag.desktop = std::string(64, 'a'); }},
      {"pool", [](DomainSpec& s) { s.tag.pool = "a\nb"; }},
      {"image", [](DomainSpec& s) { s.tag.image = "a\x7f"; }},
      {"session", [](DomainSpec& s) { s.tag.session = "\xff"; }},
      {"session", [](DomainSpec& s) { s.tag.session = "\xc3"; }},
      {"session", [](DomainSpec& s) { s.tag.session = "\xed\xa0\x80"; }},      // A surrogate.
      {"session", [](DomainSpec& s) { s.tag.session = "\xef\xbf\xbf"; }},      // U+FFFF.
      {"session", [](DomainSpec& s) { s.tag.session = "\xf4\x90\x80\x80"; }},  // Too high.
      {"session", [](DomainSpec& s) { s.tag.session = "\xe0\x80\xaf"; }},      // Overlong.
      {"session", [](DomainSpec& s) { s.tag.session = "\xf0\x80\x80\xaf"; }},
      {"overlay_identity", [](DomainSpec& s) { s.tag.overlay_identity = std::string(5000, 'x'); }},
      {"uuid", [](DomainSpec& s) { s.uuid = "7f9c2ba4"; }},
      {"uuid", [](DomainSpec& s) { s.uuid[8] = 'a'; }},
      {"memory_mib", [](DomainSpec& s) { s.memory_mib = 0; }},
      {"memory_mib", [](DomainSpec& s) { s.memory_mib = 1ull << 40; }},
      {"vcpus", [](DomainSpec& s) { s.vcpus = 0; }},
      {"vcpus", [](DomainSpec& s) { s.vcpus = 513; }},
      {"network", [](DomainSpec& s) { s.tag.network = "kantoor"; }},
      {"network",
       [](DomainSpec& s) {
         s.network = HostNetwork{"kantoor", "br0", ""};
       }},
      {"network",
       [](DomainSpec& s) {
         s = SpecWithCard();
         s.network->bridge.clear();
       }},
      {"bridge",
       [](DomainSpec& s) {
         s = SpecWithCard();
         s.network->bridge = "../eth0";
       }},
      {"disk", [](DomainSpec& s) { s.disk = ""; }},
      {"disk", [](DomainSpec& s) { s.disk = "disk.qcow2"; }},
      {"disk", [](DomainSpec& s) { s.disk = "/a/../../etc/shadow"; }},
      {"kernel", [](DomainSpec& s) { s.kernel = "vmlinuz"; }},
      {"kernel", [](DomainSpec& s) { s.kernel_arguments = "quiet"; }},
      {"kernel", [](DomainSpec& s) { s.initrd = "/i"; }},
      {"initrd",
       [](DomainSpec& s) {
         s.kernel = "/k";
         s.initrd = "i";
       }},
      {"kernel_arguments",
       [](DomainSpec& s) {
         s.kernel = "/k";
         s.kernel_arguments = "a\x01";
       }},
  };
  for (const BadSpec& bad : kBad) {
    DomainSpec spec = Spec();
    bad.spoil(spec);
    const absl::Status status = CheckDomainSpec(spec);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.field;
    EXPECT_THAT(std::string(status.message()), StartsWith(absl::StrCat(bad.field, ":")));
  }
}

}  // namespace
}  // namespace werkplek
