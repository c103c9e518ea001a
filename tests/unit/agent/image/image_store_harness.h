// An image store in a folder of its own, and images for it.
#pragma once

#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/image/image_file.h"
#include "agent/image/image_store.h"
#include "tests/support/process/child_process.h"

namespace werkplek {

// Counts how often a file is opened: nothing reads it without that.
class OpenCounter {
 public:
  explicit OpenCounter(const std::string& path) : fd_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    EXPECT_GE(inotify_add_watch(fd_, path.c_str(), IN_OPEN), 0);
  }
  ~OpenCounter() { close(fd_); }
  OpenCounter(const OpenCounter&) = delete;
  OpenCounter& operator=(const OpenCounter&) = delete;

  // Since the last call. Openings that follow each other unread count as one (inotify(7)), so that
  // "none" is exact and "one" means some.
  int Take() {
    alignas(inotify_event) char event[sizeof(inotify_event)];
    int count = 0;
    while (read(fd_, event, sizeof(event)) == static_cast<ssize_t>(sizeof(event))) ++count;
    return count;
  }

 private:
  const int fd_;
};

inline DiskKey Key(const std::string& desktop, uint64_t generation) {
  return {desktop, generation, "", false};
}

class ImageStoreTest : public testing::Test {
 protected:
  // A qcow2 disk that holds `content`, as a declared image.
  v1::Image MakeImage(const std::string& name, const std::string& content,
                      const std::string& format = "qcow2") {
    const std::string raw = folder_.Write(name + ".raw", content + std::string(65536, 'x'));
    const std::string disk = folder_.File(name + "." + format);
    if (format != "raw") {
      EXPECT_TRUE(RunProgram({"qemu-img", "convert", "-f", "raw", "-O", format, raw, disk}).ok());
    }
    v1::Image image;
    image.set_source(disk);
    image.set_sha256(*HashFile(disk));
    image.set_size_bytes(std::filesystem::file_size(disk));
    image.set_format(format);
    return image;
  }
  ImageStore Open() {
    auto store = ImageStore::Open(Root());
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  std::string Root() const { return folder_.File("the store"); }
  std::string ContentOf(const v1::Image& image) const {
    return absl::StrCat(Root(), "/images/", image.sha256(), ".", image.format());
  }
  std::vector<std::string> Contents() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(Root() + "/images")) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  static void FlipByte(const std::string& path) {
    std::filesystem::permissions(path, std::filesystem::perms::owner_write,
                                 std::filesystem::perm_options::add);
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(70000);
    file.put('!');
  }

  TemporaryFolder folder_;
};

}  // namespace werkplek
