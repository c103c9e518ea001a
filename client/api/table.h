// Tables for terminals. Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace werkplek {

// Columns under headers, two spaces between. Columns of numbers stand to the right. What could
// steer a terminal is taken out of the cells.
class Table {
 public:
  explicit Table(std::vector<std::string> headers);

  // As many cells as there are headers.
  void AddRow(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }

  // Each line ends in a newline. `width` 0: as wide as it needs; else the widest columns are cut
  // until a line fits, and cut cells end in "…".
  std::string Render(int width) const;

 private:
  std::vector<std::string> headers_;
  std::vector<std::vector<std::string>> rows_;
};

// Characters of UTF-8 text (each counted as one column).
size_t DisplayWidth(absl::string_view text);
// At most `width` characters, the last one "…" when something was cut.
std::string CutToWidth(absl::string_view text, size_t width);

}  // namespace werkplek
