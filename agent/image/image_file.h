// Files of the image store: copied and hashed in one pass, written whole or not at all, told apart.
// Blocking; thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace werkplek {

struct FileFacts {
  uint64_t size_bytes = 0;
  // Changes with every write to the content.
  int64_t modified_unix_ns = 0;
  // "DEVICE:INODE" and the birth of the file: together never those of another file.
  std::string identity;
  int64_t created_unix_ns = 0;
};
inline bool SameContent(const FileFacts& a, const FileFacts& b) {
  return a.size_bytes == b.size_bytes && a.modified_unix_ns == b.modified_unix_ns;
}
// The same file, not written since.
inline bool SameFile(const FileFacts& a, const FileFacts& b) {
  return SameContent(a, b) && a.identity == b.identity && a.created_unix_ns == b.created_unix_ns;
}

// NOT_FOUND: there is none. FAILED_PRECONDITION: no plain file.
absl::StatusOr<FileFacts> ReadFacts(const std::string& path);

// Lower-case hexadecimal SHA-256 of the content.
absl::StatusOr<std::string> HashFile(const std::string& path);

// Copies `source` to the new file `target`, durably, and gives the SHA-256 of what was copied.
// Blocks of zeros stay holes. On an error no `target` is left. RESOURCE_EXHAUSTED: the disk is
// full.
absl::StatusOr<std::string> CopyAndHash(const std::string& source, const std::string& target);

// Writes a small file whole: a reader sees the old one or the new one, also after a power cut.
absl::Status WriteWhole(const std::string& path, const std::string& content);

// Makes renames and removals in a folder durable.
absl::Status SyncFolder(const std::string& path);
absl::Status SyncFile(const std::string& path);

// errno as a status; ENOSPC and EDQUOT are RESOURCE_EXHAUSTED.
absl::Status FileError(int error, const std::string& what);

}  // namespace werkplek
