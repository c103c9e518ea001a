#include "gateway/portal/page_book.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/base/crypto.h"
#include "common/base/embedded_file.h"
#include "common/base/status_macros.h"
#include "common/tls/tls_files.h"

namespace werkplek {

// Generated from the folder `pages`.
absl::Span<const EmbeddedFile> PortalPages();

namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxScriptBytes = 1024 * 1024;

std::string TypeOf(absl::string_view name) {
  if (absl::EndsWith(name, ".html")) return "text/html; charset=utf-8";
  if (absl::EndsWith(name, ".css")) return "text/css; charset=utf-8";
  if (absl::EndsWith(name, ".svg")) return "image/svg+xml";
  return "text/javascript; charset=utf-8";
}

}  // namespace

absl::StatusOr<PageBook> PageBook::Load(const std::string& novnc_folder) {
  PageBook book;
  for (const EmbeddedFile& file : PortalPages()) {
    const std::string path = file.name == "index.html" ? "/" : absl::StrCat("/", file.name);
    book.Add(path, TypeOf(file.name), std::string(file.content));
  }
  for (const char* part : {"core", "vendor"}) {
    std::error_code error;
    for (fs::recursive_directory_iterator at(fs::path(novnc_folder) / part, error), end;
         !error && at != end; at.increment(error)) {
      if (at->path().extension() != ".js" || !at->is_regular_file(error)) continue;
      ASSIGN_OR_RETURN(std::string body, ReadWholeFile(at->path().string(), kMaxScriptBytes));
      // By the path that it stands at, also when it is a link to elsewhere.
      const std::string name = at->path().lexically_relative(novnc_folder).generic_string();
      book.Add(absl::StrCat("/novnc/", name), TypeOf(".js"), std::move(body));
    }
    if (error) {
      return absl::NotFoundError(absl::StrCat(novnc_folder, "/", part, ": ", error.message(),
                                              "; install Debian's package novnc"));
    }
  }
  if (book.Find("/novnc/core/rfb.js") == nullptr) {
    return absl::NotFoundError(
        absl::StrCat(novnc_folder, "/core/rfb.js: is not there; install Debian's package novnc"));
  }
  return book;
}

void PageBook::Add(const std::string& path, std::string content_type, std::string body) {
  std::string tag = absl::StrCat("\"", HexEncode(Sha256(body)), "\"");
  pages_[path] = {std::move(content_type), std::move(body), std::move(tag)};
}

const Page* PageBook::Find(absl::string_view path) const {
  const auto found = pages_.find(path);
  return found == pages_.end() ? nullptr : &found->second;
}

}  // namespace werkplek
