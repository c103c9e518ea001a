#include "client/login/screenshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>
#include <rfb/rfb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <thread>

namespace werkplek {
namespace {

constexpr int kWidth = 321;
constexpr int kHeight = 77;

uint8_t Red(int x, int) { return static_cast<uint8_t>(x % 251); }
uint8_t Green(int, int y) { return static_cast<uint8_t>(y * 3); }
uint8_t Blue(int x, int y) { return static_cast<uint8_t>((x + y) % 256); }

// A real VNC server (libvncserver) behind a local socket.
class VncServer {
 public:
  // `black_frames`: frames that it sends before it draws anything, as QEMU's server does.
  VncServer(const std::string& path, int black_frames) : black_frames_(black_frames) {
    rfbLogEnable(0);
    screen_ = rfbGetScreen(nullptr, nullptr, kWidth, kHeight, 8, 3, 4);
    pixels_.resize(static_cast<size_t>(kWidth) * kHeight * 4);
    screen_->frameBuffer = reinterpret_cast<char*>(pixels_.data());
    if (black_frames_ == 0) Draw();
    screen_->screenData = this;
    screen_->displayFinishedHook = [](rfbClientPtr client, int) {
      auto* server = static_cast<VncServer*>(client->screen->screenData);
      if (++server->frames_ == server->black_frames_) server->Draw();
    };
    // Its default cursor would be drawn into the picture; it serves no port of its own.
    screen_->cursor = nullptr;
    screen_->port = -1;
    screen_->ipv6port = -1;
    screen_->autoPort = FALSE;
    rfbInitServer(screen_);
    listener_ = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    listen(listener_, 1);
    thread_ = std::thread([this] { Serve(); });
  }
  ~VncServer() {
    stop_ = true;
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
    screen_->frameBuffer = nullptr;
    rfbScreenCleanup(screen_);
  }

 private:
  void Draw() {
    for (int y = 0; y < kHeight; ++y) {
      for (int x = 0; x < kWidth; ++x) {
        uint8_t* pixel = &pixels_[(static_cast<size_t>(y) * kWidth + x) * 4];
        pixel[0] = Red(x, y);
        pixel[1] = Green(x, y);
        pixel[2] = Blue(x, y);
      }
    }
  }
  void Serve() {
    const int connection = accept(listener_, nullptr, nullptr);
    if (connection < 0) return;
    rfbNewClient(screen_, connection);
    while (!stop_) rfbProcessEvents(screen_, 10'000);
  }

  const int black_frames_;
  // On the serving thread alone.
  int frames_ = 0;
  rfbScreenInfoPtr screen_;
  std::vector<uint8_t> pixels_;
  int listener_ = -1;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

// Pixels that are not as drawn.
size_t Wrong(const Picture& picture) {
  size_t wrong = 0;
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      const uint8_t* pixel = &picture.rgb[(static_cast<size_t>(y) * kWidth + x) * 3];
      if (pixel[0] != Red(x, y) || pixel[1] != Green(x, y) || pixel[2] != Blue(x, y)) ++wrong;
    }
  }
  return wrong;
}

bool GoesOn() { return false; }

class ScreenshotTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/shot-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string directory_;
};

TEST_F(ScreenshotTest, ReadsEveryPixelOfARealServer) {
  const std::string path = directory_ + "/vnc";
  const VncServer server(path, 0);
  const absl::StatusOr<Picture> picture = TakePicture(path, absl::Seconds(20), GoesOn);
  ASSERT_TRUE(picture.ok()) << picture.status();
  ASSERT_EQ(picture->width, kWidth);
  ASSERT_EQ(picture->height, kHeight);
  ASSERT_EQ(picture->rgb.size(), size_t{3} * kWidth * kHeight);
  EXPECT_EQ(Wrong(*picture), 0);
}

TEST_F(ScreenshotTest, ABlackBeginningIsNotThePicture) {
  const std::string path = directory_ + "/vnc";
  const VncServer server(path, 3);
  const absl::StatusOr<Picture> picture = TakePicture(path, absl::Seconds(20), GoesOn);
  ASSERT_TRUE(picture.ok()) << picture.status();
  ASSERT_EQ(picture->rgb.size(), size_t{3} * kWidth * kHeight);
  EXPECT_EQ(Wrong(*picture), 0);
}

TEST_F(ScreenshotTest, SaysWhenThereIsNoDisplay) {
  EXPECT_TRUE(
      absl::IsUnavailable(TakePicture(directory_ + "/nothing", absl::Seconds(1), GoesOn).status()));
}

TEST_F(ScreenshotTest, AnInterruptEndsIt) {
  const std::string path = directory_ + "/vnc";
  const VncServer server(path, 0);
  EXPECT_TRUE(
      absl::IsCancelled(TakePicture(path, absl::Seconds(20), [] { return true; }).status()));
}

TEST_F(ScreenshotTest, SavesAPngThatOnlyItsOwnerCanRead) {
  Picture picture;
  picture.width = 2;
  picture.height = 2;
  picture.rgb = {255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 8, 7};
  const std::string file = directory_ + "/a.png";
  ASSERT_TRUE(SavePng(picture, file).ok());
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  ASSERT_NE(png_image_begin_read_from_file(&image, file.c_str()), 0);
  image.format = PNG_FORMAT_RGB;
  std::vector<uint8_t> read(PNG_IMAGE_SIZE(image));
  ASSERT_NE(png_image_finish_read(&image, nullptr, read.data(), 0, nullptr), 0);
  EXPECT_EQ(read, picture.rgb);
  struct stat about = {};
  ASSERT_EQ(stat(file.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600);
  EXPECT_FALSE(SavePng(picture, directory_ + "/none/a.png").ok());
}

}  // namespace
}  // namespace werkplek
