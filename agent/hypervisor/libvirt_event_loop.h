// The process's one libvirt event loop. libvirt wants its event implementation registered before
// the first connection, once; the embedded QEMU driver runs its monitors on it.
#pragma once

#include <memory>

namespace werkplek {

// Keeps the loop's thread running while it lives; the last one stops the thread. Thread-safe.
class LibvirtEventLoop {
 public:
  static std::shared_ptr<LibvirtEventLoop> Acquire();
  ~LibvirtEventLoop();
  LibvirtEventLoop(const LibvirtEventLoop&) = delete;
  LibvirtEventLoop& operator=(const LibvirtEventLoop&) = delete;

 private:
  LibvirtEventLoop();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace werkplek
