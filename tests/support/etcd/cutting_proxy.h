// A TCP proxy on loopback that lets requests through and loses what comes back, or nothing, or all.
#pragma once

#include <atomic>
#include <list>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"

namespace werkplek {

class CuttingProxy {
 public:
  enum class Mode {
    kPass,
    // What the client sends arrives; what the server answers does not.
    kLoseAnswers,
    // Nothing moves, and nothing ends: as on a line that is cut.
    kHold,
    // Connections end, and new ones end at once.
    kRefuse,
  };

  // `target`: "127.0.0.1:PORT". Listens on `address`.
  explicit CuttingProxy(const std::string& target, const std::string& address = "127.0.0.1");
  ~CuttingProxy();
  CuttingProxy(const CuttingProxy&) = delete;
  CuttingProxy& operator=(const CuttingProxy&) = delete;

  std::string endpoint() const;
  void SetMode(Mode mode);
  // Bytes that came from the client since the last SetMode.
  size_t bytes_in() const { return bytes_in_; }

 private:
  struct Link {
    int client = -1;
    int server = -1;
  };
  void Run();
  // False: the link has ended.
  bool Move(Link& link, bool from_client);

  const std::string address_;
  int target_port_ = 0;
  int listener_ = -1;
  int port_ = 0;
  int wake_[2] = {-1, -1};
  std::atomic<Mode> mode_ = Mode::kPass;
  std::atomic<size_t> bytes_in_ = 0;
  std::atomic<bool> stopping_ = false;
  std::list<Link> links_;
  std::thread thread_;
};

}  // namespace werkplek
