#include "common/base/text.h"

namespace werkplek {

size_t PrintableUnit(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  const size_t length = first >= 0xc2 && first < 0xe0   ? 2
                        : first >= 0xe0 && first < 0xf0 ? 3
                        : first >= 0xf0 && first < 0xf5 ? 4
                                                        : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // C1 controls, overlong forms, surrogates, above U+10FFFF, U+FFFE and U+FFFF (not XML).
  if (first == 0xc2 && byte(1) < 0xa0) return 0;
  if (first == 0xe0 && byte(1) < 0xa0) return 0;
  if (first == 0xed && byte(1) >= 0xa0) return 0;
  if (first == 0xef && byte(1) == 0xbf && byte(2) >= 0xbe) return 0;
  if (first == 0xf0 && byte(1) < 0x90) return 0;
  if (first == 0xf4 && byte(1) >= 0x90) return 0;
  return length;
}

std::string PrintableText(absl::string_view text, size_t max_bytes) {
  std::string printable;
  while (!text.empty()) {
    const size_t unit = PrintableUnit(text);
    const size_t length = unit == 0 ? 1 : unit;
    if (printable.size() + length > max_bytes) break;
    if (unit > 0) {
      printable.append(text.data(), unit);
    } else {
      printable += static_cast<unsigned char>(text[0]) < 0x80 ? ' ' : '?';
    }
    text.remove_prefix(length);
  }
  return printable;
}

}  // namespace werkplek
