#include "tests/integration/hypervisor/vnc_viewer.h"

#include <rfb/rfbclient.h>

#include <limits>

#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace werkplek {
namespace {

constexpr int kColumns = 80;
constexpr int kRows = 25;
constexpr int kFirstStripRow = 22;
constexpr int kColours[16][3] = {{0, 0, 0},     {170, 0, 0},    {0, 170, 0},    {170, 85, 0},
                                 {0, 0, 170},   {170, 0, 170},  {0, 170, 170},  {170, 170, 170},
                                 {85, 85, 85},  {255, 85, 85},  {85, 255, 85},  {255, 255, 85},
                                 {85, 85, 255}, {255, 85, 255}, {85, 255, 255}, {255, 255, 255}};

}  // namespace

VncViewer::VncViewer(int fd) : client_(rfbGetClient(8, 3, 4)) {
  rfbEnableClientLogging = FALSE;
  client_->sock = fd;
  client_->canHandleNewFBSize = TRUE;
  if (!InitialiseRFBConnection(client_)) return;
  client_->width = client_->si.framebufferWidth;
  client_->height = client_->si.framebufferHeight;
  ok_ = client_->MallocFrameBuffer(client_) && SetFormatAndEncodings(client_);
}

VncViewer::~VncViewer() {
  free(client_->frameBuffer);
  client_->frameBuffer = nullptr;
  rfbClientCleanup(client_);  // Closes the socket.
}

int VncViewer::CellColour(int row, int column) const {
  const int x = (2 * column + 1) * client_->width / (2 * kColumns);
  const int y = (2 * row + 1) * client_->height / (2 * kRows);
  const uint8_t* pixel = client_->frameBuffer + 4 * (y * client_->width + x);
  int best = 0;
  int best_distance = std::numeric_limits<int>::max();
  for (int i = 0; i < 16; ++i) {
    int distance = 0;
    for (int c = 0; c < 3; ++c) {
      distance += (pixel[c] - kColours[i][c]) * (pixel[c] - kColours[i][c]);
    }
    if (distance < best_distance) {
      best = i;
      best_distance = distance;
    }
  }
  return best;
}

bool VncViewer::Decode(TinyScreen& screen) const {
  std::string bytes;
  for (int row = kFirstStripRow; row < kRows; ++row) {
    for (int column = 0; column < kColumns; column += 2) {
      bytes += static_cast<char>(CellColour(row, column) * 16 + CellColour(row, column + 1));
    }
  }
  const size_t count = static_cast<unsigned char>(bytes[0]);
  if (count == 0 || count + 2 > bytes.size()) return false;
  const std::string text = bytes.substr(2, count);
  unsigned sum = 0;
  for (const unsigned char c : text) sum += c;
  if (sum % 256 != static_cast<unsigned char>(bytes[1])) return false;
  const std::vector<std::string> parts = absl::StrSplit(text, '\t');
  if (parts.size() != 4) return false;
  screen = {parts[0], parts[1], parts[2], parts[3]};
  return true;
}

bool VncViewer::WaitFor(const std::function<bool(const TinyScreen&)>& wanted,
                        absl::Duration timeout, TinyScreen& last) {
  const absl::Time deadline = absl::Now() + timeout;
  bool whole = true;
  while (absl::Now() < deadline) {
    if (!SendFramebufferUpdateRequest(client_, 0, 0, client_->width, client_->height,
                                      whole ? FALSE : TRUE)) {
      return false;
    }
    whole = false;
    const int ready = WaitForMessage(client_, 200000);
    if (ready < 0 || (ready > 0 && !HandleRFBServerMessage(client_))) return false;
    if (Decode(last) && wanted(last)) return true;
  }
  return false;
}

void VncViewer::Type(absl::string_view text) {
  for (const char c : text) {
    const uint32_t key = c == '\n' ? 0xff0d : static_cast<unsigned char>(c);
    SendKeyEvent(client_, key, TRUE);
    SendKeyEvent(client_, key, FALSE);
  }
}

std::vector<uint8_t> VncViewer::Pixels(int& width, int& height) const {
  width = client_->width;
  height = client_->height;
  std::vector<uint8_t> rgb;
  for (int i = 0; i < width * height; ++i) {
    rgb.insert(rgb.end(), client_->frameBuffer + 4 * i, client_->frameBuffer + 4 * i + 3);
  }
  return rgb;
}

}  // namespace werkplek
