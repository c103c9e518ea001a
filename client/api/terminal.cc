#include "client/api/terminal.h"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "client/api/exit_code.h"

namespace werkplek {
namespace {

constexpr size_t kMaxLine = 1024;
constexpr int kInterrupt = 3;
constexpr int kEndOfInput = 4;
constexpr int kBackspace = 8;
constexpr int kKillLine = 21;
constexpr int kDelete = 127;

// Takes the last character away, which may be several bytes of UTF-8.
void DropLastCharacter(std::string& line) {
  while (!line.empty() && (static_cast<unsigned char>(line.back()) & 0xC0) == 0x80) line.pop_back();
  if (!line.empty()) line.pop_back();
}

}  // namespace

int TerminalWidth(int descriptor) {
  if (isatty(descriptor) != 1) return 0;
  winsize size = {};
  if (ioctl(descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

bool Terminal::CanAsk() const { return isatty(input_) == 1; }

bool Terminal::ShowsResults() const { return isatty(output_) == 1; }

int Terminal::ReadByte() {
  unsigned char byte = 0;
  while (true) {
    const ssize_t got = read(input_, &byte, 1);
    if (got == 1) return byte;
    if (got == 0 || errno != EINTR) return -1;
  }
}

absl::StatusOr<std::string> Terminal::Ask(absl::string_view question) {
  if (CanAsk()) questions_ << question << std::flush;
  std::string line;
  while (true) {
    const int byte = ReadByte();
    if (byte < 0 && line.empty()) {
      if (CanAsk()) return absl::CancelledError("no answer");
      return UsageProblem(absl::FailedPreconditionError(
          "standard input has ended, and there is nobody to ask for what is missing"));
    }
    if (byte < 0 || byte == '\n') break;
    if (line.size() >= kMaxLine) return LocalProblem(absl::InvalidArgumentError("line too long"));
    line.push_back(static_cast<char>(byte));
  }
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line;
}

absl::StatusOr<Secret> Terminal::AskHidden(absl::string_view question) {
  if (!CanAsk()) {
    absl::StatusOr<std::string> line = Ask("");
    if (!line.ok()) return line.status();
    return Secret(*std::move(line));
  }
  // The line is edited here and not by the terminal, so that an interrupt cannot leave the terminal
  // without its echo: it arrives as a byte.
  termios before = {};
  if (tcgetattr(input_, &before) != 0) {
    return LocalProblem(absl::ErrnoToStatus(errno, "cannot read the terminal's settings"));
  }
  termios hidden = before;
  hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
  hidden.c_cc[VMIN] = 1;
  hidden.c_cc[VTIME] = 0;
  // The change comes before the question: who answers it sees no echo, ever.
  if (tcsetattr(input_, TCSAFLUSH, &hidden) != 0) {
    return LocalProblem(absl::ErrnoToStatus(errno, "cannot hide what is typed"));
  }
  const absl::Cleanup restore = [&] {
    tcsetattr(input_, TCSADRAIN, &before);
    questions_ << '\n' << std::flush;
  };
  questions_ << question << std::flush;
  return ReadHiddenLine();
}

absl::StatusOr<Secret> Terminal::ReadHiddenLine() {
  std::string line;
  const absl::Cleanup wipe = [&] { Wipe(line); };
  line.reserve(kMaxLine);
  while (true) {
    const int byte = ReadByte();
    if (byte < 0 || byte == kInterrupt || (byte == kEndOfInput && line.empty())) {
      return absl::CancelledError("interrupted");
    }
    if (byte == '\n' || byte == '\r' || byte == kEndOfInput) return Secret(line);
    if (byte == kKillLine) {
      line.clear();
    } else if (byte == kBackspace || byte == kDelete) {
      DropLastCharacter(line);
    } else if (line.size() < kMaxLine) {
      line.push_back(static_cast<char>(byte));
    }
  }
}

absl::StatusOr<std::string> Terminal::ReadRest(size_t max_bytes) {
  std::string text;
  char buffer[16 * 1024];
  while (true) {
    const ssize_t got = read(input_, buffer, sizeof(buffer));
    if (got == 0) return text;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return LocalProblem(absl::ErrnoToStatus(errno, "cannot read standard input"));
    }
    text.append(buffer, static_cast<size_t>(got));
    if (text.size() > max_bytes) {
      return LocalProblem(absl::InvalidArgumentError(
          absl::StrCat("standard input holds more than ", max_bytes, " bytes")));
    }
  }
}

absl::StatusOr<bool> Terminal::Confirm(absl::string_view question, absl::string_view choices) {
  if (!CanAsk()) {
    return UsageProblem(absl::FailedPreconditionError(
        "this needs a confirmation and there is nobody to ask; add --yes to go ahead"));
  }
  absl::StatusOr<std::string> answer = Ask(absl::StrCat(question, " ", choices, " "));
  if (!answer.ok()) return answer.status();
  return !answer->empty() && (answer->front() == 'y' || answer->front() == 'Y' ||
                              answer->front() == 'j' || answer->front() == 'J');
}

std::string Printable(absl::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // C1 controls are two bytes in UTF-8: C2 80 to C2 9F.
    const bool c1 = byte == 0xC2 && i + 1 < text.size() &&
                    static_cast<unsigned char>(text[i + 1]) >= 0x80 &&
                    static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (byte < 0x20 || byte == 0x7F || c1) {
      result.push_back('?');
      if (c1) ++i;
    } else {
      result.push_back(text[i]);
    }
  }
  return result;
}

}  // namespace werkplek
