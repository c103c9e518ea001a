#include "agent/image/image_declaration.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

absl::Status Bad(absl::string_view field, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", why));
}

}  // namespace

bool IsPlainName(absl::string_view name) {
  if (name.empty() || name.size() > 63) return false;
  for (const char c : name) {
    if (!absl::ascii_islower(c) && !absl::ascii_isdigit(c) && c != '.' && c != '-') return false;
  }
  return absl::ascii_isalnum(name.front()) && absl::ascii_isalnum(name.back());
}

bool IsSha256(absl::string_view text) {
  if (text.size() != 64) return false;
  for (const char c : text) {
    if (!absl::ascii_isdigit(c) && !(c >= 'a' && c <= 'f')) return false;
  }
  return true;
}

bool LiesIn(absl::string_view path, const std::vector<std::string>& folders) {
  for (const absl::string_view part : absl::StrSplit(path, '/')) {
    if (part == "..") return false;
  }
  return std::any_of(folders.begin(), folders.end(), [&](const std::string& folder) {
    return absl::StartsWith(path, absl::EndsWith(folder, "/") ? folder : folder + "/");
  });
}

absl::StatusOr<std::string> SourcePath(absl::string_view source) {
  std::string path;
  if (absl::ConsumePrefix(&source, "file://")) {
    absl::ConsumePrefix(&source, "localhost");
    for (size_t i = 0; i < source.size(); ++i) {
      uint32_t byte = 0;
      if (source[i] != '%') {
        path += source[i];
      } else if (i + 2 < source.size() && absl::SimpleHexAtoi(source.substr(i + 1, 2), &byte)) {
        path += static_cast<char>(byte);
        i += 2;
      } else {
        return Bad("source", "has a '%' that is not followed by two hexadecimal digits");
      }
    }
  } else {
    path = std::string(source);
  }
  if (!absl::StartsWith(path, "/")) {
    return Bad("source", "must be an absolute path or a file:// URL on this host");
  }
  if (path.find('\0') != std::string::npos) return Bad("source", "has a zero byte");
  return path;
}

absl::Status CheckDeclaration(absl::string_view name, const v1::Image& image) {
  if (!IsPlainName(name)) return Bad("name", "must be 1 to 63 of [a-z0-9.-]");
  if (!IsSha256(image.sha256())) {
    return Bad("sha256", "must be 64 lower-case hexadecimal digits");
  }
  if (image.format() != "qcow2" && image.format() != "raw") {
    return Bad("format", "must be 'qcow2' or 'raw'");
  }
  return SourcePath(image.source()).status();
}

}  // namespace werkplek
