// Tables for terminals. Pure.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace werkplek {

// Columns under headers, two spaces between. Columns of numbers stand to the right. What could
// steer a terminal is taken out of the cells.
class Table {
 public:
  // `free_text`: those of the headers whose cells are for reading only. What the next command may
  // need (ids, names, times, numbers) is never cut.
  explicit Table(std::vector<std::string> headers, const std::vector<std::string>& free_text = {});

  // As many cells as there are headers.
  void AddRow(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }

  // What is said under a table about the columns (with commas) that found no room.
  using LeftOutNote = std::function<std::string(const std::string& columns)>;
  static std::string EnglishLeftOut(const std::string& columns);

  // Each line ends in a newline. `width` 0: as wide as it needs; else free text is cut until a line
  // fits, and cut cells end in "…"; where that is not enough the last columns are left out.
  std::string Render(int width, const LeftOutNote& note = EnglishLeftOut) const;

 private:
  struct Column {
    size_t width = 0;
    // The least that it may be cut to.
    size_t least = 0;
    bool right = false;
  };
  std::vector<Column> Measure() const;
  // Drops the last columns until the least of the others fits, then cuts the widest of what may be.
  static void Fit(std::vector<Column>& columns, size_t width);

  std::vector<std::string> headers_;
  // By column.
  std::vector<bool> is_free_text_;
  std::vector<std::vector<std::string>> rows_;
};

// Characters of UTF-8 text (each counted as one column).
size_t DisplayWidth(absl::string_view text);
// At most `width` characters, the last one "…" when something was cut.
std::string CutToWidth(absl::string_view text, size_t width);

}  // namespace werkplek
