// A VNC client on a connected socket, and what it reads from the tiny guest's screen.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

struct _rfbClient;

namespace werkplek {

// What the strip at the foot of the tiny guest's screen says (deploy/images/tiny/guest/screen.awk).
struct TinyScreen {
  std::string desktop;
  std::string state;
  std::string user;
  std::string marker;
};

class VncViewer {
 public:
  // Takes the descriptor. `ok()` tells whether the server answered.
  explicit VncViewer(int fd);
  ~VncViewer();
  VncViewer(const VncViewer&) = delete;
  VncViewer& operator=(const VncViewer&) = delete;

  bool ok() const { return ok_; }
  // Looks at the screen until `wanted` holds of it; false after `timeout`. `last` is what was read
  // last.
  bool WaitFor(const std::function<bool(const TinyScreen&)>& wanted, absl::Duration timeout,
               TinyScreen& last);
  // Types ASCII text; '\n' is the Enter key.
  void Type(absl::string_view text);
  // The colours on the screen, for a picture: width, height, then red, green, blue.
  std::vector<uint8_t> Pixels(int& width, int& height) const;

 private:
  bool Decode(TinyScreen& screen) const;
  // The nearest of the console's 16 colours in the middle of a text cell.
  int CellColour(int row, int column) const;

  _rfbClient* client_;
  bool ok_ = false;
};

}  // namespace werkplek
