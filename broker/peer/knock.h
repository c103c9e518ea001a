// One attempt to open a connection, only to see whether anybody listens.
#pragma once

#include <string>

namespace werkplek {

// Nothing here blocks. Not thread-safe.
class Knock {
 public:
  // `address` is "IP:PORT". A name is not looked up, since that may take long: nothing is tried.
  explicit Knock(const std::string& address);
  ~Knock();
  Knock(const Knock&) = delete;
  Knock& operator=(const Knock&) = delete;

  // The machine has said that nobody listens there. False as long as nothing has come.
  bool Refused();

 private:
  int socket_ = -1;
  bool refused_ = false;
};

}  // namespace werkplek
