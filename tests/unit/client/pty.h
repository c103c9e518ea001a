// A pseudo-terminal with a person at it, for tests of prompts.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <ostream>
#include <streambuf>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace werkplek {

class Pty {
 public:
  explicit Pty(int columns = 80) {
    winsize size = {};
    size.ws_col = static_cast<unsigned short>(columns);
    size.ws_row = 24;
    if (openpty(&master_, &slave_, nullptr, nullptr, &size) != 0) master_ = slave_ = -1;
  }
  ~Pty() {
    close(master_);
    close(slave_);
  }
  Pty(const Pty&) = delete;
  Pty& operator=(const Pty&) = delete;

  // The program's side.
  int slave() const { return slave_; }

  void Type(absl::string_view keys) const {
    if (write(master_, keys.data(), keys.size()) != static_cast<ssize_t>(keys.size()))
      close(master_);
  }

  // Everything the screen has shown until `text` came (or 10 s went by).
  const std::string& ReadUntil(absl::string_view text) {
    pollfd watched = {master_, POLLIN, 0};
    while (!absl::StrContains(screen_, text) && poll(&watched, 1, 10'000) > 0) ReadSome();
    return screen_;
  }
  // Everything the screen has shown, what is on its way too.
  const std::string& Screen() {
    pollfd watched = {master_, POLLIN, 0};
    while (poll(&watched, 1, 0) > 0 && ReadSome()) {
    }
    return screen_;
  }

 private:
  bool ReadSome() {
    char buffer[4096];
    const ssize_t got = read(master_, buffer, sizeof(buffer));
    if (got <= 0) return false;
    screen_.append(buffer, got);
    return true;
  }

  int master_ = -1;
  int slave_ = -1;
  std::string screen_;
};

// Writes to a descriptor at once, as std::cerr does.
class DescriptorBuffer : public std::streambuf {
 public:
  explicit DescriptorBuffer(int descriptor) : descriptor_(descriptor) {}

 protected:
  int_type overflow(int_type byte) override {
    const char one = static_cast<char>(byte);
    return write(descriptor_, &one, 1) == 1 ? byte : traits_type::eof();
  }
  std::streamsize xsputn(const char* text, std::streamsize count) override {
    return write(descriptor_, text, static_cast<size_t>(count));
  }

 private:
  const int descriptor_;
};

}  // namespace werkplek
