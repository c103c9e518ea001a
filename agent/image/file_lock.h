// A lock on a file, also between hosts where the file system carries locks (NFS does).
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace werkplek {

// Held by one holder alone, or by any number that share it. Goes with the object, or with its
// process. Thread-safe.
class FileLock {
 public:
  enum class Mode { kAlone, kShared };

  // Makes the file when it is not there, and waits for others. UNAVAILABLE: they still hold it
  // after `patience`; the message names the file.
  static absl::StatusOr<FileLock> Take(const std::string& path, Mode mode, absl::Duration patience);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

  // Marks the file's time, for whoever asks for it later. Does nothing where that is not possible.
  void Touch() const;
  // When the file was touched last, by whatever host, in nanoseconds of the file system's own
  // clock: to be compared with an earlier answer only.
  absl::StatusOr<int64_t> Touched() const;

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace werkplek
