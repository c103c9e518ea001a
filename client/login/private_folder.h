// A folder for one run: nobody else can enter it, and it goes with its owner.
#pragma once

#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace werkplek {

class PrivateFolder {
 public:
  // In the person's folder for files of the moment (token_file.h).
  static absl::StatusOr<PrivateFolder> Make();
  // Deletes the folder with the files in it.
  ~PrivateFolder();
  PrivateFolder(PrivateFolder&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  PrivateFolder& operator=(PrivateFolder&&) = delete;
  PrivateFolder(const PrivateFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  explicit PrivateFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace werkplek
