// The images and overlays of one host: images are fetched, verified against their SHA-256 and kept
// once; desktops stand on qcow2 overlays. Blocking; thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/image/disk_file.h"
#include "agent/image/overlay_use.h"
#include "werkplek/v1/agent.pb.h"
#include "werkplek/v1/resources.pb.h"

namespace werkplek {

class ImageStore {
 public:
  // `root` (an absolute path) holds `images/` and `overlays/`; it is made when it is not there. An
  // image whose file is not as it was left is not verified until it is fetched again: nothing is
  // read or run here that takes long. One store per root. Sources lie in `image_folders`, whatever
  // links say; none: anywhere.
  static absl::StatusOr<ImageStore> Open(const std::string& root,
                                         const std::vector<std::string>& image_folders = {});
  ImageStore(ImageStore&&) noexcept;
  ImageStore& operator=(ImageStore&&) noexcept;
  ~ImageStore();

  // Has the image at hand: copies it once, verifies it, and remembers it by its digest.
  // INVALID_ARGUMENT: the declaration is wrong (the message names the field). FAILED_PRECONDITION:
  // the digest, the size or the format is not the declared one, or the disk wants other files
  // (nothing is kept; asked again, the answer is the same without reading it again, until the
  // source or its declaration changes). NOT_FOUND: no such source. PERMISSION_DENIED: it lies
  // elsewhere. RESOURCE_EXHAUSTED: the disk is full.
  absl::Status Fetch(const std::string& name, const v1::Image& image);

  // What is at hand, with what failed last.
  std::vector<v1::ImageReport> Report() const;

  // A new, empty overlay on the verified image, in place of one of the same key (which a crash, or
  // for a kept disk its owner, left): no overlay is ever used twice. NOT_FOUND: the image was not
  // fetched, or is not as it was; fetch it again.
  absl::StatusOr<Overlay> CreateOverlay(const DiskKey& disk, const std::string& image_sha256);

  // The path of the disk. NOT_FOUND: it is not here.
  absl::StatusOr<std::string> FindDisk(const DiskKey& disk) const;

  // Removes every overlay file of the desktop but `except` (a path; empty: none).
  absl::Status RemoveOverlays(const std::string& desktop, const std::string& except);

  // Lets the image go. FAILED_PRECONDITION: an overlay has it in its backing chain, or has a chain
  // that cannot be read; the message names the desktops. OK when it is not there.
  absl::Status Drop(const std::string& name);

  // Removes the content that no name stands for and no overlay stands on: what an update of an
  // image left behind. It takes about 20 ms for each overlay, when there is such content.
  void RemoveLeftovers(const StopAsked& stop = {});

 private:
  class Impl;
  explicit ImageStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace werkplek
