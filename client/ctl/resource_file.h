// Resources in YAML files: what `-o yaml` prints, and what people write by hand.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/api/terminal.h"
#include "werkplek/v1/resources.pb.h"

namespace werkplek {

struct ResourceFromFile {
  v1::Resource resource;
  // The file says whether new work may come. Where it says nothing, that stays as `drain`,
  // `maintenance` and `open` left it.
  bool says_schedulability = false;
};

// Takes one resource, a list of them, `resources: [...]`, and several documents (`---`).
// INVALID_ARGUMENT (a UsageProblem) names file, line and field, and what to do. Pure.
absl::StatusOr<std::vector<ResourceFromFile>> ParseResources(const std::string& text,
                                                             absl::string_view file);

// Reads `path` ("-": the rest of the terminal's input), at most 4 MiB.
absl::StatusOr<std::vector<ResourceFromFile>> ReadResourceFile(const std::string& path,
                                                               Terminal& terminal);

}  // namespace werkplek
