// Declared images and the names that reach the host's file system. Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "werkplek/v1/resources.pb.h"

namespace werkplek {

// 1 to 63 of [a-z0-9.-], first and last a letter or digit: it can be a file's name.
bool IsPlainName(absl::string_view name);
bool IsSha256(absl::string_view text);

// INVALID_ARGUMENT naming the field.
absl::Status CheckDeclaration(absl::string_view name, const v1::Image& image);

// Whether the absolute path lies below one of the folders (absolute, too) and climbs nowhere. It is
// a path as it is opened, from SourcePath(), say: what is spelled otherwise is not what it seems.
bool LiesIn(absl::string_view path, const std::vector<std::string>& folders);

// The absolute path in `source`: as it is, or from a file:// URL (RFC 8089; host empty or
// localhost, percent-encoding undone).
absl::StatusOr<std::string> SourcePath(absl::string_view source);

}  // namespace werkplek
