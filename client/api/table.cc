#include "client/api/table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "client/api/terminal.h"

namespace werkplek {
namespace {

constexpr size_t kGap = 2;
// Free text that is cut below this says nothing any more.
constexpr size_t kLeastText = 10;

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

Table::Table(std::vector<std::string> headers, const std::vector<std::string>& free_text)
    : headers_(std::move(headers)) {
  for (const std::string& header : headers_) {
    is_free_text_.push_back(std::find(free_text.begin(), free_text.end(), header) !=
                            free_text.end());
  }
}

void Table::AddRow(std::vector<std::string> cells) {
  for (std::string& cell : cells) {
    cell = cell.empty() ? "-" : Printable(cell);
  }
  cells.resize(headers_.size(), "-");
  rows_.push_back(std::move(cells));
}

std::string Table::EnglishLeftOut(const std::string& columns) {
  return absl::StrCat("Left out, for want of width: ", columns, " (-o json shows all).");
}

std::vector<Table::Column> Table::Measure() const {
  std::vector<Column> columns(headers_.size());
  for (size_t i = 0; i < columns.size(); ++i) {
    Column& column = columns[i];
    column.width = DisplayWidth(headers_[i]);
    bool numbers = false;
    bool words = false;
    for (const std::vector<std::string>& row : rows_) {
      column.width = std::max(column.width, DisplayWidth(row[i]));
      const bool number = IsNumber(row[i]);
      numbers = numbers || number;
      words = words || (!number && row[i] != "-");
    }
    column.right = numbers && !words;
    const size_t least = std::max(kLeastText, DisplayWidth(headers_[i]));
    column.least = is_free_text_[i] ? std::min(column.width, least) : column.width;
  }
  return columns;
}

void Table::Fit(std::vector<Column>& columns, size_t width) {
  const auto sum = [&columns](size_t Column::*of) {
    size_t total = kGap * (columns.size() - 1);
    for (const Column& column : columns) total += column.*of;
    return total;
  };
  while (columns.size() > 1 && sum(&Column::least) > width) columns.pop_back();
  for (size_t total = sum(&Column::width); total > width; --total) {
    Column* widest = nullptr;
    for (Column& column : columns) {
      if (column.width > column.least && (widest == nullptr || column.width > widest->width)) {
        widest = &column;
      }
    }
    if (widest == nullptr) return;
    --widest->width;
  }
}

std::string Table::Render(int width, const LeftOutNote& note) const {
  std::vector<Column> columns = Measure();
  std::string left_out;
  if (width > 0) {
    Fit(columns, static_cast<size_t>(width));
    left_out = absl::StrJoin(headers_.begin() + static_cast<ptrdiff_t>(columns.size()),
                             headers_.end(), ", ");
  }
  std::string result;
  const auto append_row = [&](const std::vector<std::string>& row) {
    std::string line;
    for (size_t i = 0; i < columns.size(); ++i) {
      const std::string cell = CutToWidth(row[i], columns[i].width);
      const std::string fill(columns[i].width - DisplayWidth(cell), ' ');
      const bool right = columns[i].right;
      absl::StrAppend(&line, i == 0 ? "" : "  ", right ? fill : "", cell, right ? "" : fill);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    absl::StrAppend(&result, line, "\n");
  };
  append_row(headers_);
  for (const std::vector<std::string>& row : rows_) append_row(row);
  if (!left_out.empty()) absl::StrAppend(&result, note(left_out), "\n");
  return result;
}

}  // namespace werkplek
