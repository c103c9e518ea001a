#include "common/http/join_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/http/http_server.h"
#include "common/http/join_endpoint.h"
#include "tests/support/pki/test_pki.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

// A real join port over real TLS.
class JoinClientTest : public testing::Test {
 protected:
  void SetUp() override {
    SetLogSink([this](const std::string& line) { lines_ += line + "\n"; });
    context_ =
        *FollowingContext::Create(pki_.Issue(v1::IDENTITY_BROKER, "b1"), MakeOpenServerContext);
    HttpServerSettings settings;
    settings.address = "127.0.0.1:0";
    auto server = HttpServer::Start(settings, context_.get(), JoinEndpoint(&office_));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    terms_.url = absl::StrCat("https://127.0.0.1:", server_->port(), "/v1/join");
    terms_.ca_sha256 = HexEncode(pki_.authority().sha256());
    terms_.identity = v1::IDENTITY_HOST;
    terms_.folder = pki_.folder() + "/joined";
    v1::AddJoinCodeRequest ask;
    ask.set_request_id("r");
    ask.set_identity(v1::IDENTITY_HOST);
    ask.set_name("hv-a1");
    code_ = office_.AddJoinCode(ask, "admin/a")->code();
    terms_.code = Secret(code_);
  }
  void TearDown() override {
    server_.reset();
    SetLogSink(nullptr);
  }

  std::string Join() { return std::string(JoinOverHttps(terms_).status().message()); }

  TestPki pki_;
  JoinCodes codes_{{}, [] { return absl::Hours(1); }};
  CertificateOffice office_{{}, &pki_.authority(), &codes_, [] { return absl::Now(); }};
  std::unique_ptr<FollowingContext> context_;
  std::unique_ptr<HttpServer> server_;
  JoinTerms terms_;
  std::string code_;
  std::string lines_;
};

TEST_F(JoinClientTest, ANewMachineGetsFilesThatWork) {
  const auto files = JoinOverHttps(terms_);
  ASSERT_TRUE(files.ok()) << files.status();
  const auto material = LoadTlsFiles(*files, absl::Now());
  ASSERT_TRUE(material.ok()) << material.status();
  EXPECT_EQ(PeerLabel(material->own.name), "host/hv-a1");
  struct stat status {};
  stat(files->key.c_str(), &status);
  EXPECT_EQ(status.st_mode & 07777, mode_t(0600));
  EXPECT_THAT(lines_, testing::Not(HasSubstr(code_)));
  EXPECT_THAT(Join(), HasSubstr("this machine has joined already"));
}

// As on a fresh machine, where /etc/werkplek is not there yet.
TEST_F(JoinClientTest, MissingParentsOfTheFolderAreMade) {
  terms_.folder = pki_.folder() + "/etc/werkplek/host";
  const auto files = JoinOverHttps(terms_);
  ASSERT_TRUE(files.ok()) << files.status();
  struct stat status {};
  ASSERT_EQ(stat(terms_.folder.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, mode_t(0700));
}

TEST_F(JoinClientTest, ABrokerOfAnotherAuthorityIsNotToldTheCode) {
  TestPki other;
  terms_.ca_sha256 = HexEncode(other.authority().sha256());
  EXPECT_THAT(Join(), HasSubstr("TLS failed"));
  terms_.ca_sha256 = HexEncode(pki_.authority().sha256());
  EXPECT_EQ(Join(), "") << "the code is as good as before";
}

TEST_F(JoinClientTest, RefusalsAreTold) {
  terms_.code = Secret("wrong");
  EXPECT_THAT(Join(), HasSubstr("the broker refused: the join code is unknown, used or too old"));
  terms_.code = Secret(code_);
  terms_.ca_sha256 = "abc";
  EXPECT_THAT(Join(), HasSubstr("must be 64 hexadecimal digits"));
  terms_.ca_sha256 = HexEncode(pki_.authority().sha256());
  terms_.identity = v1::IDENTITY_CLIENT;
  EXPECT_THAT(Join(), HasSubstr("the code is for host/hv-a1, not for a client"));
}

TEST_F(JoinClientTest, NobodyThereIsToldWithTheUrl) {
  server_.reset();
  EXPECT_THAT(Join(), HasSubstr(terms_.url + ": no connection"));
}

}  // namespace
}  // namespace werkplek
