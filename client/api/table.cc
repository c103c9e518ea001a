#include "client/api/table.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/api/terminal.h"

namespace werkplek {
namespace {

constexpr size_t kGap = 2;
// No column is cut below this.
constexpr size_t kLeastWidth = 4;

bool IsContinuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// A whole number, one with a point, or a share: what people compare by its length.
bool IsNumber(absl::string_view cell) {
  absl::ConsumeSuffix(&cell, "%");
  int digits = 0;
  int points = 0;
  for (const char c : cell) {
    if (c >= '0' && c <= '9') {
      ++digits;
    } else if (c == '.') {
      ++points;
    } else {
      return false;
    }
  }
  return digits > 0 && points <= 1;
}

}  // namespace

size_t DisplayWidth(absl::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return !IsContinuation(c); });
}

std::string CutToWidth(absl::string_view text, size_t width) {
  if (DisplayWidth(text) <= width) return std::string(text);
  if (width == 0) return "";
  size_t characters = 0;
  size_t end = 0;
  // The byte after the first width - 1 characters.
  for (; end < text.size(); ++end) {
    if (!IsContinuation(text[end]) && ++characters == width) break;
  }
  return absl::StrCat(text.substr(0, end), "…");
}

Table::Table(std::vector<std::string> headers) : headers_(std::move(headers)) {}

void Table::AddRow(std::vector<std::string> cells) {
  for (std::string& cell : cells) {
    cell = cell.empty() ? "-" : Printable(cell);
  }
  cells.resize(headers_.size(), "-");
  rows_.push_back(std::move(cells));
}

std::string Table::Render(int width) const {
  const size_t columns = headers_.size();
  std::vector<size_t> widths(columns);
  std::vector<bool> right(columns);
  for (size_t i = 0; i < columns; ++i) {
    widths[i] = DisplayWidth(headers_[i]);
    bool numbers = false;
    bool words = false;
    for (const std::vector<std::string>& row : rows_) {
      widths[i] = std::max(widths[i], DisplayWidth(row[i]));
      const bool number = IsNumber(row[i]);
      numbers = numbers || number;
      words = words || (!number && row[i] != "-");
    }
    right[i] = numbers && !words;
  }
  if (width > 0 && columns > 0) {
    size_t total = std::accumulate(widths.begin(), widths.end(), kGap * (columns - 1));
    while (total > static_cast<size_t>(width)) {
      const auto widest = std::max_element(widths.begin(), widths.end());
      if (*widest <= kLeastWidth) break;
      --*widest;
      --total;
    }
  }
  std::string result;
  const auto append_row = [&](const std::vector<std::string>& row) {
    std::string line;
    for (size_t i = 0; i < columns; ++i) {
      const std::string cell = CutToWidth(row[i], widths[i]);
      const std::string fill(widths[i] - DisplayWidth(cell), ' ');
      absl::StrAppend(&line, i == 0 ? "" : "  ", right[i] ? fill : "", cell, right[i] ? "" : fill);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    absl::StrAppend(&result, line, "\n");
  };
  append_row(headers_);
  for (const std::vector<std::string>& row : rows_) append_row(row);
  return result;
}

}  // namespace werkplek
