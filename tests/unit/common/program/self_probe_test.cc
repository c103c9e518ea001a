#include "common/program/self_probe.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/loop_executor.h"
#include "common/http/http_server.h"
#include "tests/support/pki/test_pki.h"
#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

TEST(ProbeLoopTest, ALoopThatRunsIsGoodAndAStuckOneIsNot) {
  LoopExecutor loop("test");
  EXPECT_TRUE(ProbeLoop(&loop, absl::Seconds(20)).ok());
  std::promise<void> release;
  loop.Post([&] { release.get_future().wait(); });
  EXPECT_EQ(ProbeLoop(&loop, absl::Milliseconds(20)).code(), absl::StatusCode::kDeadlineExceeded);
  release.set_value();
  EXPECT_TRUE(ProbeLoop(&loop, absl::Seconds(20)).ok());
}

class ProbeTlsTest : public testing::Test {
 protected:
  ProbeTlsTest() {
    SetLogSink([](const std::string&) {});
    const TlsFiles files = pki_.Issue(v1::IDENTITY_BROKER, "b1");
    server_context_ = *FollowingContext::Create(files, MakeOpenServerContext);
    client_context_ = *MakeClientContext(*LoadTlsFiles(files, absl::Now()),
                                         ExpectIdentity({v1::IDENTITY_BROKER}));
  }
  ~ProbeTlsTest() override { SetLogSink(nullptr); }

  TestPki pki_;
  std::unique_ptr<FollowingContext> server_context_;
  SslContextPointer client_context_;
};

TEST_F(ProbeTlsTest, AListenerThatAnswersIsGood) {
  HttpServerSettings settings;
  settings.address = "0.0.0.0:0";
  const auto server = HttpServer::Start(settings, server_context_.get(),
                                        [](const HttpRequest&) { return HttpResponse(); });
  ASSERT_TRUE(server.ok()) << server.status();
  const absl::Status status =
      ProbeTls(settings.address, (*server)->port(), client_context_, absl::Seconds(20));
  EXPECT_TRUE(status.ok()) << status;
}

// As gRPC's own listener after it ran out of descriptors: connections pile up in the backlog.
TEST_F(ProbeTlsTest, AListenerThatNoLongerAcceptsIsBad) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(fd, 8), 0);
  socklen_t size = sizeof(address);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  const absl::Status status =
      ProbeTls("127.0.0.1:0", ntohs(address.sin_port), client_context_, absl::Milliseconds(50));
  EXPECT_THAT(std::string(status.message()), HasSubstr("no TLS handshake within 50ms"));
  close(fd);
}

// Strangers who take all places must not make the watchdog end what is well.
TEST_F(ProbeTlsTest, AListenerThatTurnsConnectionsAwayIsGood) {
  const int port = FreeLoopbackPort();
  uint64_t count = 7;
  const auto full = [&] { return count++; };
  const auto not_full = [&] { return count; };
  EXPECT_TRUE(ProbeTls("127.0.0.1:0", port, client_context_, absl::Seconds(20), full).ok());
  EXPECT_FALSE(ProbeTls("127.0.0.1:0", port, client_context_, absl::Seconds(20), not_full).ok());
}

TEST_F(ProbeTlsTest, NobodyThereIsBad) {
  const int port = FreeLoopbackPort();
  EXPECT_THAT(
      std::string(ProbeTls("127.0.0.1:0", port, client_context_, absl::Seconds(20)).message()),
      HasSubstr(absl::StrCat("port ", port, ": Connection refused")));
}

}  // namespace
}  // namespace werkplek
