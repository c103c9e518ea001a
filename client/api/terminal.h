// Questions to the person at the terminal, and what the terminal can show.
#pragma once

#include <ostream>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/crypto.h"

namespace werkplek {

// Columns of the terminal that `descriptor` is; 0: it is none.
int TerminalWidth(int descriptor);

// Reads answers from `input` (a descriptor, not owned) and writes questions to `questions`; so
// standard output stays clean for results. Not thread-safe.
class Terminal {
 public:
  Terminal(int input, std::ostream& questions, int output = 1)
      : input_(input), output_(output), questions_(questions) {}

  // Whether a person can be asked.
  bool CanAsk() const;
  // Whether results go to a terminal.
  bool ShowsResults() const;
  // Columns of the terminal that results go to; 0: they do not go to a terminal.
  int Width() const { return TerminalWidth(output_); }

  // One line, without its newline. CANCELLED: the person gave no answer. FAILED_PRECONDITION (a
  // UsageProblem): there is nobody to ask, and the input has ended.
  absl::StatusOr<std::string> Ask(absl::string_view question);
  // As Ask, but nothing that is typed is shown. When the input is no terminal, reads its next line
  // without asking. At most 1024 bytes.
  absl::StatusOr<Secret> AskHidden(absl::string_view question);
  // Everything that is left of the input. INVALID_ARGUMENT (LocalProblem): more than `max_bytes`.
  absl::StatusOr<std::string> ReadRest(size_t max_bytes);
  // True only for an answer that begins with y or j; `choices` says so behind the question.
  // FAILED_PRECONDITION (a UsageProblem): there is nobody to ask.
  absl::StatusOr<bool> Confirm(absl::string_view question, absl::string_view choices = "[y/N]");

 private:
  // -1: the input ended.
  int ReadByte();
  absl::StatusOr<Secret> ReadHiddenLine();

  const int input_;
  const int output_;
  std::ostream& questions_;
};

// `text` without what could steer a terminal: control bytes become "?".
std::string Printable(absl::string_view text);

}  // namespace werkplek
