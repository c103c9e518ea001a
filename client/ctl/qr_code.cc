#include "client/ctl/qr_code.h"

#include <qrencode.h>

#include <memory>

#include "absl/strings/str_cat.h"

namespace werkplek {
namespace {

// ISO/IEC 18004: the quiet zone.
constexpr int kMargin = 4;
constexpr size_t kMaxBytes = 2000;

}  // namespace

absl::StatusOr<QrModules> EncodeQr(absl::string_view text) {
  if (text.empty() || text.size() > kMaxBytes) {
    return absl::InvalidArgumentError("a QR code holds 1 to 2000 bytes");
  }
  const std::unique_ptr<QRcode, decltype(&QRcode_free)> code(
      QRcode_encodeData(static_cast<int>(text.size()),
                        reinterpret_cast<const unsigned char*>(text.data()), 0, QR_ECLEVEL_L),
      &QRcode_free);
  if (code == nullptr) return absl::InvalidArgumentError("this text does not fit a QR code");
  QrModules modules(code->width, std::vector<bool>(code->width));
  for (int y = 0; y < code->width; ++y) {
    for (int x = 0; x < code->width; ++x) {
      modules[y][x] = (code->data[y * code->width + x] & 1) != 0;
    }
  }
  return modules;
}

std::string DrawQr(const QrModules& modules, bool colours) {
  const int size = static_cast<int>(modules.size());
  const auto light = [&](int y, int x) {
    if (y < 0 || x < 0 || y >= size || x >= size) return true;
    return !modules[y][x];
  };
  std::string drawing;
  for (int y = -kMargin; y < size + kMargin; y += 2) {
    // White on black, both bright and fixed, so that a light theme does not turn it around.
    if (colours) absl::StrAppend(&drawing, "\x1b[38;5;231;48;5;16m");
    for (int x = -kMargin; x < size + kMargin; ++x) {
      const bool above = light(y, x);
      // The margin ends in the middle of the last row.
      const bool below = y + 1 < size + kMargin && light(y + 1, x);
      absl::StrAppend(&drawing, above ? (below ? "█" : "▀") : (below ? "▄" : " "));
    }
    absl::StrAppend(&drawing, colours ? "\x1b[0m" : "", "\n");
  }
  return drawing;
}

}  // namespace werkplek
