#include "common/grpc/connection_poller.h"

namespace werkplek {

ConnectionPoller::ConnectionPoller()
    : thread_([this] {
        void* tag = nullptr;
        bool ok = false;
        while (queue_.Next(&tag, &ok)) {
        }
      }) {}

ConnectionPoller::~ConnectionPoller() {
  queue_.Shutdown();
  thread_.join();
}

}  // namespace werkplek
