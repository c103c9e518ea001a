#include "common/tls/grpc_credentials.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "common/tls/process_tls.h"
#include "tests/support/pki/test_pki.h"
#include "werkplek/v1/session.grpc.pb.h"

namespace werkplek {
namespace {

class Echo : public v1::SessionService::Service {
  grpc::Status ListPools(grpc::ServerContext* context, const v1::ListPoolsRequest*,
                         v1::ListPoolsResponse* response) override {
    for (const auto& pem : context->auth_context()->FindPropertyValues("x509_pem_cert")) {
      const auto peer = ReadPeerCertificatePem(absl::string_view(pem.data(), pem.size()));
      if (peer.ok()) response->add_pools()->set_pool(PeerLabel(peer->name));
    }
    return grpc::Status::OK;
  }
};

class GrpcCredentialsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(RequireTls13InThisProcess().ok()); }

  GrpcCredentialsTest() {
    const auto credentials = GrpcServerCredentials(pki_.Issue(v1::IDENTITY_BROKER, "b1"));
    EXPECT_TRUE(credentials.ok()) << credentials.status();
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", *credentials, &port_);
    builder.RegisterService(&echo_);
    server_ = builder.BuildAndStart();
  }
  ~GrpcCredentialsTest() override { server_->Shutdown(); }

  // Who the server says we are, or the error.
  std::string Call(const TlsFiles& files, PeerCheck check) {
    const auto credentials = GrpcChannelCredentials(files, std::move(check));
    if (!credentials.ok()) return credentials.status().ToString();
    const auto channel = grpc::CreateChannel("127.0.0.1:" + std::to_string(port_), *credentials);
    const auto stub = v1::SessionService::NewStub(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::ListPoolsResponse response;
    const grpc::Status status = stub->ListPools(&context, v1::ListPoolsRequest(), &response);
    if (!status.ok()) return "refused: " + status.error_message();
    return response.pools_size() == 1 ? response.pools(0).pool() : "nobody";
  }

  // The TLS version that a client gets which offers up to `max_version`; empty: refused.
  std::string Negotiated(int max_version, const TlsFiles& files) {
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_clear_options(context, SSL_OP_NO_TLSv1_2 | SSL_OP_NO_TLSv1_1 | SSL_OP_NO_TLSv1);
    SSL_CTX_set_max_proto_version(context, max_version);
    SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str());
    SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM);
    const unsigned char alpn[] = {2, 'h', '2'};
    SSL_CTX_set_alpn_protos(context, alpn, sizeof(alpn));
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(uint16_t(port_));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    SSL* ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    const std::string version = SSL_connect(ssl) == 1 ? SSL_get_version(ssl) : "";
    SSL_free(ssl);
    SSL_CTX_free(context);
    close(fd);
    return version;
  }

  TestPki pki_;
  Echo echo_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(GrpcCredentialsTest, BothSidesProveThemselves) {
  EXPECT_EQ(Call(pki_.Issue(v1::IDENTITY_CLIENT, "tc-1"), ExpectIdentity({v1::IDENTITY_BROKER})),
            "client/tc-1");
}

TEST_F(GrpcCredentialsTest, AServerThatIsNoBrokerIsRefused) {
  EXPECT_THAT(Call(pki_.Issue(v1::IDENTITY_CLIENT, "tc-1"), ExpectIdentity({v1::IDENTITY_HOST})),
              testing::StartsWith("refused: "));
}

TEST_F(GrpcCredentialsTest, AnotherAuthorityIsRefused) {
  TestPki other;
  TlsFiles files = other.Issue(v1::IDENTITY_CLIENT, "tc-1");
  EXPECT_THAT(Call(files, ExpectIdentity({v1::IDENTITY_BROKER})), testing::StartsWith("refused: "));
}

TEST_F(GrpcCredentialsTest, Tls12IsRefusedThoughGrpcAloneWouldTakeIt) {
  const TlsFiles files = pki_.Issue(v1::IDENTITY_CLIENT, "tc-1");
  EXPECT_EQ(Negotiated(TLS1_3_VERSION, files), "TLSv1.3");
  EXPECT_EQ(Negotiated(TLS1_2_VERSION, files), "");
}

// The server's certificate changes under load: nobody notices but those who look at it.
TEST_F(GrpcCredentialsTest, ARenewedCertificateIsTakenWithoutAFailedCall) {
  const TlsFiles client = pki_.Issue(v1::IDENTITY_CLIENT, "tc-1");
  std::string seen;
  const PeerCheck look = [&seen](const PeerCertificate& peer) {
    seen = peer.sha256;
    return absl::OkStatus();
  };
  ASSERT_EQ(Call(client, look), "client/tc-1");
  const std::string first = seen;
  const TlsFiles renewed = pki_.Issue(v1::IDENTITY_BROKER, "b1");
  const std::string second = LoadTlsFiles(renewed, absl::Now())->own.sha256;
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  while (seen == first && absl::Now() < deadline) {
    ASSERT_EQ(Call(client, look), "client/tc-1");
  }
  EXPECT_EQ(seen, second);
}

}  // namespace
}  // namespace werkplek
