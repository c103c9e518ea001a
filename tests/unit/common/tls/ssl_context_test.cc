#include "common/tls/ssl_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "common/base/log.h"
#include "common/pki/key_request.h"
#include "tests/support/pki/browser_pki.h"
#include "tests/support/pki/test_pki.h"

namespace werkplek {
namespace {

using testing::Contains;
using testing::HasSubstr;

using SslPointer = std::unique_ptr<SSL, OpensslFree<SSL_free>>;

// Two ends that talk through memory.
struct Ends {
  SslPointer client;
  SslPointer server;
  // Both ends finished the handshake.
  bool ok = false;
};

Ends Shake(SSL_CTX* client, SSL_CTX* server) {
  Ends ends{SslPointer(SSL_new(client)), SslPointer(SSL_new(server))};
  BIO* client_side = nullptr;
  BIO* server_side = nullptr;
  BIO_new_bio_pair(&client_side, 0, &server_side, 0);
  SSL_set_bio(ends.client.get(), client_side, client_side);
  SSL_set_bio(ends.server.get(), server_side, server_side);
  SSL_set_connect_state(ends.client.get());
  SSL_set_accept_state(ends.server.get());
  char byte;
  for (int i = 0; i < 20; ++i) {
    SSL_do_handshake(ends.client.get());
    SSL_do_handshake(ends.server.get());
    // A TLS 1.3 client hears of its refusal after its own last word.
    SSL_read(ends.client.get(), &byte, 1);
  }
  OpensslError();
  ends.ok = SSL_is_init_finished(ends.client.get()) == 1 &&
            SSL_is_init_finished(ends.server.get()) == 1 &&
            (SSL_get_shutdown(ends.client.get()) & SSL_RECEIVED_SHUTDOWN) == 0;
  return ends;
}

class SslContextTest : public testing::Test {
 protected:
  SslContextTest() {
    SetLogSink([this](const std::string& line) { lines_.push_back(line); });
  }
  ~SslContextTest() override { SetLogSink(nullptr); }

  TlsMaterial Material(v1::Identity identity, const std::string& name) {
    return *LoadTlsFiles(pki_.Issue(identity, name), absl::Now());
  }

  TestPki pki_;
  std::vector<std::string> lines_;
};

TEST_F(SslContextTest, BothEndsSeeWhoTheOtherIs) {
  const auto server = MakeServerContext(Material(v1::IDENTITY_HOST, "hv-a1"),
                                        ExpectIdentity({v1::IDENTITY_CLIENT}));
  const auto client = MakeClientContext(Material(v1::IDENTITY_CLIENT, "tc-1"),
                                        ExpectPeer({v1::IDENTITY_HOST, "hv-a1"}));
  ASSERT_TRUE(server.ok()) << server.status();
  ASSERT_TRUE(client.ok()) << client.status();
  const Ends ends = Shake(client->get(), server->get());
  ASSERT_TRUE(ends.ok) << testing::PrintToString(lines_);
  EXPECT_EQ(PeerLabel(PeerOf(ends.client.get())->name), "host/hv-a1");
  EXPECT_EQ(PeerLabel(PeerOf(ends.server.get())->name), "client/tc-1");
  EXPECT_STREQ(SSL_get_version(ends.client.get()), "TLSv1.3");
}

TEST_F(SslContextTest, TheWrongHostIsRefusedThoughItsCertificateIsGood) {
  const auto server = MakeServerContext(Material(v1::IDENTITY_HOST, "hv-a2"),
                                        ExpectIdentity({v1::IDENTITY_CLIENT}));
  const auto client = MakeClientContext(Material(v1::IDENTITY_CLIENT, "tc-1"),
                                        ExpectPeer({v1::IDENTITY_HOST, "hv-a1"}));
  EXPECT_FALSE(Shake(client->get(), server->get()).ok);
  EXPECT_THAT(lines_, Contains(HasSubstr("the peer is host/hv-a2, expected host/hv-a1")));
}

TEST_F(SslContextTest, TheWrongIdentityIsRefusedByTheServer) {
  const auto server = MakeServerContext(Material(v1::IDENTITY_HOST, "hv-a1"),
                                        ExpectIdentity({v1::IDENTITY_CLIENT}));
  const auto client = MakeClientContext(Material(v1::IDENTITY_HOST, "hv-a9"),
                                        ExpectPeer({v1::IDENTITY_HOST, "hv-a1"}));
  EXPECT_FALSE(Shake(client->get(), server->get()).ok);
  EXPECT_THAT(lines_, Contains(HasSubstr("the peer is host/hv-a9, expected a client")));
}

TEST_F(SslContextTest, AnotherAuthorityIsRefused) {
  TestPki other;
  const auto material = LoadTlsFiles(other.Issue(v1::IDENTITY_CLIENT, "tc-1"), absl::Now());
  const auto server = MakeServerContext(Material(v1::IDENTITY_HOST, "hv-a1"),
                                        ExpectIdentity({v1::IDENTITY_CLIENT}));
  const auto client = MakeClientContext(*material, ExpectPeer({v1::IDENTITY_HOST, "hv-a1"}));
  EXPECT_FALSE(Shake(client->get(), server->get()).ok);
}

TEST_F(SslContextTest, NoCertificateIsRefused) {
  const auto server = MakeServerContext(Material(v1::IDENTITY_HOST, "hv-a1"),
                                        ExpectIdentity({v1::IDENTITY_CLIENT}));
  const SslContextPointer bare(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  EXPECT_FALSE(Shake(bare.get(), server->get()).ok);
}

TEST_F(SslContextTest, Tls12IsRefused) {
  const auto server = MakeOpenServerContext(Material(v1::IDENTITY_BROKER, "b1"));
  const SslContextPointer old(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  EXPECT_TRUE(Shake(old.get(), server->get()).ok) << "1.3 without verification";
  SSL_CTX_set_max_proto_version(old.get(), TLS1_2_VERSION);
  EXPECT_FALSE(Shake(old.get(), server->get()).ok);
}

TEST_F(SslContextTest, AnExpiredPeerIsRefusedWithBothTimesInTheLog) {
  const TlsFiles files =
      pki_.Issue(v1::IDENTITY_CLIENT, "tc-1", absl::Hours(1), absl::Now() - absl::Hours(3));
  const auto material = LoadTlsFiles(files, absl::Now() - absl::Hours(3));
  ASSERT_TRUE(material.ok()) << material.status();
  const auto server = MakeServerContext(Material(v1::IDENTITY_HOST, "hv-a1"),
                                        ExpectIdentity({v1::IDENTITY_CLIENT}));
  const auto client = MakeClientContext(*material, ExpectPeer({v1::IDENTITY_HOST, "hv-a1"}));
  EXPECT_FALSE(Shake(client->get(), server->get()).ok);
  EXPECT_THAT(lines_, Contains(testing::AllOf(HasSubstr("peer: expired: valid from"),
                                              HasSubstr("this machine's clock says"))));
}

TEST_F(SslContextTest, ANewcomerPinsTheAuthority) {
  const auto server = MakeOpenServerContext(Material(v1::IDENTITY_BROKER, "b1"));
  const auto pinned = MakePinnedClientContext(pki_.authority().sha256());
  ASSERT_TRUE(pinned.ok()) << pinned.status();
  EXPECT_TRUE(Shake(pinned->get(), server->get()).ok) << testing::PrintToString(lines_);
  const auto other = MakePinnedClientContext(std::string(32, 'x'));
  EXPECT_FALSE(Shake(other->get(), server->get()).ok);
  EXPECT_FALSE(MakePinnedClientContext("short").ok());
}

TEST_F(SslContextTest, ANewcomerTakesNoOtherMachineForABroker) {
  const auto server = MakeOpenServerContext(Material(v1::IDENTITY_HOST, "hv-a1"));
  const auto pinned = MakePinnedClientContext(pki_.authority().sha256());
  EXPECT_FALSE(Shake(pinned->get(), server->get()).ok);
}

// The real hash, but of a leaf that another authority signed: the chain must lead to the pin.
TEST_F(SslContextTest, SendingThePinnedAuthorityAlongProvesNothing) {
  TestPki evil;
  auto material = *LoadTlsFiles(evil.Issue(v1::IDENTITY_BROKER, "b1"), absl::Now());
  material.ca_pem = pki_.authority().certificate_pem();
  const auto server = MakeOpenServerContext(material);
  const auto pinned = MakePinnedClientContext(pki_.authority().sha256());
  EXPECT_FALSE(Shake(pinned->get(), server->get()).ok);
}

TEST_F(SslContextTest, ARenewedCertificateIsUsedAndABadOneIsNot) {
  const TlsFiles files = pki_.Issue(v1::IDENTITY_BROKER, "b1");
  absl::Time now = absl::Now();
  const auto following =
      FollowingContext::Create(files, MakeOpenServerContext, [&] { return now; });
  ASSERT_TRUE(following.ok()) << following.status();
  const SslContextPointer first = (*following)->Get();
  pki_.Issue(v1::IDENTITY_BROKER, "b1");
  EXPECT_EQ((*following)->Get(), first) << "looked at less than a second ago";
  now += absl::Seconds(1);
  const SslContextPointer second = (*following)->Get();
  EXPECT_NE(second, first);
  ASSERT_TRUE(WriteFileAtomically(files.key, "nonsense", 0600).ok());
  now += absl::Seconds(1);
  EXPECT_EQ((*following)->Get(), second);
  EXPECT_THAT(lines_, Contains(HasSubstr("event=certificate-not-reloaded")));
}

class BrowserContextTest : public SslContextTest {
 protected:
  BrowserContextTest() : browser_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free) {
    // As a browser: no certificate of its own, the authority in its store, and the host's name.
    X509* authority = const_cast<X509*>(&browser_pki_.authority());
    X509_STORE_add_cert(SSL_CTX_get_cert_store(browser_.get()), authority);
    X509_VERIFY_PARAM_set1_host(SSL_CTX_get0_param(browser_.get()), "werkplek.example", 0);
    SSL_CTX_set_verify(browser_.get(), SSL_VERIFY_PEER, nullptr);
  }

  static std::string ServerSha256(const Ends& ends) {
    const X509* shown = SSL_get0_peer_certificate(ends.client.get());
    return shown == nullptr ? "" : CertificateSha256(*shown);
  }

  BrowserPki browser_pki_{pki_.folder()};
  const TlsFiles files_ = browser_pki_.Issue("werkplek.example");
  const SslContextPointer browser_;
};

TEST_F(BrowserContextTest, ABrowserNeedsNoCertificateAndSeesWhatStandsBetween) {
  const auto server = MakeBrowserContext(*LoadBrowserFacingFiles(files_, absl::Now()));
  ASSERT_TRUE(server.ok()) << server.status();
  const Ends ends = Shake(browser_.get(), server->get());
  ASSERT_TRUE(ends.ok) << SSL_get_verify_result(ends.client.get());
  const STACK_OF(X509)* shown = SSL_get_peer_cert_chain(ends.client.get());
  ASSERT_EQ(sk_X509_num(shown), 2);
  EXPECT_EQ(CertificateSha256(*sk_X509_value(shown, 1)), CertificateSha256(browser_pki_.between()));
  EXPECT_FALSE(PeerOf(ends.server.get()).ok()) << "it asks for none";
}

TEST_F(BrowserContextTest, OurAuthorityIsNotShown) {
  // A file that names one all the same.
  TlsMaterial own = Material(v1::IDENTITY_GATEWAY, "gw-a");
  ASSERT_NE(own.ca_pem, "");
  const auto server = MakeBrowserContext(own);
  const SslContextPointer trusting(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  const Ends ends = Shake(trusting.get(), server->get());
  ASSERT_TRUE(ends.ok);
  EXPECT_EQ(sk_X509_num(SSL_get_peer_cert_chain(ends.client.get())), 1);
}

TEST_F(BrowserContextTest, ABrowserThatKnowsAnotherAuthorityRefuses) {
  BrowserPki other(pki_.folder());
  const auto server =
      MakeBrowserContext(*LoadBrowserFacingFiles(other.Issue("werkplek.example"), absl::Now()));
  EXPECT_FALSE(Shake(browser_.get(), server->get()).ok);
}

TEST_F(BrowserContextTest, AProbeBelievesTheOwnCertificateAlone) {
  const TlsMaterial own = *LoadBrowserFacingFiles(files_, absl::Now());
  const auto probe = MakeOwnProbeContext(own);
  ASSERT_TRUE(probe.ok()) << probe.status();
  EXPECT_TRUE(Shake(probe->get(), MakeBrowserContext(own)->get()).ok);
  // Of the same authority and name.
  const TlsMaterial other =
      *LoadBrowserFacingFiles(browser_pki_.Issue("werkplek.example"), absl::Now());
  EXPECT_FALSE(Shake(probe->get(), MakeBrowserContext(other)->get()).ok);
}

TEST_F(BrowserContextTest, Tls12IsRefused) {
  const auto server = MakeBrowserContext(*LoadBrowserFacingFiles(files_, absl::Now()));
  SSL_CTX_set_max_proto_version(browser_.get(), TLS1_2_VERSION);
  EXPECT_FALSE(Shake(browser_.get(), server->get()).ok);
}

TEST_F(BrowserContextTest, ARenewedCertificateIsUsedAndABadOneIsNot) {
  absl::Time now = absl::Now();
  const auto following = FollowingContext::Create(
      files_, MakeBrowserContext, [&] { return now; }, LoadBrowserFacingFiles);
  ASSERT_TRUE(following.ok()) << following.status();
  const auto shake = [&] { return Shake(browser_.get(), (*following)->Get().get()); };
  const std::string first = ServerSha256(shake());
  browser_pki_.Issue("werkplek.example");
  now += absl::Seconds(1);
  const Ends renewed = shake();
  EXPECT_TRUE(renewed.ok);
  EXPECT_NE(ServerSha256(renewed), first);
  EXPECT_THAT(lines_, Contains(HasSubstr("event=certificate-reloaded")));
  // Of another key, as between the two writes of a renewal.
  ASSERT_TRUE(WriteFileAtomically(files_.key, NewPrivateKeyPem()->Reveal(), 0600).ok());
  now += absl::Seconds(1);
  EXPECT_EQ(ServerSha256(shake()), ServerSha256(renewed));
  EXPECT_THAT(lines_, Contains(testing::AllOf(HasSubstr("event=certificate-not-reloaded"),
                                              HasSubstr("does not belong"))));
}

}  // namespace
}  // namespace werkplek
