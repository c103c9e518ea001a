// Limits that need more descriptors than the process may open are found before anybody connects.
#include "gateway/program/descriptors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// What the unit lets the program open.
uint64_t OfUnit() {
  const std::string unit = ReadWholeFile(
      absl::StrCat(std::getenv("WERKPLEK_SOURCE_DIR"), "/deploy/systemd/werkplek-gateway.service"));
  constexpr absl::string_view kKey = "\nLimitNOFILE=";
  const size_t at = unit.find(std::string(kKey));
  EXPECT_NE(at, std::string::npos);
  return at == std::string::npos ? 0 : std::stoul(unit.substr(at + kKey.size()));
}

GatewayConfig WithPortal() {
  GatewayConfig config;
  config.brokers = {"192.0.2.1:7443", "192.0.2.2:7443"};
  config.relay.addresses = {"192.0.2.10:7460"};
  config.portal.addresses = {"192.0.2.10:8443"};
  return config;
}

void SetChannels(GatewayConfig& config, size_t channels) {
  config.names_channels = true;
  config.relay.max_channels = config.portal.max_displays = channels;
}

TEST(DescriptorsTest, TheDefaultsAndTheMostChannelsFitTheUnit) {
  GatewayConfig config = WithPortal();
  EXPECT_TRUE(FitDescriptors(OfUnit(), config).ok());
  EXPECT_EQ(config.relay.max_channels, 4'096u) << "untouched";
  SetChannels(config, 5'000);
  EXPECT_TRUE(FitDescriptors(OfUnit(), config).ok());
}

TEST(DescriptorsTest, EachConnectionOfEachPortTakesFour) {
  GatewayConfig config = WithPortal();
  const uint64_t before = DescriptorsWhenFull(config);
  SetChannels(config, config.relay.max_channels + 1);
  EXPECT_EQ(DescriptorsWhenFull(config), before + 8) << "a client's and a browser's";
  ++config.relay.max_waiting;
  EXPECT_EQ(DescriptorsWhenFull(config), before + 12);
  ++config.portal.max_waiting;
  EXPECT_EQ(DescriptorsWhenFull(config), before + 16);
  config.portal.addresses.clear();
  const uint64_t without_portal = DescriptorsWhenFull(config);
  SetChannels(config, config.relay.max_channels + 1);
  EXPECT_EQ(DescriptorsWhenFull(config), without_portal + 4);
}

TEST(DescriptorsTest, LimitsThatTheFileNamesAreRefusedWithWhatToDo) {
  GatewayConfig config = WithPortal();
  SetChannels(config, 12'000);
  const absl::Status refused = FitDescriptors(65'536, config);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr("may open 65536 descriptors"), HasSubstr("limits.channels: 12000"),
                    HasSubstr("limits.waiting: 512, limits.browsers: 2048)"),
                    HasSubstr("take up to 106628"), HasSubstr("raise LimitNOFILE"),
                    HasSubstr("set limits.channels to at most 6863")));
  EXPECT_EQ(config.relay.max_channels, 12'000u);
  SetChannels(config, 6'863);
  EXPECT_TRUE(FitDescriptors(65'536, config).ok()) << "what it said fits";
  SetChannels(config, 6'864);
  EXPECT_FALSE(FitDescriptors(65'536, config).ok());
}

TEST(DescriptorsTest, TheDefaultIsLoweredToWhatFitsAndSaysSo) {
  std::vector<std::string> lines;
  SetLogSink([&](const std::string& line) { lines.push_back(line); });
  GatewayConfig config = WithPortal();
  const absl::Status fits = FitDescriptors(20'000, config);
  SetLogSink(nullptr);
  EXPECT_TRUE(fits.ok()) << fits;
  EXPECT_EQ(config.relay.max_channels, 1'171u);
  EXPECT_EQ(config.portal.max_displays, 1'171u);
  EXPECT_LE(DescriptorsWhenFull(config), 20'000u);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0], HasSubstr("event=channels-lowered channels=1171"));
}

TEST(DescriptorsTest, WhereNotOneChannelFitsItSaysWhatElseToDo) {
  GatewayConfig config = WithPortal();
  const absl::Status refused = FitDescriptors(1'024, config);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr("10628 without any channel"),
                    HasSubstr("lower limits.waiting or limits.browsers")));
}

}  // namespace
}  // namespace werkplek
