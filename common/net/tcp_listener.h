// TCP ports that take connections, for servers over Asio.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace werkplek {

// Belongs to the io_context's thread, but for construction.
class TcpListener {
 public:
  using Take = std::function<void(boost::asio::ip::tcp::socket)>;

  // Listens at once, and accepts from Accept on. `addresses` are "ADDRESS:PORT", numeric; port 0
  // takes a free one. `name` is for the log. INVALID_ARGUMENT: an address is none. UNAVAILABLE: one
  // is taken; the message names it.
  static absl::StatusOr<std::unique_ptr<TcpListener>> Create(
      boost::asio::io_context& io, const std::string& name,
      const std::vector<std::string>& addresses, Take take);
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;

  void Accept();
  // No connection comes afterwards.
  void Close();

  // In the order of the addresses.
  const std::vector<int>& ports() const { return ports_; }

 private:
  struct Door {
    explicit Door(boost::asio::io_context& io) : acceptor(io), pause(io) {}
    boost::asio::ip::tcp::acceptor acceptor;
    boost::asio::steady_timer pause;
  };

  TcpListener(std::string name, Take take) : name_(std::move(name)), take_(std::move(take)) {}
  absl::Status Open(boost::asio::io_context& io, const std::string& text);
  void AcceptAt(Door& door);

  const std::string name_;
  const Take take_;
  std::vector<std::unique_ptr<Door>> doors_;
  std::vector<int> ports_;
  bool closed_ = false;
};

}  // namespace werkplek
