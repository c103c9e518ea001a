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
#include "common/base/status_macros.h"
#include "common/tls/tls_files.h"

namespace werkplek {
namespace {

constexpr int kMaxSide = 16384;
constexpr int kBytesPerPixel = 4;
constexpr absl::Duration kAskAgain = absl::Milliseconds(500);
// Two frames this far apart that are alike are the picture; after `kSettle` it is what is there: a
// screen may move without end, or be truly black.
constexpr absl::Duration kBetweenFrames = absl::Milliseconds(300);
constexpr absl::Duration kSettle = absl::Seconds(5);

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

  // Everything is to come anew.
  void Forget() {
    covered_.assign(pixels_, false);
    covered_count_ = 0;
  }
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

using Interrupted = std::function<bool()>;

// Handles what the server sends, waiting at most `wait` for it.
absl::Status ServeOnce(rfbClient* client, absl::Duration wait, const Interrupted& interrupted) {
  if (interrupted()) return absl::CancelledError("interrupted");
  const int64_t wait_us = std::max<int64_t>(0, absl::ToInt64Microseconds(wait));
  const int ready = WaitForMessage(client, static_cast<unsigned>(wait_us));
  if (ready < 0 || (ready > 0 && !HandleRFBServerMessage(client))) {
    return absl::UnavailableError("the display was closed");
  }
  return absl::OkStatus();
}

absl::Status ServeFor(rfbClient* client, absl::Duration span, const Interrupted& interrupted) {
  const absl::Time end = absl::Now() + span;
  for (absl::Duration left = span; left > absl::ZeroDuration(); left = end - absl::Now()) {
    RETURN_IF_ERROR(ServeOnce(client, left, interrupted));
  }
  return absl::OkStatus();
}

// Asks for the whole screen and reads until every pixel has come anew.
absl::Status ReadFrame(rfbClient* client, Shot& shot, absl::Time deadline,
                       const Interrupted& interrupted) {
  shot.Forget();
  absl::Time asked = absl::InfinitePast();
  while (!shot.complete()) {
    const absl::Time now = absl::Now();
    if (now >= deadline) {
      return absl::UnavailableError("the display did not show its whole screen in time");
    }
    // Again when only a part came, and for a screen that has another size now.
    if (now - asked >= kAskAgain) {
      SendFramebufferUpdateRequest(client, 0, 0, client->width, client->height, FALSE);
      asked = now;
    }
    RETURN_IF_ERROR(ServeOnce(client, std::min(kAskAgain, deadline - now), interrupted));
  }
  return absl::OkStatus();
}

bool IsOneColour(const Picture& picture) {
  for (size_t i = 3; i < picture.rgb.size(); ++i) {
    if (picture.rgb[i] != picture.rgb[i - 3]) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<Picture> TakePicture(const std::string& path, absl::Duration timeout,
                                    const std::function<bool()>& interrupted) {
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
  // The first frame of a display that nobody looked at may be an old or an empty one, drawn before
  // the guest was asked. So frames are taken until two in a row are alike and show something.
  RETURN_IF_ERROR(ReadFrame(client, shot, deadline, interrupted));
  Picture picture = shot.Take();
  const absl::Time settled = std::min(deadline, absl::Now() + kSettle);
  while (absl::Now() + kBetweenFrames < settled) {
    RETURN_IF_ERROR(ServeFor(client, kBetweenFrames, interrupted));
    RETURN_IF_ERROR(ReadFrame(client, shot, deadline, interrupted));
    Picture next = shot.Take();
    const bool steady = next.rgb == picture.rgb && !IsOneColour(next);
    picture = std::move(next);
    if (steady) break;
  }
  return picture;
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
