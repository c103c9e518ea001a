#include "tests/support/slapd/scripted_ldap_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"

namespace werkplek {

std::string Ber(uint8_t tag, const std::string& content) {
  std::string bytes(1, static_cast<char>(tag));
  const size_t size = content.size();
  if (size < 128) {
    bytes += static_cast<char>(size);
  } else {
    bytes += static_cast<char>(0x84);
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(size >> shift);
  }
  return bytes + content;
}

std::string LdapMessageBytes(int id, const std::string& operation) {
  std::string number;
  for (int shift = 24; shift >= 0; shift -= 8) number += static_cast<char>(id >> shift);
  return Ber(0x30, Ber(0x02, number) + operation);
}

std::string LdapResultBytes(uint8_t tag, int code) {
  return Ber(tag,
             Ber(0x0a, std::string(1, static_cast<char>(code))) + Ber(0x04, "") + Ber(0x04, ""));
}

std::string LdapEntryBytes(const std::string& dn,
                           const std::vector<std::pair<std::string, std::string>>& attributes) {
  std::string list;
  for (const auto& [name, value] : attributes) {
    list += Ber(0x30, Ber(0x04, name) + Ber(0x31, Ber(0x04, value)));
  }
  return Ber(kLdapSearchEntry, Ber(0x04, dn) + Ber(0x30, list));
}

bool ScriptedLdapServer::Session::Write(const std::string& bytes) {
  return !*stopping && SSL_write(ssl, bytes.data(), static_cast<int>(bytes.size())) > 0;
}

bool ScriptedLdapServer::Session::Pause() {
  pollfd wait = {.fd = descriptor, .events = POLLIN | POLLRDHUP, .revents = 0};
  poll(&wait, 1, 20);
  return !*stopping && (wait.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0;
}

bool ScriptedLdapServer::Session::ReadExactly(char* to, size_t count) {
  while (count > 0) {
    // The thread must see that the server stops.
    while (SSL_pending(ssl) == 0) {
      pollfd wait = {.fd = descriptor, .events = POLLIN, .revents = 0};
      if (poll(&wait, 1, 20) > 0) break;
      if (*stopping) return false;
    }
    const int got = SSL_read(ssl, to, static_cast<int>(count));
    if (got <= 0) return false;
    to += got;
    count -= static_cast<size_t>(got);
  }
  return true;
}

bool ScriptedLdapServer::Session::Read(Request& request) {
  std::string head(2, '\0');
  if (!ReadExactly(head.data(), 2)) return false;
  size_t size = static_cast<unsigned char>(head[1]);
  if (size >= 128) {
    std::string more(size - 128, '\0');
    if (!ReadExactly(more.data(), more.size())) return false;
    size = 0;
    for (const char c : more) size = size << 8 | static_cast<unsigned char>(c);
    head += more;
  }
  std::string body(size, '\0');
  if (!ReadExactly(body.data(), size)) return false;
  // 02 LENGTH ID OPERATION...
  const size_t id_size = static_cast<unsigned char>(body[1]);
  request.id = 0;
  for (size_t i = 0; i < id_size; ++i) {
    request.id = request.id << 8 | static_cast<unsigned char>(body[2 + i]);
  }
  request.operation = static_cast<uint8_t>(body[2 + id_size]);
  request.bytes = head + body;
  return true;
}

ScriptedLdapServer::ScriptedLdapServer(const ServerCertificate& certificate, Script script)
    : script_(std::move(script)), context_(SSL_CTX_new(TLS_server_method())) {
  if (SSL_CTX_use_certificate_chain_file(context_, certificate.certificate.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context_, certificate.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    std::abort();
  }
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener_, 64) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::abort();
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

ScriptedLdapServer::~ScriptedLdapServer() {
  stopping_ = true;
  acceptor_.join();
  for (std::thread& session : sessions_) session.join();
  close(listener_);
  SSL_CTX_free(context_);
}

std::string ScriptedLdapServer::url() const { return absl::StrCat("ldaps://127.0.0.1:", port_); }

void ScriptedLdapServer::Accept() {
  while (!stopping_) {
    pollfd wait = {.fd = listener_, .events = POLLIN, .revents = 0};
    if (poll(&wait, 1, 20) != 1) continue;
    const int descriptor = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    ++taken_;
    sessions_.emplace_back([this, descriptor] { Serve(descriptor); });
  }
}

void ScriptedLdapServer::Serve(int descriptor) {
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  // A client that does not read must not hold the thread for ever.
  const timeval limit = {.tv_sec = 10, .tv_usec = 0};
  setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  Session session;
  session.ssl = SSL_new(context_);
  session.descriptor = descriptor;
  session.stopping = &stopping_;
  SSL_set_fd(session.ssl, descriptor);
  if (SSL_accept(session.ssl) == 1) {
    Request request;
    while (session.Read(request) && script_(session, request)) {
    }
  }
  SSL_free(session.ssl);
  close(descriptor);
}

}  // namespace werkplek
