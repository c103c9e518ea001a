#include "common/http/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/http/http_client.h"
#include "tests/support/pki/test_pki.h"

namespace werkplek {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

int Connect(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(uint16_t(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // Nothing in this test may wait longer than this.
  const timeval limit{20, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  return fd;
}

class HttpServerTest : public testing::Test {
 protected:
  void SetUp() override {
    // The raw peer below writes to connections that the server closes.
    std::signal(SIGPIPE, SIG_IGN);
    SetLogSink([](const std::string&) {});
    auto context =
        FollowingContext::Create(pki_.Issue(v1::IDENTITY_BROKER, "b1"), MakeOpenServerContext);
    ASSERT_TRUE(context.ok()) << context.status();
    context_ = *std::move(context);
    settings_.address = "127.0.0.1:0";
    Start();
  }
  void TearDown() override {
    server_.reset();
    SetLogSink(nullptr);
  }
  void Start() {
    server_.reset();
    auto server = HttpServer::Start(settings_, context_.get(), [this](const HttpRequest& request) {
      ++calls_;
      return HttpResponse{200, "text/plain",
                          absl::StrCat(request.method, " ", request.target, " ", request.body, " ",
                                       request.address)};
    });
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  // What the server says to these bytes; empty: it closed.
  std::string Raw(const std::string& bytes) {
    const auto context = MakePinnedClientContext(pki_.authority().sha256());
    const int fd = Connect(server_->port());
    SSL* ssl = SSL_new(context->get());
    SSL_set_fd(ssl, fd);
    std::string answer;
    if (SSL_connect(ssl) == 1) {
      // One call sends one TLS record.
      for (size_t sent = 0; sent < bytes.size();) {
        const int n = SSL_write(ssl, bytes.data() + sent, int(bytes.size() - sent));
        if (n <= 0) break;
        sent += size_t(n);
      }
      char buffer[4096];
      for (int n; (n = SSL_read(ssl, buffer, sizeof(buffer))) > 0;)
        answer.append(buffer, size_t(n));
    }
    SSL_free(ssl);
    close(fd);
    OpensslError();
    return answer;
  }

  absl::StatusOr<HttpResponse> Post(const std::string& body) {
    const auto context = MakePinnedClientContext(pki_.authority().sha256());
    return HttpsPost(absl::StrCat("https://127.0.0.1:", server_->port(), "/x"), *context,
                     "text/plain", body, absl::Seconds(20));
  }

  TestPki pki_;
  std::unique_ptr<FollowingContext> context_;
  HttpServerSettings settings_;
  std::atomic<int> calls_ = 0;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, ARequestGetsItsAnswer) {
  const auto response = Post("hello");
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "POST /x hello 127.0.0.1");
}

TEST_F(HttpServerTest, AnswersAreNeverKept) {
  const std::string answer = Raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Cache-Control: no-store"));
  EXPECT_THAT(answer, HasSubstr("Connection: close"));
  EXPECT_THAT(answer, testing::Not(HasSubstr("Server:")));
}

TEST_F(HttpServerTest, ALargeBodyIsRefusedBeforeTheHandler) {
  EXPECT_THAT(Raw("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 16385\r\n\r\n"),
              StartsWith("HTTP/1.1 413"));
  EXPECT_EQ(Post(std::string(16 * 1024, 'x'))->status, 200);
  EXPECT_EQ(calls_, 1);
}

TEST_F(HttpServerTest, LargeHeadersAreRefused) {
  EXPECT_THAT(Raw("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(9000, 'a') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431"));
  EXPECT_EQ(calls_, 0);
}

TEST_F(HttpServerTest, WhatIsNoRequestIsRefused) {
  for (const char* bytes : {
           "\x16\x03\x01 nonsense\r\n\r\n",
           "GET / HTTP/9.9\r\n\r\n",
           "GET / HTTP/1.1\r\nHost x\r\n\r\n",
           "GET /\x01 HTTP/1.1\r\n\r\n",
           "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
           "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
           "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
       }) {
    EXPECT_THAT(Raw(bytes), StartsWith("HTTP/1.1 400")) << bytes;
  }
  EXPECT_EQ(calls_, 0);
}

// Beast's own limits do not count these; a trailer of this length even made it throw.
TEST_F(HttpServerTest, WhatIsTooLongAmongChunksIsRefused) {
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string many(70'000, 'a');
  for (const std::string& rest : {"0\r\nX: " + many + "\r\n\r\n", "1;" + many}) {
    // The answer may be lost, since the server closes before it has read everything.
    EXPECT_THAT(Raw(head + rest), testing::AnyOf(StartsWith("HTTP/1.1 400"), ""));
  }
  EXPECT_EQ(calls_, 0);
}

TEST_F(HttpServerTest, ASecondRequestOnAConnectionIsNotHeard) {
  const std::string twice = "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n";
  EXPECT_THAT(Raw(twice), testing::Not(HasSubstr("/2")));
  EXPECT_EQ(calls_, 1);
}

TEST_F(HttpServerTest, SilentAndSlowPeersAreClosed) {
  settings_.request_limit = absl::Milliseconds(200);
  Start();
  const int silent = Connect(server_->port());
  char byte;
  EXPECT_EQ(recv(silent, &byte, 1, 0), 0) << "closed by the server, not by the test's own limit";
  close(silent);
  // Half a request, then nothing.
  EXPECT_EQ(Raw("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"), "");
  EXPECT_EQ(calls_, 0);
}

TEST_F(HttpServerTest, OneAddressCannotTakeAllConnections) {
  settings_.max_connections_per_address = 2;
  Start();
  const int first = Connect(server_->port());
  const int second = Connect(server_->port());
  EXPECT_FALSE(Post("x").ok()) << "the third is closed";
  close(first);
  // The freed place is noticed when the server sees the close.
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (!Post("x").ok() && absl::Now() < deadline) {
  }
  EXPECT_EQ(calls_, 1);
  close(second);
}

TEST_F(HttpServerTest, ATakenPortIsNamed) {
  HttpServerSettings second = settings_;
  second.address = absl::StrCat("127.0.0.1:", server_->port());
  const auto server =
      HttpServer::Start(second, context_.get(), [](const HttpRequest&) { return HttpResponse(); });
  EXPECT_THAT(std::string(server.status().message()),
              HasSubstr(absl::StrCat("cannot listen on ", second.address)));
}

TEST_F(HttpServerTest, TheDestructorDoesNotWaitForPeers) {
  const int idle = Connect(server_->port());
  server_.reset();
  char byte;
  EXPECT_LE(recv(idle, &byte, 1, 0), 0);
  close(idle);
}

TEST_F(HttpServerTest, TheClientRefusesOddUrls) {
  const auto context = MakePinnedClientContext(pki_.authority().sha256());
  for (const char* url : {"", "http://a:1/x", "https://a:1", "https:///x", "https://a:0/x",
                          "https://a b/x", "https://a:1/x y", "https://a:1/\r\nX: y"}) {
    EXPECT_EQ(HttpsPost(url, *context, "a", "b", absl::Seconds(1)).status().code(),
              absl::StatusCode::kInvalidArgument)
        << url;
  }
}

}  // namespace
}  // namespace werkplek
