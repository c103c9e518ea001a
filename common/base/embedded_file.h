// A file that is part of the program (common/cmake/embed.cmake).
#pragma once

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace werkplek {

struct EmbeddedFile {
  absl::string_view name;
  absl::string_view content;
};

}  // namespace werkplek
