// The layer between libldap's TLS and its socket, so that one call of the system serves much:
// what has arrived is read at once and handed on piece by piece, and what is sent is gathered until
// it is flushed. libldap alone reads each TLS record with two calls, asks before whether there is
// one, and writes each request by itself. Thread-compatible.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"

struct sockbuf;
struct sockbuf_io;
struct sockbuf_io_desc;

namespace werkplek {

class LdapSocket {
 public:
  LdapSocket() = default;
  LdapSocket(const LdapSocket&) = delete;
  LdapSocket& operator=(const LdapSocket&) = delete;

  // Puts the layer on a connection that has no TLS yet; this must outlive it. Writes go through as
  // they come until Gather.
  absl::Status AttachTo(sockbuf* connection);

  // From now on what is written waits for Flush. The socket must be non-blocking by then.
  void Gather() { gathers_ = true; }
  bool NeedsFlush() const { return !written_.empty(); }
  // Sends what was gathered, as much as the socket takes; the rest waits for the next Flush.
  // UNAVAILABLE: the connection is gone, or its other side has not read for so long that more than
  // a bound waits.
  absl::Status Flush();

  // Reads what has arrived. That nothing has, or that the connection is gone, libldap finds out.
  void Fill();

 private:
  friend struct LdapSocketCalls;

  ptrdiff_t Read(char* to, size_t size);
  ptrdiff_t Write(char* from, size_t size);

  // libldap's; null once it has closed the connection.
  sockbuf_io_desc* layer_ = nullptr;
  bool gathers_ = false;
  std::string written_;
  std::vector<char> read_;
  // What of it was handed on, and how much there is.
  size_t taken_ = 0;
  size_t filled_ = 0;
};

}  // namespace werkplek
