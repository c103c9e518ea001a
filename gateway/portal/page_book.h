// The portal's pages: our own, which are part of the program, and noVNC's, from the folder where
// Debian puts them.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace werkplek {

struct Page {
  std::string content_type;
  std::string body;
  // Another body has another tag: in quotes, as HTTP's ETag.
  std::string tag;
};

// Thread-safe after Load.
class PageBook {
 public:
  // Reads the scripts in `core` and `vendor` of `novnc_folder`. NOT_FOUND: there is no noVNC; says
  // what to install.
  static absl::StatusOr<PageBook> Load(const std::string& novnc_folder);

  // By the path of a request: "/", "/portal.js", "/novnc/core/rfb.js". nullptr: there is none.
  const Page* Find(absl::string_view path) const;

 private:
  void Add(const std::string& path, std::string content_type, std::string body);

  std::map<std::string, Page, std::less<>> pages_;
};

}  // namespace werkplek
