// What peers can make a listener hold or do: descriptors, processor time, threads.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/mutex.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/client_callback.h"
#include "gtest/gtest.h"
#include "tests/integration/rpc/listener_process.h"
#include "tests/integration/rpc/raw_peer.h"
#include "tests/support/loopback_broker/test_channel.h"

namespace werkplek {
namespace {

// Tries until a check succeeds; false when none did in time.
bool AnswersWithin(int port, const TlsFiles& files, absl::Duration timeout) {
  const absl::Time until = absl::Now() + timeout;
  while (absl::Now() < until) {
    const auto channel = NewTestChannel(port, files);
    if (CheckHealth(*channel, absl::Seconds(3)).ok()) return true;
  }
  return false;
}

std::vector<RawSocket> HoldSilent(int port, int count, const std::string& source) {
  std::vector<RawSocket> held;
  for (int i = 0; i < count; ++i) {
    absl::StatusOr<RawSocket> socket = RawSocket::Connect(port, source);
    if (socket.ok()) held.push_back(*std::move(socket));
  }
  return held;
}

// CVE-2023-4785: with gRPC's own listener nothing is ever accepted again.
TEST(Exhaustion, SilentConnectionsDoNotStopTheListener) {
  TestPki pki;
  const TlsFiles client = pki.Issue(v1::IDENTITY_CLIENT, "tc-1");
  // The limits of connections are out of the way, so that descriptors are what runs out.
  ListenerProcess server(pki, {"--max-descriptors", "64", "--max-unproved", "100000",
                               "--max-unproved-per-source", "100000"});
  ASSERT_TRUE(AnswersWithin(server.port(), client, absl::Seconds(10)));
  const std::vector<RawSocket> held = HoldSilent(server.port(), 200, "127.0.0.2");
  ASSERT_EQ(held.size(), 200u);
  EXPECT_TRUE(AnswersWithin(server.port(), client, absl::Seconds(60))) << "while all are held";
  EXPECT_GT(server.StopAndCount("exhausted"), 0) << "the descriptors never ran out";
}

TEST(Exhaustion, OneAddressCannotTakeThePlaceOfOthers) {
  TestPki pki;
  const TlsFiles client = pki.Issue(v1::IDENTITY_CLIENT, "tc-1");
  ListenerProcess server(pki, {"--max-descriptors", "256"});
  const std::vector<RawSocket> held = HoldSilent(server.port(), 1000, "127.0.0.2");
  ASSERT_EQ(held.size(), 1000u);
  // At once: the flood holds 32 places of 1,024, and no descriptor beyond.
  const auto channel = NewTestChannel(server.port(), client);
  EXPECT_TRUE(CheckHealth(*channel, absl::Seconds(4)).ok());
  EXPECT_LT(server.Descriptors(), 128);
  EXPECT_EQ(server.StopAndCount("exhausted"), 0);
}

// Sends a header block that never ends (CVE-2023-33953) until the other side goes or all is sent.
template <typename Peer>
void SendEndlessHeader(Peer& peer) {
  // A literal header field without indexing, its name "x", its value declared 1 GiB long.
  const std::string begin("\x00\x01x\x7f\x81\xff\xff\xff\x03", 9);
  if (!peer.Send(Http2Preface()) || !peer.Send(Http2Frame(1, 0, 1, begin))) return;
  const std::string more = Http2Frame(9, 0, 1, std::string(16'384, 'a'));
  for (int i = 0; i < 400; ++i) {
    if (!peer.Send(more)) return;
  }
}

TEST(Exhaustion, EndlessHeadersNeedAClientCertificate) {
  TestPki pki;
  const TlsFiles client = pki.Issue(v1::IDENTITY_CLIENT, "tc-1");
  ListenerProcess server(pki);
  ASSERT_TRUE(AnswersWithin(server.port(), client, absl::Seconds(10)));

  // What the same bytes cost from a peer that our authority knows: the yardstick.
  const absl::Duration before_known = server.CpuTime();
  {
    absl::StatusOr<RawTls> known =
        RawTls::Connect(server.port(), {.certificate = client.certificate, .key = client.key});
    ASSERT_TRUE(known.ok());
    SendEndlessHeader(*known);
    (void)known->Read(1 << 20, absl::Seconds(3));
  }
  ASSERT_TRUE(AnswersWithin(server.port(), client, absl::Seconds(60)));
  const absl::Duration known_cost = server.CpuTime() - before_known;

  const absl::Duration before_unknown = server.CpuTime();
  {
    absl::StatusOr<RawSocket> plain = RawSocket::Connect(server.port());
    ASSERT_TRUE(plain.ok());
    SendEndlessHeader(*plain);
    EXPECT_TRUE(plain->ClosesWithin(absl::Seconds(10)));
    absl::StatusOr<RawTls> nameless = RawTls::Connect(server.port(), {});
    if (nameless.ok()) {
      SendEndlessHeader(*nameless);
      EXPECT_EQ(nameless->Read(1, absl::Seconds(10)), "");
    }
  }
  ASSERT_TRUE(AnswersWithin(server.port(), client, absl::Seconds(10)));
  const absl::Duration unknown_cost = server.CpuTime() - before_unknown;
  RecordProperty("known_cost_ms", static_cast<int>(absl::ToInt64Milliseconds(known_cost)));
  RecordProperty("unknown_cost_ms", static_cast<int>(absl::ToInt64Milliseconds(unknown_cost)));
  EXPECT_LT(unknown_cost, std::max(known_cost / 10, absl::Milliseconds(60)))
      << "known peer: " << known_cost;
}

// Counts, and lets a test wait for a number.
class Counter {
 public:
  void Add() {
    MutexLock lock(mutex_);
    ++count_;
    changed_.SignalAll();
  }
  // What it stands at when it reaches `wanted`, or after the time.
  int WaitFor(int wanted, absl::Duration timeout) {
    const absl::Time until = absl::Now() + timeout;
    MutexLock lock(mutex_);
    while (count_ < wanted && absl::Now() < until) changed_.WaitFor(mutex_, until - absl::Now());
    return count_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
};

// One Health/Watch, which never ends by itself. An empty request asks for the whole server.
class Watch : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Watch(grpc::GenericStub& stub, Counter* served, Counter* done) : served_(served), done_(done) {
    stub.PrepareBidiStreamingCall(&context_, "/grpc.health.v1.Health/Watch", {}, this);
    StartWriteLast(&request_, grpc::WriteOptions());
    StartRead(&response_);
    StartCall();
  }
  void Cancel() { context_.TryCancel(); }
  void OnReadDone(bool ok) override {
    if (ok) served_->Add();
  }
  void OnDone(const grpc::Status&) override { done_->Add(); }

 private:
  Counter* const served_;
  Counter* const done_;
  grpc::ClientContext context_;
  const grpc::Slice none_;
  const grpc::ByteBuffer request_{&none_, 1};
  grpc::ByteBuffer response_;
};

// With the synchronous API each pending call held a thread.
TEST(Exhaustion, ManyPendingCallsHoldNoThreads) {
  TestPki pki;
  ListenerProcess server(pki);
  const auto channel = NewTestChannel(server.port(), pki.Issue(v1::IDENTITY_CLIENT, "tc-1"));
  ASSERT_TRUE(CheckHealth(*channel).ok());
  const int threads_before = server.Threads();

  constexpr int kCalls = 3000;
  Counter served;
  Counter done;
  grpc::GenericStub stub(channel);
  std::vector<std::unique_ptr<Watch>> watches;
  for (int i = 0; i < kCalls; ++i) {
    watches.push_back(std::make_unique<Watch>(stub, &served, &done));
  }
  // A hundred are served; the client holds the others back, as the server's SETTINGS ask.
  EXPECT_EQ(served.WaitFor(100, absl::Seconds(20)), 100);
  EXPECT_EQ(served.WaitFor(101, absl::Milliseconds(300)), 100);
  EXPECT_LE(server.Threads(), threads_before + 8);
  const auto other = NewTestChannel(server.port(), pki.Issue(v1::IDENTITY_CLIENT, "tc-2"));
  EXPECT_TRUE(CheckHealth(*other).ok());

  for (const auto& watch : watches) watch->Cancel();
  EXPECT_EQ(done.WaitFor(kCalls, absl::Seconds(30)), kCalls);
}

}  // namespace
}  // namespace werkplek
