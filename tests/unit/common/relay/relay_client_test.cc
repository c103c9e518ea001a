// The viewer's side, against a real relay.
#include "common/relay/relay_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <thread>

#include "tests/unit/common/relay/relay_harness.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

class RelayClientTest : public RelayTest {
 protected:
  static Descriptor ConnectLocal(const std::string& path) {
    Descriptor made(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    path.copy(where.sun_path, sizeof(where.sun_path) - 1);
    EXPECT_EQ(connect(made.get(), reinterpret_cast<sockaddr*>(&where), sizeof(where)), 0);
    return made;
  }

  // Collects what `ended` is told.
  std::function<void(const absl::Status&)> Ended() {
    return [this](const absl::Status& status) {
      MutexLock lock(mutex_);
      ended_.push_back(status);
      changed_.SignalAll();
    };
  }
  absl::Status WaitForEnd() {
    WaitFor([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return ended_.size(); }, 1);
    MutexLock lock(mutex_);
    if (ended_.empty()) return absl::DeadlineExceededError("nothing ended");
    return ended_[0];
  }

  std::vector<absl::Status> ended_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(RelayClientTest, OpenGivesASocketThatIsTheDisplay) {
  Start();
  const std::unique_ptr<RelayClient> client = Client(Target());
  const absl::StatusOr<int> opened = client->Open(kTestDeadline);
  ASSERT_TRUE(opened.ok()) << opened.status();
  const Descriptor local(*opened);
  const Descriptor display = TakeDisplay();
  WriteTo(local.get(), "ping");
  EXPECT_EQ(ReadFrom(display.get(), 4), "ping");
  WriteTo(display.get(), "pong");
  EXPECT_EQ(ReadFrom(local.get(), 4), "pong");
  EXPECT_EQ(client->channels(), 1);
}

TEST_F(RelayClientTest, MegabytesPassBothWaysAtOnce) {
  Start();
  const std::unique_ptr<RelayClient> client = Client(Target());
  const absl::StatusOr<int> opened = client->Open(kTestDeadline);
  ASSERT_TRUE(opened.ok()) << opened.status();
  const Descriptor local(*opened);
  const Descriptor display = TakeDisplay();
  const std::string up = RandomBytes(4 << 20);
  const std::string down = RandomBytes(8 << 20);
  std::thread sends_up([&] { WriteTo(local.get(), up); });
  std::thread sends_down([&] { WriteTo(display.get(), down); });
  std::string got_up;
  std::thread reads_up([&] { got_up = ReadFrom(display.get(), up.size()); });
  const std::string got_down = ReadFrom(local.get(), down.size());
  sends_up.join();
  sends_down.join();
  reads_up.join();
  EXPECT_EQ(Sha256(got_up), Sha256(up));
  EXPECT_EQ(Sha256(got_down), Sha256(down));
}

TEST_F(RelayClientTest, HalfCloseGoesThrough) {
  Start();
  const std::unique_ptr<RelayClient> client = Client(Target());
  const absl::StatusOr<int> opened = client->Open(kTestDeadline);
  ASSERT_TRUE(opened.ok()) << opened.status();
  const Descriptor local(*opened);
  Descriptor display = TakeDisplay();
  WriteTo(local.get(), "last");
  shutdown(local.get(), SHUT_WR);
  EXPECT_EQ(ReadFrom(display.get(), 4), "last");
  EXPECT_TRUE(AtEnd(display.get()));
  WriteTo(display.get(), "answer");
  display.Close();
  EXPECT_EQ(ReadFrom(local.get(), 100), "answer");
  EXPECT_EQ(WaitForClosed(1), 1u);
}

TEST_F(RelayClientTest, TheRelaysReasonIsTheError) {
  {
    MutexLock lock(mutex_);
    verdict_ = {403, "the ticket was used already", -1};
  }
  Start();
  const absl::StatusOr<int> refused = Client(Target())->Open(kTestDeadline);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(refused.status().message(), HasSubstr("the ticket was used already"));
  {
    MutexLock lock(mutex_);
    verdict_ = {404, "no such desktop here", -1};
  }
  EXPECT_EQ(Client(Target())->Open(kTestDeadline).status().code(), absl::StatusCode::kNotFound);
  {
    MutexLock lock(mutex_);
    verdict_ = {503, "the desktop does not run", -1};
  }
  EXPECT_EQ(Client(Target())->Open(kTestDeadline).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(RelayClientTest, AnotherHostsCertificateIsNotBelieved) {
  Start();
  RelayTarget target = Target();
  target.host = "hv-b2";
  const absl::StatusOr<int> opened = Client(std::move(target))->Open(kTestDeadline);
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(opened.status().message(), HasSubstr("TLS"));
  MutexLock lock(mutex_);
  EXPECT_TRUE(requests_.empty()) << "the ticket was not sent to a stranger";
}

TEST_F(RelayClientTest, TheNextAddressIsTriedWhenOneDoesNotAnswer) {
  Start();
  RelayTarget target = Target();
  const int closed_port = [] {
    // A port that was free a moment ago.
    const Descriptor probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(where);
    bind(probe.get(), reinterpret_cast<sockaddr*>(&where), size);
    getsockname(probe.get(), reinterpret_cast<sockaddr*>(&where), &size);
    return ntohs(where.sin_port);
  }();
  target.addresses.insert(target.addresses.begin(), absl::StrCat("127.0.0.1:", closed_port));
  const absl::StatusOr<int> opened = Client(std::move(target))->Open(kTestDeadline);
  ASSERT_TRUE(opened.ok()) << opened.status();
  close(*opened);
}

TEST_F(RelayClientTest, TheNextAddressIsTriedWhenOneIsSilent) {
  const SilentPort silent;
  Start();
  RelayTarget target = Target();
  target.addresses.insert(target.addresses.begin(), silent.address());
  const absl::StatusOr<int> opened = Client(std::move(target))->Open(kTestDeadline);
  ASSERT_TRUE(opened.ok()) << opened.status();
  close(*opened);
}

TEST_F(RelayClientTest, NobodyAnswersInTime) {
  const SilentPort silent;
  Start();
  RelayTarget target = Target();
  target.addresses = {silent.address()};
  EXPECT_EQ(Client(std::move(target))->Open(absl::Milliseconds(100)).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(RelayClientTest, ListenTunnelsEachConnectionAndTellsTheEnd) {
  Start();
  const std::string path = pki_.folder() + "/display.sock";
  const std::unique_ptr<RelayClient> client = Client(Target());
  ASSERT_TRUE(client->Listen(path, Ended()).ok());
  struct stat facts;
  ASSERT_EQ(stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  Descriptor first = ConnectLocal(path);
  Descriptor second = ConnectLocal(path);
  Descriptor display = TakeDisplay();
  Descriptor other_display = TakeDisplay();
  ASSERT_EQ(WaitForOpened(2), 2u);
  {
    MutexLock lock(mutex_);
    EXPECT_EQ(requests_[0].viewer, requests_[1].viewer);
  }
  WriteTo(display.get(), "a");
  WriteTo(other_display.get(), "b");
  const std::string got = ReadFrom(first.get(), 1) + ReadFrom(second.get(), 1);
  EXPECT_TRUE(got == "ab" || got == "ba") << got;
  first.Close();
  second.Close();
  EXPECT_TRUE(AtEnd(display.get()));
  EXPECT_TRUE(AtEnd(other_display.get()));
  display.Close();
  other_display.Close();
  EXPECT_TRUE(WaitForEnd().ok());
  EXPECT_EQ(WaitForClosed(2), 2u);
}

TEST_F(RelayClientTest, ListenTellsARefusal) {
  {
    MutexLock lock(mutex_);
    verdict_ = {403, "the ticket came too late", -1};
  }
  Start();
  const std::string path = pki_.folder() + "/display.sock";
  const std::unique_ptr<RelayClient> client = Client(Target());
  ASSERT_TRUE(client->Listen(path, Ended()).ok());
  const Descriptor local = ConnectLocal(path);
  EXPECT_TRUE(AtEnd(local.get()));
  EXPECT_EQ(WaitForEnd().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(RelayClientTest, TheLocalSocketGoesWithTheClient) {
  Start();
  const std::string path = pki_.folder() + "/display.sock";
  {
    const std::unique_ptr<RelayClient> client = Client(Target());
    ASSERT_TRUE(client->Listen(path, Ended()).ok());
    EXPECT_EQ(client->Listen(path + "2", Ended()).code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(Client(Target())->Listen(path, Ended()).code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(Client(Target())->Listen(std::string(300, 'x'), Ended()).code(),
              absl::StatusCode::kInvalidArgument);
  }
  EXPECT_NE(access(path.c_str(), F_OK), 0);
}

TEST_F(RelayClientTest, BadTargetsAreRefusedAtOnce) {
  Start();
  std::vector<RelayTarget> bad(6, Target());
  bad[0].addresses.clear();
  bad[1].addresses = {"nonsense"};
  bad[2].host = "";
  bad[3].desktop = "a/b";
  bad[4].ticket = Secret("");
  bad[5].viewer = "a b";
  for (RelayTarget& target : bad) {
    EXPECT_EQ(RelayClient::Create(client_, std::move(target)).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(RelayClientTest, TheRelaysEndIsTold) {
  Start();
  const std::string path = pki_.folder() + "/display.sock";
  const std::unique_ptr<RelayClient> client = Client(Target());
  ASSERT_TRUE(client->Listen(path, Ended()).ok());
  const Descriptor local = ConnectLocal(path);
  ASSERT_EQ(WaitForOpened(1), 1u);
  server_.reset();
  EXPECT_TRUE(AtEnd(local.get()));
  EXPECT_TRUE(WaitForEnd().ok());
}

// A relay whose certificate is a gateway's.
class ThroughGatewayTest : public RelayClientTest {
 protected:
  void SetUp() override {
    const TlsFiles files = pki_.Issue(v1::IDENTITY_GATEWAY, "gw-a");
    auto tls = FollowingContext::Create(files, [](const TlsMaterial& own) {
      return MakeServerContext(own, ExpectIdentity({v1::IDENTITY_CLIENT}));
    });
    ASSERT_TRUE(tls.ok()) << tls.status();
    tls_ = *std::move(tls);
    Start();
  }
  RelayTarget Through() {
    RelayTarget target = Target();
    target.gateways = {absl::StrCat("127.0.0.1:", port())};
    target.addresses.clear();
    return target;
  }
};

TEST_F(ThroughGatewayTest, AGatewayMayNotStandForAHostNorTheOtherWayRound) {
  EXPECT_TRUE(absl::IsUnavailable(Client(Target())->Open(kTestDeadline).status()));
  // What is no relay of the host is tried as a gateway afterwards.
  RelayTarget target = Through();
  target.addresses = target.gateways;
  const std::unique_ptr<RelayClient> client = Client(target);
  const absl::StatusOr<int> opened = client->Open(kTestDeadline);
  ASSERT_TRUE(opened.ok()) << opened.status();
  close(*opened);
}

TEST_F(ThroughGatewayTest, AGatewayIsTriedWhenTheHostIsSilent) {
  const SilentPort silent;
  RelayTarget target = Through();
  target.addresses = {silent.address()};
  const std::unique_ptr<RelayClient> client = Client(std::move(target));
  const absl::StatusOr<int> opened = client->Open(kTestDeadline);
  ASSERT_TRUE(opened.ok()) << opened.status();
  close(*opened);
}

TEST_F(ThroughGatewayTest, AnOrderlyEndIsNoLoss) {
  const std::unique_ptr<RelayClient> client = Client(Through());
  const absl::StatusOr<int> opened = client->Open(kTestDeadline);
  ASSERT_TRUE(opened.ok()) << opened.status();
  const Descriptor local(*opened);
  TakeDisplay().Close();
  EXPECT_TRUE(AtEnd(local.get()));
  EXPECT_FALSE(client->gateway_lost());
}

TEST_F(ThroughGatewayTest, AGatewayThatGoesWithoutAWordIsLost) {
  const std::string path = pki_.folder() + "/display";
  const std::unique_ptr<RelayClient> client = Client(Through());
  ASSERT_TRUE(client->Listen(path, Ended()).ok());
  const Descriptor local = ConnectLocal(path);
  const Descriptor display = TakeDisplay();
  WriteTo(display.get(), "pixels");
  EXPECT_EQ(ReadFrom(local.get(), 6), "pixels");
  server_.reset();
  EXPECT_TRUE(AtEnd(local.get()));
  EXPECT_TRUE(client->gateway_lost());
  EXPECT_TRUE(absl::IsAborted(WaitForEnd()));
}

TEST_F(ThroughGatewayTest, AGatewayThatGoesBeforeItAnswersIsLost) {
  {
    MutexLock lock(mutex_);
    hold_answers_ = true;
  }
  const std::unique_ptr<RelayClient> client = Client(Through());
  std::thread stops([this] {
    WaitForRequests(1);
    server_.reset();
  });
  EXPECT_TRUE(absl::IsAborted(client->Open(kTestDeadline).status()));
  stops.join();
}

}  // namespace
}  // namespace werkplek
