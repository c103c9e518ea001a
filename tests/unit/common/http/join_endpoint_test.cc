#include "common/http/join_endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "common/base/log.h"
#include "common/pki/key_request.h"
#include "tests/support/pki/test_pki.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

class JoinEndpointTest : public testing::Test {
 protected:
  JoinEndpointTest() {
    SetLogSink([](const std::string&) {});
    v1::AddJoinCodeRequest ask;
    ask.set_request_id("r");
    ask.set_identity(v1::IDENTITY_HOST);
    ask.set_name("hv-a1");
    code_ = office_.AddJoinCode(ask, "admin/a")->code();
  }
  ~JoinEndpointTest() override { SetLogSink(nullptr); }

  HttpResponse Ask(const std::string& body) {
    return handler_({"POST", "/v1/join", "application/json", body, "192.0.2.1"});
  }
  std::string Body(const std::string& code) {
    return nlohmann::json{
        {"code", code}, {"certificate_request_pem", *NewCertificateRequestPem(*NewPrivateKeyPem())}}
        .dump();
  }

  TestPki pki_;
  JoinCodes codes_{{}, [] { return absl::Hours(1); }};
  CertificateOffice office_{{}, &pki_.authority(), &codes_, [] { return absl::Now(); }};
  HttpHandler handler_ = JoinEndpoint(&office_);
  std::string code_;
};

TEST_F(JoinEndpointTest, TheRightCodeGivesAChain) {
  const HttpResponse response = Ask(Body(code_));
  ASSERT_EQ(response.status, 200) << response.body;
  const auto chain = nlohmann::json::parse(response.body)["certificate_chain_pem"];
  EXPECT_EQ(PeerLabel(ReadPeerCertificatePem(chain.get<std::string>())->name), "host/hv-a1");
}

TEST_F(JoinEndpointTest, OtherPathsMethodsAndTypesAreRefused) {
  EXPECT_EQ(handler_({"POST", "/", "application/json", Body(code_), "a"}).status, 404);
  EXPECT_EQ(handler_({"POST", "/v1/join?x", "application/json", Body(code_), "a"}).status, 404);
  EXPECT_EQ(handler_({"GET", "/v1/join", "application/json", Body(code_), "a"}).status, 405);
  EXPECT_EQ(handler_({"POST", "/v1/join", "text/plain", Body(code_), "a"}).status, 415);
  EXPECT_EQ(Ask(Body(code_)).status, 200) << "none of them spent the code";
}

TEST_F(JoinEndpointTest, BadBodiesAreRefused) {
  for (const char* body : {"", "{", "[]", "null", "{}", "{\"code\": 5}",
                           "{\"code\": \"x\", \"certificate_request_pem\": {}}",
                           "{\"code\": \"x\", \"certificate_request_pem\": \"\"}",
                           "{\"code\": \"x\", \"certificate_request_pem\": \"nonsense\"}",
                           "{\"code\": \"\xff\xfe\"}"}) {
    EXPECT_EQ(Ask(body).status, 400) << body;
  }
  EXPECT_EQ(Ask(std::string(16000, '[')).status, 400);
}

TEST_F(JoinEndpointTest, WrongCodesAreRefusedAndThenNotLookedAt) {
  EXPECT_EQ(Ask(Body("wrong")).status, 403);
  for (int i = 0; i < 4; ++i) Ask(Body("wrong"));
  const HttpResponse response = Ask(Body(code_));
  EXPECT_EQ(response.status, 429);
  EXPECT_THAT(response.body, HasSubstr("too many wrong join codes"));
}

TEST_F(JoinEndpointTest, ABrokerThatDoesNotLeadSaysWhereToGo) {
  absl::Status may_join = absl::UnavailableError("this broker does not lead now");
  handler_ = JoinEndpoint(&office_, [&may_join] { return may_join; });
  const HttpResponse response = Ask(Body(code_));
  EXPECT_EQ(response.status, 503);
  EXPECT_THAT(response.body, HasSubstr("this broker does not lead now"));
  // The code is not spent.
  may_join = absl::OkStatus();
  EXPECT_EQ(Ask(Body(code_)).status, 200);
}

TEST_F(JoinEndpointTest, NothingIsGivenOutThatWasNotRecorded) {
  absl::Status kept = absl::UnavailableError("cannot write it down");
  std::string chain;
  std::string from;
  handler_ = JoinEndpoint(&office_, nullptr, [&](const std::string& pem, const std::string& at) {
    chain = pem;
    from = at;
    return kept;
  });
  const std::string body = Body(code_);
  const HttpResponse refused = Ask(body);
  EXPECT_EQ(refused.status, 503);
  EXPECT_THAT(refused.body, HasSubstr("cannot write it down"));
  EXPECT_THAT(refused.body, testing::Not(HasSubstr("CERTIFICATE")));
  EXPECT_EQ(from, "192.0.2.1");
  EXPECT_EQ(PeerLabel(ReadPeerCertificatePem(chain)->name), "host/hv-a1");
  // The same key may ask again.
  kept = absl::OkStatus();
  const HttpResponse given = Ask(body);
  ASSERT_EQ(given.status, 200) << given.body;
  EXPECT_EQ(nlohmann::json::parse(given.body)["certificate_chain_pem"], chain);
  // What is refused anyway is not recorded.
  chain.clear();
  EXPECT_EQ(Ask(Body("wrong")).status, 403);
  EXPECT_EQ(chain, "");
}

}  // namespace
}  // namespace werkplek
