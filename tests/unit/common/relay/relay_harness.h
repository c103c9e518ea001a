// A relay on loopback whose displays are the other ends of socket pairs, and a client that sends
// any bytes over TLS.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/crypto.h"
#include "common/base/mutex.h"
#include "common/relay/relay_client.h"
#include "common/relay/relay_server.h"
#include "gtest/gtest.h"
#include "tests/support/loopback_socket.h"
#include "tests/support/pki/test_pki.h"

namespace werkplek {

inline TlsMaterial Material(const TlsFiles& files) {
  absl::StatusOr<TlsMaterial> material = LoadTlsFiles(files, absl::Now());
  EXPECT_TRUE(material.ok()) << material.status();
  return *std::move(material);
}

// A blocking TLS client that sends what it is told.
class RawClient {
 public:
  RawClient(const SslContextPointer& context, int port) : socket_(ConnectTcp(port)) {
    ssl_.reset(SSL_new(context.get()));
    SSL_set_fd(ssl_.get(), socket_.get());
    connected_ = SSL_connect(ssl_.get()) == 1;
    ERR_clear_error();
  }

  bool connected() const { return connected_; }
  // False: the line is gone.
  bool Send(const std::string& text) {
    return SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())) ==
           static_cast<int>(text.size());
  }
  // Until `size` bytes, an end (`ended`), or 20 s.
  std::string Receive(size_t size) {
    std::string text;
    while (text.size() < size) {
      char buffer[16384];
      const int got = SSL_read(ssl_.get(), buffer,
                               static_cast<int>(std::min(sizeof(buffer), size - text.size())));
      if (got <= 0) {
        orderly_ = SSL_get_error(ssl_.get(), got) == SSL_ERROR_ZERO_RETURN;
        ERR_clear_error();
        break;
      }
      text.append(buffer, static_cast<size_t>(got));
    }
    return text;
  }
  std::string ReceiveAll() { return Receive(1 << 20); }
  // One head, up to the empty line.
  std::string ReceiveHead() {
    std::string head;
    while (head.find("\r\n\r\n") == std::string::npos) {
      const std::string more = Receive(1);
      if (more.empty()) break;
      head += more;
    }
    return head;
  }
  void EndSending() { SSL_shutdown(ssl_.get()); }
  bool ended_in_order() const { return orderly_; }
  int socket() const { return socket_.get(); }

 private:
  struct SslFree {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  Descriptor socket_;
  std::unique_ptr<SSL, SslFree> ssl_;
  bool connected_ = false;
  bool orderly_ = false;
};

class RelayTest : public testing::Test {
 protected:
  RelayTest()
      : host_files_(pki_.Issue(v1::IDENTITY_HOST, "hv-a1")),
        client_(Material(pki_.Issue(v1::IDENTITY_CLIENT, "tc-1"))) {
    absl::StatusOr<std::unique_ptr<FollowingContext>> tls =
        FollowingContext::Create(host_files_, [](const TlsMaterial& own) {
          return MakeServerContext(
              own, ExpectIdentity({v1::IDENTITY_CLIENT, v1::IDENTITY_GATEWAY, v1::IDENTITY_ADMIN}));
        });
    EXPECT_TRUE(tls.ok()) << tls.status();
    tls_ = *std::move(tls);
    options_.addresses = {"127.0.0.1:0"};
  }

  void Start() {
    RelayHandlers handlers;
    handlers.authorize = [this](const RelayRequest& request,
                                std::function<void(RelayVerdict)> answer) {
      Authorize(request, std::move(answer));
    };
    handlers.opened = [this](uint64_t channel) {
      MutexLock lock(mutex_);
      opened_.insert(channel);
      changed_.SignalAll();
    };
    handlers.closed = [this](uint64_t channel) {
      MutexLock lock(mutex_);
      closed_.push_back(channel);
      changed_.SignalAll();
    };
    absl::StatusOr<std::unique_ptr<RelayServer>> server =
        RelayServer::Start(options_, tls_.get(), handlers);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    ASSERT_EQ(server_->ports().size(), 1u);
  }

  int port() const { return server_->ports()[0]; }

  // By default every request gets a display.
  virtual void Authorize(const RelayRequest& request, std::function<void(RelayVerdict)> answer) {
    RelayVerdict given;
    {
      MutexLock lock(mutex_);
      requests_.push_back(request);
      if (hold_answers_) {
        held_.push_back(std::move(answer));
        changed_.SignalAll();
        return;
      }
      given = verdict_;
    }
    if (given.status == 200) given.display = NewDisplay();
    answer(given);
    MutexLock lock(mutex_);
    changed_.SignalAll();
  }

  int NewDisplay() {
    int pair[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    MutexLock lock(mutex_);
    displays_.emplace_back(pair[1]);
    return pair[0];
  }

  // The display's own end of the next connection that was let in.
  Descriptor TakeDisplay() {
    MutexLock lock(mutex_);
    const absl::Time deadline = absl::Now() + kTestDeadline;
    while (displays_.empty() && absl::Now() < deadline) {
      changed_.WaitFor(mutex_, absl::Milliseconds(100));
    }
    if (displays_.empty()) {
      ADD_FAILURE() << "no display was opened";
      return Descriptor();
    }
    Descriptor display = std::move(displays_.front());
    displays_.pop_front();
    return display;
  }

  size_t WaitForClosed(size_t count) {
    return WaitFor([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return closed_.size(); }, count);
  }
  size_t WaitForOpened(size_t count) {
    return WaitFor([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return opened_.size(); }, count);
  }
  size_t WaitForRequests(size_t count) {
    return WaitFor([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return requests_.size(); }, count);
  }

  template <typename Value>
  size_t WaitFor(Value value, size_t count) {
    MutexLock lock(mutex_);
    const absl::Time deadline = absl::Now() + kTestDeadline;
    while (value() < count && absl::Now() < deadline) {
      changed_.WaitFor(mutex_, absl::Milliseconds(100));
    }
    return value();
  }

  SslContextPointer ClientContext(const TlsMaterial& own) {
    absl::StatusOr<SslContextPointer> context =
        MakeClientContext(own, ExpectPeer({v1::IDENTITY_HOST, "hv-a1"}));
    EXPECT_TRUE(context.ok()) << context.status();
    return *context;
  }
  RawClient Raw() { return RawClient(ClientContext(client_), port()); }

  static std::string Head(const std::string& more = "") {
    return absl::StrCat(
        "CONNECT kantoor-1 HTTP/1.1\r\nHost: hv-a1\r\nAuthorization: Ticket abc\r\n",
        "Werkplek-Channel: spice\r\nWerkplek-Viewer: v1\r\n", more, "\r\n");
  }

  RelayTarget Target() {
    RelayTarget target;
    target.addresses = {absl::StrCat("127.0.0.1:", port())};
    target.host = "hv-a1";
    target.desktop = "kantoor-1";
    target.ticket = Secret("abc");
    target.viewer = "v1";
    return target;
  }
  std::unique_ptr<RelayClient> Client(RelayTarget target) {
    absl::StatusOr<std::unique_ptr<RelayClient>> made =
        RelayClient::Create(client_, std::move(target));
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }

  TestPki pki_;
  const TlsFiles host_files_;
  const TlsMaterial client_;
  std::unique_ptr<FollowingContext> tls_;
  RelayOptions options_;

  Mutex mutex_;
  CondVar changed_;
  std::vector<RelayRequest> requests_ ABSL_GUARDED_BY(mutex_);
  std::deque<Descriptor> displays_ ABSL_GUARDED_BY(mutex_);
  std::set<uint64_t> opened_ ABSL_GUARDED_BY(mutex_);
  std::vector<uint64_t> closed_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::function<void(RelayVerdict)>> held_ ABSL_GUARDED_BY(mutex_);
  bool hold_answers_ ABSL_GUARDED_BY(mutex_) = false;
  RelayVerdict verdict_ ABSL_GUARDED_BY(mutex_) = {200, "", -1};

  std::unique_ptr<RelayServer> server_;
};

}  // namespace werkplek
