// docs/state-machines.md is what the tables say. To write it anew after a change of a table:
// WERKPLEK_WRITE_DOCS=1 state_machines_doc_test
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "broker/model/desktop_machine.h"
#include "broker/model/session_machine.h"

namespace werkplek {
namespace {

// One machine: a picture, and the table behind it.
template <typename State, typename Event, size_t kStates, size_t kEvents>
std::string Draw() {
  std::string picture = "```mermaid\nstateDiagram-v2\n";
  std::string table = "| from | event | to |\n|---|---|---|\n";
  for (size_t row = 0; row < kStates; ++row) {
    const auto from = static_cast<State>(row);
    for (size_t column = 0; column < kEvents; ++column) {
      const auto event = static_cast<Event>(column);
      const auto to = Next(from, event);
      if (!to) continue;
      absl::StrAppend(&picture, "    ", StateName(from), " --> ", StateName(*to), " : ",
                      EventName(event), "\n");
      absl::StrAppend(&table, "| ", StateName(from), " | ", EventName(event), " | ", StateName(*to),
                      " |\n");
    }
  }
  return absl::StrCat(picture, "```\n\n", table);
}

std::string Page() {
  return absl::StrCat(
      "# State machines\n\n"
      "Written by `tests/unit/broker/model/state_machines_doc_test.cc` from the tables in\n"
      "`broker/model/desktop_machine.h` and `broker/model/session_machine.h`, which also say what\n"
      "each event means. What is not listed here is rejected, counted (`rejected_transitions`) "
      "and\n"
      "logged; nothing changes then.\n\n"
      "## Desktop\n\n"
      "`Off` is the home of dedicated desktops; floating ones never enter it. A desktop that was\n"
      "used (`Assigned`) becomes a spare (`Ready`) only by way of `Resetting` and a proof of\n"
      "cleanness.\n\n",
      Draw<v1::DesktopState, DesktopEvent, kDesktopStates, kDesktopEvents>(),
      "\n## Session\n\n"
      "`New` is a session that is being made; it is never stored.\n\n",
      Draw<v1::SessionState, SessionEvent, kSessionStates, kSessionEvents>());
}

TEST(StateMachinesDocTest, ThePageIsWhatTheTablesSay) {
  const char* source = std::getenv("WERKPLEK_SOURCE_DIR");
  ASSERT_NE(source, nullptr) << "run it with ctest";
  const std::string path = absl::StrCat(source, "/docs/state-machines.md");
  if (std::getenv("WERKPLEK_WRITE_DOCS") != nullptr) std::ofstream(path) << Page();
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), Page()) << "write it anew: WERKPLEK_WRITE_DOCS=1";
}

}  // namespace
}  // namespace werkplek
