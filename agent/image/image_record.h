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

absl::StatusOr<ImageRecord> ReadRecord(const std::string& path);
absl::Status WriteRecord(const std::string& path, const ImageRecord& record);

}  // namespace werkplek
