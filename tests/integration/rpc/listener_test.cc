// What a hardened listener lets in and what it cuts, on the real port.
#include "broker/rpc/listener.h"

#include <openssl/ssl.h>

#include <algorithm>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/tls/grpc_credentials.h"
#include "gtest/gtest.h"
#include "tests/integration/rpc/listener_process.h"
#include "tests/integration/rpc/odd_certificate.h"
#include "tests/integration/rpc/raw_peer.h"
#include "tests/support/loopback_broker/test_channel.h"

namespace werkplek {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(10);

class ListenerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    pki_ = new TestPki;
    server_ = new ListenerProcess(*pki_);
  }
  static void TearDownTestSuite() {
    delete server_;
    delete pki_;
  }

  static TlsFiles Client() { return pki_->Issue(v1::IDENTITY_CLIENT, "tc-1"); }
  // UNAVAILABLE: the connection never came to be.
  static grpc::StatusCode CodeWith(const TlsFiles& files) {
    return CheckHealth(*NewTestChannel(server_->port(), files), kPatience).error_code();
  }
  // Whether the server answers this peer with HTTP/2 after the preface.
  static bool SpeaksHttp2(const RawTls::Options& options) {
    absl::StatusOr<RawTls> tls = RawTls::Connect(server_->port(), options);
    return tls.ok() && tls->Send(Http2Preface()) && !tls->Read(9, kPatience).empty();
  }

  static TestPki* pki_;
  static ListenerProcess* server_;
};

TestPki* ListenerTest::pki_ = nullptr;
ListenerProcess* ListenerTest::server_ = nullptr;

TEST_F(ListenerTest, ServesAPeerOfOurAuthority) {
  EXPECT_EQ(CodeWith(Client()), grpc::StatusCode::OK);
  const TlsFiles client = Client();
  EXPECT_TRUE(SpeaksHttp2({.certificate = client.certificate, .key = client.key}));
}

TEST_F(ListenerTest, CutsPeersWithoutACertificate) { EXPECT_FALSE(SpeaksHttp2({})); }

TEST_F(ListenerTest, CutsPeersOfAnotherAuthority) {
  TestPki foreign;
  const TlsFiles theirs = foreign.Issue(v1::IDENTITY_CLIENT, "tc-1");
  EXPECT_FALSE(SpeaksHttp2({.certificate = theirs.certificate, .key = theirs.key}));
}

TEST_F(ListenerTest, CutsExpiredAndFutureCertificates) {
  const TlsFiles expired =
      pki_->Issue(v1::IDENTITY_CLIENT, "tc-old", absl::Minutes(1), absl::Now() - absl::Hours(2));
  EXPECT_FALSE(SpeaksHttp2({.certificate = expired.certificate, .key = expired.key}));
  const TlsFiles future =
      pki_->Issue(v1::IDENTITY_CLIENT, "tc-new", absl::Hours(1), absl::Now() + absl::Hours(2));
  EXPECT_FALSE(SpeaksHttp2({.certificate = future.certificate, .key = future.key}));
}

TEST_F(ListenerTest, SpeaksTls13Only) {
  const TlsFiles client = Client();
  RawTls::Options options = {.certificate = client.certificate, .key = client.key};
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION}) {
    options.max_version = version;
    EXPECT_FALSE(RawTls::Connect(server_->port(), options).ok()) << version;
  }
  options.max_version = TLS1_3_VERSION;
  EXPECT_TRUE(SpeaksHttp2(options));
}

TEST_F(ListenerTest, CutsPlaintextHttp2) {
  absl::StatusOr<RawSocket> plain = RawSocket::Connect(server_->port());
  ASSERT_TRUE(plain.ok());
  (void)plain->Send(Http2Preface());
  EXPECT_TRUE(plain->ClosesWithin(kPatience));
}

TEST_F(ListenerTest, CutsASilentPeerAfterTheHandshakeLimit) {
  absl::StatusOr<RawSocket> silent = RawSocket::Connect(server_->port());
  ASSERT_TRUE(silent.ok());
  EXPECT_TRUE(silent->ClosesWithin(absl::Seconds(30)));
}

TEST_F(ListenerTest, TellsItsLimitOfStreams) {
  const TlsFiles client = Client();
  absl::StatusOr<RawTls> tls =
      RawTls::Connect(server_->port(), {.certificate = client.certificate, .key = client.key});
  ASSERT_TRUE(tls.ok());
  ASSERT_TRUE(tls->Send(Http2Preface()));
  std::string got = tls->Read(9, kPatience);
  ASSERT_GE(got.size(), 9u);
  ASSERT_EQ(got[3], 4) << "the first frame is not SETTINGS";
  const size_t size = (static_cast<uint8_t>(got[0]) << 16) | (static_cast<uint8_t>(got[1]) << 8) |
                      static_cast<uint8_t>(got[2]);
  if (got.size() < 9 + size) got += tls->Read(9 + size - got.size(), kPatience);
  ASSERT_GE(got.size(), 9 + size);
  constexpr uint16_t kMaxConcurrentStreams = 3;
  constexpr uint16_t kMaxHeaderListSize = 6;
  const absl::string_view payload = absl::string_view(got).substr(9, size);
  EXPECT_EQ(Http2Setting(payload, kMaxConcurrentStreams), 100);
  EXPECT_EQ(Http2Setting(payload, kMaxHeaderListSize), 8 << 10);
}

// Whether a frame of this type is among the bytes.
bool HasFrame(absl::string_view bytes, uint8_t type) {
  while (bytes.size() >= 9) {
    const auto byte = [&bytes](size_t i) { return static_cast<uint8_t>(bytes[i]); };
    if (byte(3) == type) return true;
    const size_t size = 9 + ((byte(0) << 16) | (byte(1) << 8) | byte(2));
    bytes.remove_prefix(std::min(size, bytes.size()));
  }
  return false;
}

TEST_F(ListenerTest, EndsAFloodOfPings) {
  const TlsFiles client = Client();
  absl::StatusOr<RawTls> tls =
      RawTls::Connect(server_->port(), {.certificate = client.certificate, .key = client.key});
  ASSERT_TRUE(tls.ok());
  ASSERT_TRUE(tls->Send(Http2Preface()));
  for (int i = 0; i < 200; ++i) (void)tls->Send(Http2Frame(6, 0, 0, "01234567"));
  constexpr uint8_t kGoAway = 7;
  // Reads until the server has closed.
  EXPECT_TRUE(HasFrame(tls->Read(1 << 20, kPatience), kGoAway));
}

TEST_F(ListenerTest, RefusesASecondServerOnItsPort) {
  const std::string address = absl::StrCat("127.0.0.1:", server_->port());
  const absl::StatusOr<ListenSocket> second = ListenSocket::Bind(address);
  ASSERT_FALSE(second.ok());
  EXPECT_TRUE(absl::IsUnavailable(second.status()));
  EXPECT_NE(second.status().message().find(address), std::string::npos) << second.status();
}

TEST(ListenSocketTest, RefusesWhatIsNoAddress) {
  for (const char* address :
       {"", "7443", "localhost:1", "127.0.0.1:", "127.0.0.1:99999999", ":1"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ListenSocket::Bind(address).status())) << address;
  }
  EXPECT_TRUE(ListenSocket::Bind("[::1]:0").ok());
}

}  // namespace
}  // namespace werkplek
