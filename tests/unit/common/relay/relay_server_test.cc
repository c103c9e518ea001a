// The relay's port over real TLS sockets.
#include "common/relay/relay_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_split.h"
#include "common/base/log.h"
#include "tests/unit/common/relay/relay_harness.h"

namespace werkplek {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class RelayServerTest : public RelayTest {};

TEST_F(RelayServerTest, ATicketIsAskedAboutAndTheDisplayIsJoined) {
  Start();
  RawClient client = Raw();
  ASSERT_TRUE(client.connected());
  ASSERT_TRUE(client.Send(Head()));
  EXPECT_EQ(client.ReceiveHead(), "HTTP/1.1 200 OK\r\n\r\n");
  const Descriptor display = TakeDisplay();
  ASSERT_TRUE(client.Send("hello display"));
  EXPECT_EQ(ReadFrom(display.get(), 13), "hello display");
  WriteTo(display.get(), "hello viewer");
  EXPECT_EQ(client.Receive(12), "hello viewer");
  EXPECT_EQ(WaitForOpened(1), 1u);
  MutexLock lock(mutex_);
  ASSERT_EQ(requests_.size(), 1u);
  EXPECT_EQ(requests_[0].desktop, "kantoor-1");
  EXPECT_EQ(requests_[0].ticket_sha256, Sha256("abc"));
  EXPECT_EQ(requests_[0].certificate_sha256, client_.own.sha256);
  EXPECT_EQ(requests_[0].peer, "client/tc-1");
  EXPECT_EQ(requests_[0].kind, RelayChannelKind::kSpice);
  EXPECT_EQ(requests_[0].viewer, "v1");
  EXPECT_THAT(requests_[0].address, StartsWith("127.0.0.1:"));
}

TEST_F(RelayServerTest, WhatComesRightBehindTheHeadIsForTheDisplay) {
  Start();
  RawClient client = Raw();
  ASSERT_TRUE(client.Send(Head() + "early bytes"));
  EXPECT_EQ(client.ReceiveHead(), "HTTP/1.1 200 OK\r\n\r\n");
  const Descriptor display = TakeDisplay();
  EXPECT_EQ(ReadFrom(display.get(), 11), "early bytes");
}

TEST_F(RelayServerTest, ARefusalIsAStatusAndOneLine) {
  {
    MutexLock lock(mutex_);
    verdict_ = {403, "the ticket was used\r\nX-Injected: yes", -1};
  }
  Start();
  RawClient client = Raw();
  ASSERT_TRUE(client.Send(Head()));
  const std::string answer = client.ReceiveAll();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 403 Forbidden\r\n"));
  EXPECT_THAT(answer, HasSubstr("Werkplek-Reason: the ticket was used  X-Injected: yes\r\n"));
  EXPECT_TRUE(client.ended_in_order());
  MutexLock lock(mutex_);
  EXPECT_TRUE(closed_.empty());
}

TEST_F(RelayServerTest, HalfCloseByTheViewerLeavesTheDisplayTalking) {
  Start();
  RawClient client = Raw();
  ASSERT_TRUE(client.Send(Head() + "last words"));
  client.ReceiveHead();
  Descriptor display = TakeDisplay();
  client.EndSending();
  EXPECT_EQ(ReadFrom(display.get(), 10), "last words");
  EXPECT_TRUE(AtEnd(display.get()));
  const std::string rest(300'000, 'x');
  std::thread writer([&display, &rest] {
    WriteTo(display.get(), rest);
    display.Close();
  });
  EXPECT_EQ(client.Receive(rest.size()).size(), rest.size());
  EXPECT_EQ(client.Receive(1), "");
  EXPECT_TRUE(client.ended_in_order());
  writer.join();
  EXPECT_EQ(WaitForClosed(1), 1u);
}

TEST_F(RelayServerTest, TheDisplaysEndReachesTheViewerAfterItsData) {
  Start();
  RawClient client = Raw();
  ASSERT_TRUE(client.Send(Head()));
  client.ReceiveHead();
  Descriptor display = TakeDisplay();
  WriteTo(display.get(), "goodbye");
  display.Close();
  EXPECT_EQ(client.ReceiveAll(), "goodbye");
  EXPECT_TRUE(client.ended_in_order());
  client.EndSending();
  EXPECT_EQ(WaitForClosed(1), 1u);
}

TEST_F(RelayServerTest, AViewerThatGoesWithoutAWordIsGone) {
  Start();
  Descriptor display;
  {
    RawClient client = Raw();
    ASSERT_TRUE(client.Send(Head()));
    client.ReceiveHead();
    display = TakeDisplay();
  }
  EXPECT_TRUE(AtEnd(display.get()));
  EXPECT_EQ(WaitForClosed(1), 1u);
}

TEST_F(RelayServerTest, AViewerThatDoesNotReadStopsTheDisplayOnly) {
  Start();
  RawClient slow = Raw();
  ASSERT_TRUE(slow.Send(Head()));
  slow.ReceiveHead();
  const Descriptor display = TakeDisplay();
  // Fill until nothing more is taken for a while.
  const std::string block(64 * 1024, 'b');
  size_t taken = 0;
  for (;;) {
    pollfd wait{display.get(), POLLOUT, 0};
    if (poll(&wait, 1, 500) == 0) break;
    const ssize_t sent = send(display.get(), block.data(), block.size(), MSG_DONTWAIT);
    if (sent > 0) taken += static_cast<size_t>(sent);
    ASSERT_LT(taken, 64u << 20) << "the relay takes without end";
  }
  // Others are served meanwhile.
  RawClient other = Raw();
  ASSERT_TRUE(other.Send(Head()));
  EXPECT_EQ(other.ReceiveHead(), "HTTP/1.1 200 OK\r\n\r\n");
  // And nothing was lost.
  EXPECT_EQ(slow.Receive(taken).size(), taken);
}

TEST_F(RelayServerTest, ChannelsAreCutOnDemand) {
  Start();
  RawClient client = Raw();
  ASSERT_TRUE(client.Send(Head()));
  client.ReceiveHead();
  const Descriptor display = TakeDisplay();
  ASSERT_EQ(WaitForOpened(1), 1u);
  uint64_t channel = 0;
  {
    MutexLock lock(mutex_);
    channel = *opened_.begin();
  }
  server_->Cut({channel, 999});
  EXPECT_EQ(client.ReceiveAll(), "");
  EXPECT_TRUE(AtEnd(display.get()));
  EXPECT_EQ(WaitForClosed(1), 1u);
}

TEST_F(RelayServerTest, AChannelThatIsCutBeforeItsDisplayIsThereNeverOpens) {
  {
    MutexLock lock(mutex_);
    hold_answers_ = true;
  }
  Start();
  RawClient client = Raw();
  ASSERT_TRUE(client.Send(Head()));
  ASSERT_EQ(WaitForRequests(1), 1u);
  std::function<void(RelayVerdict)> answer;
  uint64_t channel = 0;
  {
    MutexLock lock(mutex_);
    answer = held_[0];
    channel = requests_[0].channel;
  }
  server_->Cut({channel});
  answer({200, "", NewDisplay()});
  EXPECT_THAT(client.ReceiveAll(), StartsWith("HTTP/1.1 503 "));
  const Descriptor display = TakeDisplay();
  EXPECT_TRUE(AtEnd(display.get()));
  EXPECT_EQ(WaitForClosed(1), 1u);
  MutexLock lock(mutex_);
  EXPECT_TRUE(opened_.empty());
}

TEST_F(RelayServerTest, AnAnswerAfterTheViewerLeftClosesTheDisplayAndTheChannel) {
  {
    MutexLock lock(mutex_);
    hold_answers_ = true;
  }
  options_.answer_deadline = absl::Milliseconds(50);
  Start();
  RawClient client = Raw();
  ASSERT_TRUE(client.Send(Head()));
  ASSERT_EQ(WaitForRequests(1), 1u);
  EXPECT_EQ(client.ReceiveAll(), "") << "cut for want of an answer";
  std::function<void(RelayVerdict)> answer;
  {
    MutexLock lock(mutex_);
    answer = held_[0];
  }
  answer({200, "", NewDisplay()});
  // A second answer does nothing but close its display.
  answer({200, "", NewDisplay()});
  const Descriptor first = TakeDisplay();
  const Descriptor second = TakeDisplay();
  EXPECT_TRUE(AtEnd(first.get()));
  EXPECT_TRUE(AtEnd(second.get()));
  EXPECT_EQ(WaitForClosed(1), 1u);
}

TEST_F(RelayServerTest, AnAnswerAfterTheServerHasGoneIsHarmless) {
  {
    MutexLock lock(mutex_);
    hold_answers_ = true;
  }
  Start();
  RawClient client = Raw();
  ASSERT_TRUE(client.Send(Head()));
  ASSERT_EQ(WaitForRequests(1), 1u);
  std::function<void(RelayVerdict)> answer;
  {
    MutexLock lock(mutex_);
    answer = held_[0];
  }
  server_.reset();
  answer({200, "", NewDisplay()});
  const Descriptor display = TakeDisplay();
  EXPECT_TRUE(AtEnd(display.get()));
}

TEST_F(RelayServerTest, TheServersEndClosesEveryChannel) {
  Start();
  RawClient first = Raw();
  RawClient second = Raw();
  ASSERT_TRUE(first.Send(Head()));
  ASSERT_TRUE(second.Send(Head()));
  first.ReceiveHead();
  second.ReceiveHead();
  ASSERT_EQ(WaitForOpened(2), 2u);
  server_.reset();
  MutexLock lock(mutex_);
  EXPECT_EQ(closed_.size(), 2u);
}

TEST_F(RelayServerTest, StrangersDoNotGetPastTheHandshake) {
  Start();
  const TlsMaterial stranger = Material(TestPki().Issue(v1::IDENTITY_CLIENT, "tc-1"));
  // Another authority's certificate, shown to a server that is believed.
  TlsMaterial mixed = client_;
  mixed.certificate_pem = stranger.certificate_pem;
  mixed.key_pem = Secret(std::string(stranger.key_pem.Reveal()));
  RawClient client(ClientContext(mixed), port());
  // TLS 1.3: the refusal comes after the client's Finished.
  client.Send(Head());
  EXPECT_EQ(client.ReceiveAll(), "");
  // A host is no viewer.
  RawClient host(ClientContext(Material(host_files_)), port());
  host.Send(Head());
  EXPECT_EQ(host.ReceiveAll(), "");
  MutexLock lock(mutex_);
  EXPECT_TRUE(requests_.empty());
}

// As the watchdog does, every few seconds.
TEST_F(RelayServerTest, NothingIsSaidOfThoseWhoOnlyLookWhetherItIsThere) {
  std::string log;
  SetLogSink([this, &log](const std::string& line) {
    MutexLock lock(mutex_);
    log += line;
  });
  const absl::Cleanup restore = [] { SetLogSink(nullptr); };
  Start();
  {
    RawClient polite = Raw();
    ASSERT_TRUE(polite.connected());
    polite.EndSending();
    const RawClient hasty = Raw();
    ASSERT_TRUE(hasty.connected());
    RawClient broken = Raw();
    ASSERT_TRUE(broken.Send("CONNECT kanto"));
  }
  RawClient good = Raw();
  ASSERT_TRUE(good.Send(Head()));
  EXPECT_EQ(good.ReceiveHead(), "HTTP/1.1 200 OK\r\n\r\n");
  server_.reset();
  MutexLock lock(mutex_);
  EXPECT_THAT(std::vector<std::string>(absl::StrSplit(log, "relay-head-failed")),
              testing::SizeIs(2))
      << log;
}

TEST_F(RelayServerTest, SlowAndSilentPeersAreCutWhileOthersAreServed) {
  options_.head_deadline = absl::Seconds(1);
  Start();
  Descriptor silent = ConnectTcp(port());
  RawClient slow = Raw();
  ASSERT_TRUE(slow.Send("CONNECT kantoor-1 HTTP/1.1\r\nHost: h"));
  RawClient good = Raw();
  ASSERT_TRUE(good.Send(Head()));
  EXPECT_EQ(good.ReceiveHead(), "HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_TRUE(AtEnd(silent.get()));
  EXPECT_EQ(slow.ReceiveAll(), "");
  // The one that was let in is not.
  const Descriptor display = TakeDisplay();
  WriteTo(display.get(), "still here");
  EXPECT_EQ(good.Receive(10), "still here");
}

TEST_F(RelayServerTest, ConnectionsThatWaitAreBoundedForOneAddress) {
  options_.max_waiting_per_address = 3;
  options_.head_deadline = absl::Milliseconds(700);
  Start();
  std::vector<Descriptor> silent;
  for (int i = 0; i < 10; ++i) silent.push_back(ConnectTcp(port()));
  // The later ones are shut at once, the first three at their deadline: all end.
  for (const Descriptor& one : silent) EXPECT_TRUE(AtEnd(one.get()));
  EXPECT_EQ(server_->turned_away(), 7u);
  RawClient good = Raw();
  ASSERT_TRUE(good.Send(Head()));
  EXPECT_EQ(good.ReceiveHead(), "HTTP/1.1 200 OK\r\n\r\n");
}

TEST_F(RelayServerTest, AFloodOfRefusedConnectionsIsNoFloodOfLines) {
  Mutex logged;
  int lines = 0;
  SetLogSink([&](const std::string& line) {
    MutexLock lock(logged);
    if (absl::StrContains(line, "event=relay-full-for-address")) ++lines;
  });
  options_.max_waiting_per_address = 1;
  Start();
  const absl::Time start = absl::Now();
  const Descriptor waiting = ConnectTcp(port());
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(AtEnd(ConnectTcp(port()).get()));
  const absl::Duration took = absl::Now() - start;
  SetLogSink(nullptr);
  EXPECT_EQ(server_->turned_away(), 20u);
  MutexLock lock(logged);
  EXPECT_GE(lines, 1);
  EXPECT_LE(lines, 1 + absl::ToInt64Seconds(took));
}

TEST_F(RelayServerTest, WithoutDescriptorsItWaitsAndGoesOn) {
  options_.head_deadline = absl::Milliseconds(700);
  Start();
  rlimit before;
  getrlimit(RLIMIT_NOFILE, &before);
  std::vector<Descriptor> fill;
  // Clients first, while there are descriptors; the kernel's queue takes them.
  std::vector<Descriptor> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(ConnectTcp(port()));
  rlimit tight = before;
  tight.rlim_cur = 64;
  setrlimit(RLIMIT_NOFILE, &tight);
  for (;;) {
    const int more = dup(0);
    if (more < 0) break;
    fill.emplace_back(more);
  }
  // Nothing can be accepted now; a pending connection keeps the listener trying.
  clients.pop_back();
  fill.clear();
  setrlimit(RLIMIT_NOFILE, &before);
  RawClient good = Raw();
  ASSERT_TRUE(good.connected());
  ASSERT_TRUE(good.Send(Head()));
  EXPECT_EQ(good.ReceiveHead(), "HTTP/1.1 200 OK\r\n\r\n");
}

TEST_F(RelayServerTest, HugeHeadsAreRefused) {
  Start();
  for (const std::string& huge : {absl::StrCat("X-Long: ", std::string(20'000, 'x'), "\r\n"), [] {
                                    std::string many;
                                    for (int i = 0; i < 1'000; ++i)
                                      absl::StrAppend(&many, "X-", i, ": many headers\r\n");
                                    return many;
                                  }()}) {
    RawClient client = Raw();
    client.Send(Head(huge));
    EXPECT_THAT(client.ReceiveAll(), StartsWith("HTTP/1.1 431 "));
  }
}

TEST_F(RelayServerTest, EveryBadHeadIsRefusedAndAsksNobody) {
  Start();
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "405"},
      {"POST /kantoor-1 HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "400"},
      {"CONNECT kantoor-1 HTTP/1.0\r\n\r\n", "505"},
      {"CONNECT ../etc HTTP/1.1\r\nAuthorization: Ticket a\r\n\r\n", "400"},
      {"CONNECT kantoor-1:443 HTTP/1.1\r\nAuthorization: Ticket a\r\n\r\n", "400"},
      {"CONNECT kantoor-1 HTTP/1.1\r\nHost: h\r\n\r\n", "401"},
      {"CONNECT kantoor-1 HTTP/1.1\r\nAuthorization: Bearer a\r\n\r\n", "401"},
      {"CONNECT kantoor-1 HTTP/1.1\r\nAuthorization: Ticket \r\n\r\n", "401"},
      {"CONNECT kantoor-1 HTTP/1.1\r\nAuthorization: Ticket a b\r\n\r\n", "401"},
      {Head("Authorization: Ticket other\r\n"), "401"},
      {Head("Content-Length: 5\r\n"), "400"},
      {Head("Transfer-Encoding: chunked\r\n"), "400"},
      {Head("Content-Length: 5\r\nContent-Length: 6\r\n"), "400"},
      {Head("Werkplek-Channel: vnc\r\n"), "400"},
      {Head("Werkplek-Viewer: v2\r\n"), "400"},
      {"CONNECT kantoor-1 HTTP/1.1\r\nAuthorization: Ticket a\r\nWerkplek-Channel: rdp\r\n"
       "Werkplek-Viewer: v\r\n\r\n",
       "400"},
      {"CONNECT kantoor-1 HTTP/1.1\nAuthorization: Ticket a\n\n", "400"},
      {"CONNECT kantoor-1 HTTP/1.1\r\nBroken header\r\n\r\n", "400"},
      {"CONNECT kantoor-1 HTTP/1.1\r\nA: b\r\n c\r\nAuthorization: Ticket a\r\n\r\n", "400"},
      {std::string("\x16\x03\x01\x00\x05hello\r\n\r\n", 14), "400"},
      {"GET /kantoor-1 HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "403"},
  };
  for (const auto& [head, status] : bad) {
    RawClient client = Raw();
    client.Send(head);
    EXPECT_THAT(client.ReceiveAll(), StartsWith(absl::StrCat("HTTP/1.1 ", status, " "))) << head;
  }
  MutexLock lock(mutex_);
  EXPECT_TRUE(requests_.empty());
}

TEST_F(RelayServerTest, ItSaysWhatIsWrongWithItsAddress) {
  options_.addresses = {"relay.example:443"};
  EXPECT_THAT(RelayServer::Start(options_, tls_.get(), {}).status().message(),
              HasSubstr("relay.example:443"));
  options_.addresses = {};
  EXPECT_FALSE(RelayServer::Start(options_, tls_.get(), {}).ok());
  options_.addresses = {"127.0.0.1:0"};
  Start();
  options_.addresses = {absl::StrCat("127.0.0.1:", port())};
  EXPECT_EQ(RelayServer::Start(options_, tls_.get(), {}).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(RelayTest, OnlyAGatewaySpeaksForAClientAndOnlyWhereItIsBelieved) {
  options_.believe_gateways = true;
  options_.keep_tickets = true;
  Start();
  const std::string named = absl::StrCat("Werkplek-Certificate: ", std::string(64, 'a'), "\r\n");
  RawClient client = Raw();
  ASSERT_TRUE(client.Send(Head(named)));
  EXPECT_THAT(client.ReceiveAll(), testing::StartsWith("HTTP/1.1 403 "));
  const TlsMaterial gateway = Material(pki_.Issue(v1::IDENTITY_GATEWAY, "gw-a"));
  for (const std::string& bad : {std::string("Werkplek-Certificate: aa\r\n"), named + named}) {
    RawClient malformed(ClientContext(gateway), port());
    ASSERT_TRUE(malformed.Send(Head(bad)));
    EXPECT_THAT(malformed.ReceiveAll(), testing::StartsWith("HTTP/1.1 400 "));
  }
  RawClient believed(ClientContext(gateway), port());
  ASSERT_TRUE(believed.Send(Head(named)));
  EXPECT_THAT(believed.ReceiveHead(), testing::StartsWith("HTTP/1.1 200 "));
  MutexLock lock(mutex_);
  ASSERT_EQ(requests_.size(), 1u);
  EXPECT_EQ(requests_[0].certificate_sha256, std::string(32, '\xaa'));
  EXPECT_EQ(requests_[0].ticket.Reveal(), "abc");
}

TEST_F(RelayTest, WhereGatewaysAreNotBelievedNobodySpeaksForAClient) {
  Start();
  RawClient gateway(ClientContext(Material(pki_.Issue(v1::IDENTITY_GATEWAY, "gw-a"))), port());
  ASSERT_TRUE(
      gateway.Send(Head(absl::StrCat("Werkplek-Certificate: ", std::string(64, 'a'), "\r\n"))));
  EXPECT_THAT(gateway.ReceiveAll(), testing::StartsWith("HTTP/1.1 403 "));
}

}  // namespace
}  // namespace werkplek
