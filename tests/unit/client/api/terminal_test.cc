#include "client/api/terminal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <thread>

#include "client/api/exit_code.h"
#include "tests/unit/client/pty.h"

namespace werkplek {
namespace {

using testing::HasSubstr;
using testing::Not;

// A person who waits for the question and types; gives what the program got.
struct Typed {
  absl::StatusOr<Secret> answer;
  std::string screen;
  bool echo_after = false;
};
Typed TypeHidden(absl::string_view keys) {
  Pty pty;
  DescriptorBuffer buffer(pty.slave());
  std::ostream questions(&buffer);
  Terminal terminal(pty.slave(), questions, pty.slave());
  absl::StatusOr<Secret> answer = absl::UnknownError("");
  std::thread program([&] { answer = terminal.AskHidden("Password: "); });
  pty.ReadUntil("Password: ");
  pty.Type(keys);
  program.join();
  termios settings = {};
  tcgetattr(pty.slave(), &settings);
  return {answer, pty.Screen(), (settings.c_lflag & ECHO) != 0 && (settings.c_lflag & ICANON) != 0};
}

TEST(Terminal, ShowsNothingOfAHiddenAnswer) {
  const Typed typed = TypeHidden("Geheim123!\r");
  ASSERT_TRUE(typed.answer.ok());
  EXPECT_EQ(typed.answer->Reveal(), "Geheim123!");
  EXPECT_EQ(typed.screen, "Password: \r\n");
  EXPECT_TRUE(typed.echo_after);
}

TEST(Terminal, EditsAHiddenAnswer) {
  EXPECT_EQ(TypeHidden("abcd\x7f\x7fX\r").answer->Reveal(), "abX");
  EXPECT_EQ(TypeHidden("wrong\x15right\n").answer->Reveal(), "right");
  EXPECT_EQ(TypeHidden("a\xc3\xa9\x7f\r").answer->Reveal(), "a");
  EXPECT_EQ(TypeHidden("\r").answer->Reveal(), "");
  // Bytes are kept as they are, blanks at the ends too.
  EXPECT_EQ(TypeHidden(" pass \xf0\x9f\x99\x82 \r").answer->Reveal(), " pass \xf0\x9f\x99\x82 ");
}

TEST(Terminal, AnInterruptGivesTheEchoBack) {
  for (const char* keys : {"Gehe\x03", "\x04"}) {
    const Typed typed = TypeHidden(keys);
    EXPECT_EQ(ExitCodeFor(typed.answer.status()), ExitCode::kInterrupted);
    EXPECT_THAT(typed.screen, Not(HasSubstr("Gehe")));
    EXPECT_TRUE(typed.echo_after);
  }
}

TEST(Terminal, LinesOfAPipeAreReadWithoutQuestions) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const std::string lines = "password with spaces \n123456\n";
  ASSERT_EQ(write(ends[1], lines.data(), lines.size()), static_cast<ssize_t>(lines.size()));
  close(ends[1]);
  std::ostringstream questions;
  Terminal terminal(ends[0], questions);
  EXPECT_EQ(terminal.AskHidden("Password: ")->Reveal(), "password with spaces ");
  EXPECT_EQ(terminal.AskHidden("Code: ")->Reveal(), "123456");
  // Nobody broke anything off: what is missing is missing from the command line.
  EXPECT_EQ(ExitCodeFor(terminal.AskHidden("More: ").status()), ExitCode::kUsage);
  EXPECT_EQ(ExitCodeFor(terminal.Ask("More: ").status()), ExitCode::kUsage);
  EXPECT_EQ(questions.str(), "");
  close(ends[0]);
}

TEST(Terminal, ALineHasALimit) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const std::string line(2000, 'x');
  ASSERT_EQ(write(ends[1], line.data(), line.size()), static_cast<ssize_t>(line.size()));
  close(ends[1]);
  std::ostringstream questions;
  Terminal terminal(ends[0], questions);
  EXPECT_EQ(ExitCodeFor(terminal.AskHidden("").status()), ExitCode::kLocal);
  close(ends[0]);
}

TEST(Terminal, ConfirmsOnlyByAYes) {
  for (const auto& [keys, agreed] :
       {std::pair{"y\n", true}, {"Yes\n", true}, {"j\n", true}, {"n\n", false}, {"\n", false}}) {
    Pty pty;
    DescriptorBuffer buffer(pty.slave());
    std::ostream questions(&buffer);
    Terminal terminal(pty.slave(), questions, pty.slave());
    pty.Type(keys);
    EXPECT_EQ(terminal.Confirm("Really?").value(), agreed) << keys;
    EXPECT_THAT(pty.Screen(), HasSubstr("Really? [y/N] "));
  }
}

TEST(Terminal, AnEndOfInputAtTheTerminalIsTheWillOfThePerson) {
  Pty pty;
  DescriptorBuffer buffer(pty.slave());
  std::ostream questions(&buffer);
  Terminal terminal(pty.slave(), questions, pty.slave());
  pty.Type("\x04");
  EXPECT_EQ(ExitCodeFor(terminal.Ask("Name: ").status()), ExitCode::kInterrupted);
}

TEST(Terminal, WithNobodyToAskNothingIsConfirmed) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::ostringstream questions;
  Terminal terminal(ends[0], questions);
  const absl::StatusOr<bool> agreed = terminal.Confirm("Really?");
  EXPECT_EQ(ExitCodeFor(agreed.status()), ExitCode::kUsage);
  EXPECT_THAT(std::string(agreed.status().message()), HasSubstr("--yes"));
  close(ends[0]);
  close(ends[1]);
}

TEST(Terminal, KnowsItsWidth) {
  Pty pty(132);
  std::ostringstream questions;
  EXPECT_EQ(Terminal(pty.slave(), questions, pty.slave()).Width(), 132);
  EXPECT_EQ(TerminalWidth(pty.slave()), 132);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_EQ(Terminal(pty.slave(), questions, ends[1]).Width(), 0);
  close(ends[0]);
  close(ends[1]);
}

TEST(Printable, TakesOutWhatSteersTerminals) {
  EXPECT_EQ(Printable("a\x1b[31mb\r\n\tc\x7f"), "a?[31mb???c?");
  EXPECT_EQ(Printable("\xc2\x9b"
                      "31m"),
            "?31m");
  EXPECT_EQ(Printable("Zoë ☂"), "Zoë ☂");
}

}  // namespace
}  // namespace werkplek
