// Brings a declared image to the host's (or a shared storage's) disk. Blocking; thread-safe for
// different contents.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "agent/image/image_file.h"
#include "werkplek/v1/resources.pb.h"

namespace werkplek {

// RESOURCE_EXHAUSTED: `folder` has no room for so much.
absl::Status CheckSpace(const std::string& folder, uint64_t size_bytes);

// A source that was read to its end and is not what was declared. The broker repeats what it wants:
// reading gigabytes again tells nothing while both are the same.
struct ImageRefusal {
  v1::Image declared;
  FileFacts source;
  absl::Status why;
};

// Whether `refusal` is about this declaration, and the source is the file that was read then.
bool IsAboutSameSource(const ImageRefusal& refusal, const v1::Image& image);

// Copies the image's source to `content`, by way of `part`, and judges it: only what has the
// declared digest, size and format and stands alone gets the name. FAILED_PRECONDITION: it is not
// as declared; `refusal` is then set when reading the same source again could only fail again.
// PERMISSION_DENIED: the source, all links followed, lies in none of `folders` (none: anywhere).
absl::Status CopyImage(const v1::Image& image, const std::vector<std::string>& folders,
                       const std::string& content, const std::string& part,
                       std::optional<ImageRefusal>& refusal);

}  // namespace werkplek
