// What the store remembers of a fetched image, as JSON beside its content.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/image/image_file.h"

namespace werkplek {

struct ImageRecord {
  std::string sha256;
  std::string format;
  // The content's size and time of change when its digest was last taken.
  FileFacts facts;
};

// The digest in the name of a content (SHA256.FORMAT), or of what stands beside one.
std::string DigestOf(const std::string& path);

absl::StatusOr<ImageRecord> ReadRecord(const std::string& path);
absl::Status WriteRecord(const std::string& path, const ImageRecord& record);

}  // namespace werkplek
