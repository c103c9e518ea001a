#include "client/login/screenshot.h"

#include <png.h>
#include <rfb/rfbclient.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/api/exit_code.h"
#include "common/tls/tls_files.h"

namespace werkplek {
namespace {

constexpr int kMaxSide = 16384;
constexpr int kBytesPerPixel = 4;

// What has come of the screen so far. libvncclient calls back in C, on this thread.
class Shot {
 public:
  explicit Shot(rfbClient* client) : client_(client) {
    rfbClientSetClientData(client, Tag(), this);
    client->MallocFrameBuffer = [](rfbClient* c) -> rfbBool {
      return From(c).Resize(c->width, c->height) ? TRUE : FALSE;
    };
    client->GotFrameBufferUpdate = [](rfbClient* c, int x, int y, int w, int h) {
      From(c).Cover(x, y, w, h);
    };
  }

  ~Shot() { std::free(buffer_); }
  Shot(const Shot&) = delete;
  Shot& operator=(const Shot&) = delete;

  bool complete() const { return pixels_ > 0 && covered_count_ == pixels_; }

  Picture Take() const {
    Picture picture;
    picture.width = static_cast<uint32_t>(client_->width);
    picture.height = static_cast<uint32_t>(client_->height);
    picture.rgb.reserve(pixels_ * 3);
    for (size_t i = 0; i < pixels_; ++i) {
      const uint8_t* pixel = buffer_ + i * kBytesPerPixel;
      picture.rgb.insert(picture.rgb.end(), pixel, pixel + 3);
    }
    return picture;
  }

 private:
  static void* Tag() {
    static char tag;
    return &tag;
  }
  static Shot& From(rfbClient* client) {
    return *static_cast<Shot*>(rfbClientGetClientData(client, Tag()));
  }

  bool Resize(int width, int height) {
    if (width < 1 || height < 1 || width > kMaxSide || height > kMaxSide) return false;
    std::free(buffer_);
    pixels_ = static_cast<size_t>(width) * height;
    buffer_ = static_cast<uint8_t*>(std::calloc(pixels_, kBytesPerPixel));
    client_->frameBuffer = buffer_;
    covered_.assign(pixels_, false);
    covered_count_ = 0;
    return buffer_ != nullptr;
  }

  void Cover(int x, int y, int width, int height) {
    const int right = std::min(x + width, client_->width);
    const int below = std::min(y + height, client_->height);
    for (int row = std::max(0, y); row < below; ++row) {
      for (int column = std::max(0, x); column < right; ++column) {
        const size_t index = static_cast<size_t>(row) * client_->width + column;
        if (covered_[index]) continue;
        covered_[index] = true;
        ++covered_count_;
      }
    }
  }

  rfbClient* const client_;
  // The client's frame buffer, owned here: it must survive the client.
  uint8_t* buffer_ = nullptr;
  size_t pixels_ = 0;
  std::vector<bool> covered_;
  size_t covered_count_ = 0;
};

void Silent(const char*, ...) {}

struct ClientCleanup {
  void operator()(rfbClient* client) const {
    client->frameBuffer = nullptr;
    rfbClientCleanup(client);
  }
};

}  // namespace

absl::StatusOr<Picture> TakePicture(const std::string& path, absl::Duration timeout) {
  // Its words would go to standard error, in English, in the middle of ours.
  rfbClientLog = Silent;
  rfbClientErr = Silent;
  const absl::Time deadline = absl::Now() + timeout;
  rfbClient* client = rfbGetClient(8, 3, kBytesPerPixel);
  if (client == nullptr) return absl::ResourceExhaustedError("no memory for a picture");
  Shot shot(client);
  // Red, green and blue in this order in memory, whatever the server has.
  client->format.redShift = 0;
  client->format.greenShift = 8;
  client->format.blueShift = 16;
  client->appData.encodingsString = "hextile raw";
  // A path that is a socket is connected to as one.
  client->serverHost = strdup(path.c_str());
  client->connectTimeout = static_cast<unsigned>(std::max<int64_t>(1, timeout / absl::Seconds(1)));
  client->readTimeout = client->connectTimeout;
  // Frees the client when it fails.
  if (!rfbInitClient(client, nullptr, nullptr)) {
    return absl::UnavailableError("the display did not open");
  }
  const std::unique_ptr<rfbClient, ClientCleanup> owner(client);
  while (!shot.complete()) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) {
      return absl::UnavailableError("the display did not show its whole screen in time");
    }
    const int64_t wait_us = std::min<int64_t>(absl::ToInt64Microseconds(left), 500 * 1000);
    const int ready = WaitForMessage(client, static_cast<unsigned>(wait_us));
    if (ready < 0 || (ready > 0 && !HandleRFBServerMessage(client))) {
      return absl::UnavailableError("the display was closed");
    }
    // Asks again for everything when only a part came.
    if (ready == 0 && !shot.complete()) {
      SendFramebufferUpdateRequest(client, 0, 0, client->width, client->height, FALSE);
    }
  }
  return shot.Take();
}

absl::Status SavePng(const Picture& picture, const std::string& file) {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.width = picture.width;
  image.height = picture.height;
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = 0;
  std::string content;
  // First how large it gets, then the picture itself (png_image_write_to_memory, libpng 1.6).
  if (png_image_write_to_memory(&image, nullptr, &size, 0, picture.rgb.data(), 0, nullptr) == 0) {
    return absl::InternalError(absl::StrCat("cannot make a PNG: ", image.message));
  }
  content.resize(size);
  if (png_image_write_to_memory(&image, content.data(), &size, 0, picture.rgb.data(), 0, nullptr) ==
      0) {
    return absl::InternalError(absl::StrCat("cannot make a PNG: ", image.message));
  }
  content.resize(size);
  return LocalProblem(WriteFileAtomically(file, content, 0600));
}

}  // namespace werkplek
