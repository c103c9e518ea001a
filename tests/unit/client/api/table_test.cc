#include "client/api/table.h"

#include <gtest/gtest.h>

#include "absl/strings/str_split.h"

namespace werkplek {
namespace {

Table Hosts() {
  Table table({"HOST", "DESKTOPS", "WHY"}, {"WHY"});
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

TEST(Table, FitsEveryWidth) {
  for (int width = 5; width < 90; ++width) {
    const std::string note = "left out";
    for (absl::string_view line :
         absl::StrSplit(Hosts().Render(width, [&](const std::string&) { return note; }), '\n')) {
      if (line != note) {
        EXPECT_LE(DisplayWidth(line), static_cast<size_t>(width)) << line;
      }
    }
  }
}

TEST(Table, CutsFreeTextAlone) {
  EXPECT_EQ(Hosts().Render(30),
            "HOST   DESKTOPS  WHY\n"
            "hv-a1         7  a reason tha…\n"
            "hv-a2       120  -\n");
}

TEST(Table, CutsTheWidestFreeTextFirst) {
  Table table({"ID", "NAME", "WHY"}, {"NAME", "WHY"});
  table.AddRow({"1", "a name of some length", "a reason of twenty-five c"});
  EXPECT_EQ(table.Render(37),
            "ID  NAME             WHY\n"
            " 1  a name of some…  a reason of twe…\n");
}

TEST(Table, LeavesTheLastColumnsOutRatherThanCutAKey) {
  Table table({"DESKTOP", "ERROR", "SINCE"}, {"ERROR"});
  table.AddRow({"kantoor-0123456789abcdef", "the host said no and no again", "2026-11-27 14:05"});
  EXPECT_EQ(table.Render(40),
            "DESKTOP                   ERROR\n"
            "kantoor-0123456789abcdef  the host said…\n"
            "Left out, for want of width: SINCE (-o json shows all).\n");
  EXPECT_EQ(table.Render(20),
            "DESKTOP\n"
            "kantoor-0123456789abcdef\n"
            "Left out, for want of width: ERROR, SINCE (-o json shows all).\n");
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
