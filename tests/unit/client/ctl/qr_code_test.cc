#include "client/ctl/qr_code.h"

#include <gtest/gtest.h>
#include <qrencode.h>

#include "absl/strings/str_split.h"

namespace werkplek {
namespace {

constexpr char kUri[] =
    "otpauth://totp/Werkplek:jan?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Werkplek";

// Light and dark, read back from the half blocks as a camera sees them.
std::vector<std::vector<bool>> LightOf(const std::string& drawing) {
  std::vector<std::vector<bool>> light;
  for (absl::string_view line : absl::StrSplit(drawing, '\n', absl::SkipEmpty())) {
    std::vector<bool> above;
    std::vector<bool> below;
    for (size_t i = 0; i < line.size();) {
      if (line[i] == '\x1b') {
        i = line.find('m', i) + 1;
        continue;
      }
      const bool blank = line[i] == ' ';
      const absl::string_view glyph = line.substr(i, blank ? 1 : 3);
      above.push_back(glyph == "█" || glyph == "▀");
      below.push_back(glyph == "█" || glyph == "▄");
      i += glyph.size();
    }
    light.push_back(above);
    light.push_back(below);
  }
  return light;
}

TEST(QrCode, DrawsEveryModuleWithinAMarginOfFour) {
  for (const bool colours : {false, true}) {
    const absl::StatusOr<QrModules> modules = EncodeQr(kUri);
    ASSERT_TRUE(modules.ok());
    const size_t size = modules->size();
    const auto light = LightOf(DrawQr(*modules, colours));
    ASSERT_GE(light.size(), size + 8);
    for (size_t y = 0; y < size + 8; ++y) {
      ASSERT_EQ(light[y].size(), size + 8);
      for (size_t x = 0; x < size + 8; ++x) {
        const bool inside = y >= 4 && y < size + 4 && x >= 4 && x < size + 4;
        EXPECT_EQ(light[y][x], !inside || !(*modules)[y - 4][x - 4]) << y << "," << x;
      }
    }
  }
}

TEST(QrCode, HasTheFinderPatternsInThreeCorners) {
  const absl::StatusOr<QrModules> modules = EncodeQr(kUri);
  ASSERT_TRUE(modules.ok());
  const size_t last = modules->size() - 7;
  // ISO/IEC 18004: dark 7x7, a light ring, a dark 3x3.
  for (const auto& [top, left] : {std::pair<size_t, size_t>{0, 0}, {0, last}, {last, 0}}) {
    for (size_t y = 0; y < 7; ++y) {
      for (size_t x = 0; x < 7; ++x) {
        const bool edge = y == 0 || y == 6 || x == 0 || x == 6;
        const bool middle = y >= 2 && y <= 4 && x >= 2 && x <= 4;
        EXPECT_EQ((*modules)[top + y][left + x], edge || middle);
      }
    }
  }
}

TEST(QrCode, RefusesWhatDoesNotFit) {
  EXPECT_FALSE(EncodeQr("").ok());
  EXPECT_TRUE(EncodeQr(std::string(2000, 'x')).ok());
  EXPECT_FALSE(EncodeQr(std::string(2001, 'x')).ok());
}

}  // namespace
}  // namespace werkplek
