// The images and overlays of one host: images are fetched, verified against their SHA-256 and kept
// once; desktops stand on qcow2 overlays. Blocking; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "werkplek/v1/agent.pb.h"
#include "werkplek/v1/resources.pb.h"

namespace werkplek {

struct Overlay {
  std::string path;
  // "DEVICE:INODE" of the file, and its birth; with the backing digest, the parts of the proof of
  // cleanness.
  std::string identity;
  int64_t created_unix_ns = 0;
  std::string backing_sha256;
};

class ImageStore {
 public:
  // `root` holds `images/` and `overlays/`; it is made when it is not there.
  static absl::StatusOr<ImageStore> Open(const std::string& root);

  // Has the image at hand: copies it once, verifies it, and remembers it by its digest.
  // FAILED_PRECONDITION: the digest or the size is not the declared one (nothing is kept).
  // NOT_FOUND: no such source.
  absl::Status Fetch(const std::string& name, const v1::Image& image);

  // What is at hand, with what failed last.
  std::vector<v1::ImageReport> Report() const;

  // A new, empty overlay on the verified image. An overlay of the same desktop and generation that
  // was left by a crash is removed first: no overlay is ever used twice. NOT_FOUND: the image was
  // not fetched.
  absl::StatusOr<Overlay> CreateOverlay(const std::string& desktop, uint64_t generation,
                                        const std::string& image_sha256);

  // Removes every overlay file of the desktop but `except` (a path; empty: none).
  absl::Status RemoveOverlays(const std::string& desktop, const std::string& except);

  // Lets the image go. FAILED_PRECONDITION: an overlay has it in its backing chain; the message
  // names the desktops.
  absl::Status Drop(const std::string& name);
};

}  // namespace werkplek
