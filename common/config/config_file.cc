#include "common/config/config_file.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/tls/tls_files.h"

namespace werkplek {
namespace {

constexpr size_t kMaxComplaints = 50;

// How many single-letter edits lie between two short words (Levenshtein).
size_t Distance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string Advice(const std::string& key, const std::set<std::string>& known) {
  if (known.empty()) return "remove it; nothing is expected here";
  const std::string* nearest = nullptr;
  size_t least = 4;
  for (const std::string& word : known) {
    const size_t distance = key.size() < 64 ? Distance(key, word) : least;
    if (distance >= least || distance >= word.size()) continue;
    least = distance;
    nearest = &word;
  }
  if (nearest != nullptr) return absl::StrCat("did you mean \"", *nearest, "\"?");
  return absl::StrCat("remove it; known here: ", absl::StrJoin(known, ", "));
}

}  // namespace

std::unique_ptr<ConfigFile> ConfigFile::Load(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadWholeFile(path, kMaxYamlBytes);
  if (text.ok()) return Parse(path, *text);
  std::unique_ptr<ConfigFile> file(new ConfigFile(path));
  file->complaints_.push_back({0, std::string(text.status().message())});
  return file;
}

std::unique_ptr<ConfigFile> ConfigFile::Parse(std::string name, const std::string& text) {
  std::unique_ptr<ConfigFile> file(new ConfigFile(std::move(name)));
  file->document_ = ParseYaml(text);
  for (const YamlComplaint& complaint : file->document_.complaints) {
    file->Complain(complaint.line, "", complaint.message);
  }
  return file;
}

ConfigSection ConfigFile::Root() {
  // After a complaint about the form nothing is known about the content: no further complaints.
  const bool usable = complaints_.empty();
  if (usable) opened_.push_back({&document_.root, "", {}});
  return ConfigSection(this, usable ? &document_.root : nullptr, "");
}

void ConfigFile::Complain(int line, absl::string_view field, absl::string_view message) {
  complaints_.push_back(
      {line, absl::StrCat(name_, ":", line, ": ", field, field.empty() ? "" : ": ", message)});
}

void ConfigFile::ComplainOfUnknownKeys() {
  // The same map may have been opened more than once: what one reader knows is known.
  std::vector<Opened> merged;
  for (const Opened& opened : opened_) {
    const auto same = std::find_if(merged.begin(), merged.end(),
                                   [&](const Opened& o) { return o.node == opened.node; });
    if (same == merged.end()) {
      merged.push_back(opened);
    } else {
      same->known.insert(opened.known.begin(), opened.known.end());
    }
  }
  for (const Opened& opened : merged) {
    for (const auto& [key, line] : opened.node->keys) {
      if (opened.known.count(key) > 0) continue;
      const std::string shown = absl::CHexEscape(key.substr(0, 64));
      Complain(line, absl::StrCat(opened.path, opened.path.empty() ? "" : ".", shown),
               absl::StrCat("unknown key; ", Advice(key, opened.known)));
    }
  }
}

absl::Status ConfigFile::Finish() {
  if (!std::exchange(finished_, true)) ComplainOfUnknownKeys();
  if (complaints_.empty()) return absl::OkStatus();
  std::stable_sort(complaints_.begin(), complaints_.end(),
                   [](const Complaint& a, const Complaint& b) { return a.line < b.line; });
  std::string all;
  for (size_t i = 0; i < complaints_.size() && i < kMaxComplaints; ++i) {
    absl::StrAppend(&all, i == 0 ? "" : "\n", complaints_[i].text);
  }
  if (complaints_.size() > kMaxComplaints) {
    absl::StrAppend(&all, "\n", name_, ": and ", complaints_.size() - kMaxComplaints, " more");
  }
  return absl::InvalidArgumentError(all);
}

}  // namespace werkplek
