#include "client/api/table.h"

#include <gtest/gtest.h>

#include "absl/strings/str_split.h"

namespace werkplek {
namespace {

Table Hosts() {
  Table table({"HOST", "DESKTOPS", "WHY"});
  table.AddRow({"hv-a1", "7", "a reason that is rather long for a narrow screen"});
  table.AddRow({"hv-a2", "120", ""});
  return table;
}

TEST(Table, AlignsTextLeftAndNumbersRight) {
  EXPECT_EQ(Hosts().Render(0),
            "HOST   DESKTOPS  WHY\n"
            "hv-a1         7  a reason that is rather long for a narrow screen\n"
            "hv-a2       120  -\n");
}

TEST(Table, FitsEveryWidthFromItsLeastOn) {
  for (int width = 17; width < 90; ++width) {
    for (absl::string_view line : absl::StrSplit(Hosts().Render(width), '\n')) {
      EXPECT_LE(DisplayWidth(line), static_cast<size_t>(width)) << line;
    }
  }
}

TEST(Table, CutsTheWidestColumnFirst) {
  EXPECT_EQ(Hosts().Render(30),
            "HOST   DESKTOPS  WHY\n"
            "hv-a1         7  a reason tha…\n"
            "hv-a2       120  -\n");
}

TEST(Table, CountsCharactersNotBytes) {
  Table table({"NAME", "X"});
  table.AddRow({"Zoë", "a"});
  table.AddRow({"Jan", "b"});
  EXPECT_EQ(table.Render(0), "NAME  X\nZoë   a\nJan   b\n");
  EXPECT_EQ(CutToWidth("éééé", 3), "éé…");
  EXPECT_EQ(CutToWidth("éééé", 4), "éééé");
  EXPECT_EQ(CutToWidth("abc", 0), "");
}

TEST(Table, CellsCannotSteerTheTerminal) {
  Table table({"NAME"});
  table.AddRow({"a\x1b]0;x\nb"});
  EXPECT_EQ(table.Render(0), "NAME\na?]0;x?b\n");
}

}  // namespace
}  // namespace werkplek
