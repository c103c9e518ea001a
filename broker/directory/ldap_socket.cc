#include "broker/directory/ldap_socket.h"

#include <lber.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace werkplek {
namespace {

// A TLS record has at most so much, and a few bytes.
constexpr size_t kReadBytes = 16 << 10;
constexpr size_t kMaxWaitingBytes = 1 << 20;
// Above the socket, which libldap adds later, and below TLS.
constexpr int kLevel = (LBER_SBIOD_LEVEL_PROVIDER + LBER_SBIOD_LEVEL_TRANSPORT) / 2;

}  // namespace

// What libldap calls.
struct LdapSocketCalls {
  static LdapSocket& Of(Sockbuf_IO_Desc* layer) {
    return *static_cast<LdapSocket*>(layer->sbiod_pvt);
  }
  static int Setup(Sockbuf_IO_Desc* layer, void* socket) {
    layer->sbiod_pvt = socket;
    Of(layer).layer_ = layer;
    return 0;
  }
  static int Remove(Sockbuf_IO_Desc* layer) {
    Of(layer).layer_ = nullptr;
    return 0;
  }
  static int Control(Sockbuf_IO_Desc* layer, int option, void* argument) {
    const LdapSocket& socket = Of(layer);
    if (option == LBER_SB_OPT_DATA_READY && socket.taken_ < socket.filled_) return 1;
    return LBER_SBIOD_CTRL_NEXT(layer, option, argument);
  }
  static ber_slen_t Read(Sockbuf_IO_Desc* layer, void* to, ber_len_t size) {
    return Of(layer).Read(static_cast<char*>(to), size);
  }
  static ber_slen_t Write(Sockbuf_IO_Desc* layer, void* from, ber_len_t size) {
    return Of(layer).Write(static_cast<char*>(from), size);
  }
  // The goodbye that libldap has written just now goes out.
  static int Close(Sockbuf_IO_Desc* layer) {
    Of(layer).Flush().IgnoreError();
    return 0;
  }
};

absl::Status LdapSocket::AttachTo(Sockbuf* connection) {
  static Sockbuf_IO calls = {.sbi_setup = LdapSocketCalls::Setup,
                             .sbi_remove = LdapSocketCalls::Remove,
                             .sbi_ctrl = LdapSocketCalls::Control,
                             .sbi_read = LdapSocketCalls::Read,
                             .sbi_write = LdapSocketCalls::Write,
                             .sbi_close = LdapSocketCalls::Close};
  read_.resize(kReadBytes);
  if (ber_sockbuf_add_io(connection, &calls, kLevel, this) == 0) {
    return absl::OkStatus();
  }
  return absl::InternalError("libldap takes no layer on its socket");
}

absl::Status LdapSocket::Flush() {
  while (!written_.empty()) {
    if (layer_ == nullptr) return absl::UnavailableError("the connection is gone");
    const ber_slen_t sent = LBER_SBIOD_WRITE_NEXT(layer_, written_.data(), written_.size());
    if (sent > 0) {
      written_.erase(0, static_cast<size_t>(sent));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (written_.size() <= kMaxWaitingBytes) return absl::OkStatus();
      return absl::UnavailableError("the server does not read what it is sent");
    } else if (errno != EINTR) {
      return absl::UnavailableError("the connection is gone");
    }
  }
  return absl::OkStatus();
}

void LdapSocket::Fill() {
  if (layer_ == nullptr || taken_ < filled_) return;
  const ber_slen_t got = LBER_SBIOD_READ_NEXT(layer_, read_.data(), read_.size());
  taken_ = 0;
  filled_ = got > 0 ? static_cast<size_t>(got) : 0;
}

ptrdiff_t LdapSocket::Read(char* to, size_t size) {
  if (taken_ == filled_) {
    const ber_slen_t got = LBER_SBIOD_READ_NEXT(layer_, read_.data(), read_.size());
    if (got <= 0) return got;
    taken_ = 0;
    filled_ = static_cast<size_t>(got);
  }
  const size_t count = std::min(size, filled_ - taken_);
  std::memcpy(to, read_.data() + taken_, count);
  taken_ += count;
  return static_cast<ptrdiff_t>(count);
}

ptrdiff_t LdapSocket::Write(char* from, size_t size) {
  if (!gathers_) return LBER_SBIOD_WRITE_NEXT(layer_, from, size);
  written_.append(from, size);
  return static_cast<ptrdiff_t>(size);
}

}  // namespace werkplek
