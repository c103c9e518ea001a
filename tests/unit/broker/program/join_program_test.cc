// From an empty folder to a host with a certificate, through the real program and a real directory:
// the first administrator signs in with password and code, asks for a join code, the host joins
// with it and renews its certificate.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <liboath/oath.h>
#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "broker/token/one_time_code.h"
#include "common/http/join_client.h"
#include "common/pki/key_request.h"
#include "common/pki/renewal.h"
#include "common/tls/grpc_credentials.h"
#include "common/tls/process_tls.h"
#include "tests/support/slapd/slapd.h"
#include "tests/unit/broker/program/running_broker.h"
#include "tests/unit/broker/program/scrape.h"
#include "werkplek/v1/admin.grpc.pb.h"
#include "werkplek/v1/agent.grpc.pb.h"
#include "werkplek/v1/session.grpc.pb.h"

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr char kPassword[] = "goed-wachtwoord";

// The seed out of otpauth://totp/...?secret=BASE32&...
std::string SeedOf(const std::string& uri) {
  const size_t begin = uri.find("secret=") + 7;
  const std::string base32 = uri.substr(begin, uri.find_first_of("&\n", begin) - begin);
  char* bytes = nullptr;
  size_t size = 0;
  EXPECT_EQ(oath_base32_decode(base32.data(), base32.size(), &bytes, &size), OATH_OK) << uri;
  std::string seed(bytes, size);
  free(bytes);
  return seed;
}

class JoinProgramTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(RequireTls13InThisProcess().ok()); }

  static SlapdOptions Options(DirectoryAuthority& authority) {
    SlapdOptions options;
    options.certificate = authority.Issue({"localhost"}, {"127.0.0.1"});
    options.ldif = PersonLdif("beheer1", kPassword) + GroupLdif("beheer", {PersonDn("beheer1")}) +
                   GroupLdif("controle", {PersonDn("beheer1")});
    return options;
  }

  std::shared_ptr<grpc::Channel> Channel(const std::string& port, const TlsFiles& files) {
    const auto credentials = GrpcChannelCredentials(files, ExpectIdentity({v1::IDENTITY_BROKER}));
    EXPECT_TRUE(credentials.ok()) << credentials.status();
    return grpc::CreateChannel(absl::StrCat("127.0.0.1:", broker_.Port(port)), *credentials);
  }

  static void Prepare(grpc::ClientContext& context, const std::string& token = "") {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    context.set_wait_for_ready(true);
    if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
  }

  // The access token; empty: refused.
  static std::string SignIn(const std::shared_ptr<grpc::Channel>& channel,
                            const std::string& seed) {
    v1::SignInRequest request;
    request.set_request_id("r1");
    request.set_user("beheer1");
    request.set_password(kPassword);
    request.set_token_code(
        TotpCode(seed, absl::ToUnixSeconds(absl::Now()) / kStepSeconds, 6, CodeHash::kSha1));
    v1::SignInResponse response;
    grpc::ClientContext context;
    Prepare(context);
    const grpc::Status status =
        v1::SessionService::NewStub(channel)->SignIn(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.access_token();
  }

  // "WHO WHAT ON" of the newest records.
  static std::vector<std::string> LastAudit(const std::shared_ptr<grpc::Channel>& channel,
                                            const std::string& token, uint32_t last) {
    v1::ListAuditRequest request;
    request.set_last(last);
    v1::ListAuditResponse response;
    grpc::ClientContext context;
    Prepare(context, token);
    const grpc::Status status =
        v1::AdminService::NewStub(channel)->ListAudit(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::vector<std::string> lines;
    for (const v1::AuditEntry& entry : response.entries()) {
      lines.push_back(absl::StrCat(entry.actor(), " ", entry.action(), " ", entry.object()));
    }
    return lines;
  }

  DirectoryAuthority authority_;
  Slapd slapd_{Options(authority_)};
  RunningBroker broker_{{{"ldaps://127.0.0.1:636", slapd_.url()},
                         {"ldap-ca.pem", authority_.ca_file()},
                         {"cn=werkplek,dc=example", Slapd::kServiceDn},
                         {"bind.password", "service.password"},
                         {"ou=people,dc=example", Slapd::kPeople},
                         {"cn=controle,ou=groups,dc=example", "controle"},
                         {"ou=groups,dc=example", Slapd::kGroups}}};
};

TEST_F(JoinProgramTest, AHostJoinsAndRenews) {
  const std::string uri = broker_.Command({"enrol-first-admin", "--user", "beheer1"});
  const std::string issued = broker_.Command(
      {"issue", "--identity", "admin", "--name", "beheer-1", "--out", broker_.File("admin")});
  ASSERT_THAT(issued, HasSubstr("werkplek://admin/beheer-1"));
  ASSERT_TRUE(broker_.Start()) << broker_.Log();
  const auto clients =
      Channel("clients", {broker_.File("admin/certificate.pem"), broker_.File("admin/key.pem"),
                          broker_.File("admin/ca.pem")});

  const std::string token = SignIn(clients, SeedOf(uri));
  ASSERT_NE(token, "") << broker_.Log();

  v1::AddJoinCodeRequest ask;
  ask.set_request_id("r2");
  ask.set_identity(v1::IDENTITY_HOST);
  ask.set_name("hv-a1");
  v1::AddJoinCodeResponse code;
  grpc::ClientContext ask_context;
  Prepare(ask_context, token);
  const grpc::Status asked =
      v1::AdminService::NewStub(clients)->AddJoinCode(&ask_context, ask, &code);
  ASSERT_TRUE(asked.ok()) << asked.error_message() << broker_.Log();

  JoinTerms terms;
  terms.url = code.url();
  terms.code = Secret(code.code());
  terms.ca_sha256 = code.ca_sha256();
  terms.identity = v1::IDENTITY_HOST;
  terms.folder = broker_.File("hv-a1");
  const auto joined = JoinOverHttps(terms);
  ASSERT_TRUE(joined.ok()) << joined.status() << broker_.Log();

  v1::RenewCertificateRequest renew;
  const Secret key = *NewPrivateKeyPem();
  renew.set_certificate_request_pem(*NewCertificateRequestPem(key));
  v1::RenewCertificateResponse renewed;
  grpc::ClientContext renew_context;
  Prepare(renew_context);
  const grpc::Status renew_status = v1::AgentService::NewStub(Channel("agents", *joined))
                                        ->RenewCertificate(&renew_context, renew, &renewed);
  ASSERT_TRUE(renew_status.ok()) << renew_status.error_message() << broker_.Log();
  const auto material = LoadTlsFiles(*joined, absl::Now());
  const absl::Status installed =
      InstallCertificate(*joined, key, renewed.certificate_chain_pem(), material->own.name,
                         absl::HexStringToBytes(code.ca_sha256()));
  EXPECT_TRUE(installed.ok()) << installed;
  const std::string renewed_sha256 = LoadTlsFiles(*joined, absl::Now())->own.sha256;
  EXPECT_NE(renewed_sha256, material->own.sha256);
  EXPECT_THAT(LastAudit(clients, token, 3),
              ElementsAre("admin:beheer1 join-code host/hv-a1",
                          "host/hv-a1 join certificate:" + HexEncode(material->own.sha256),
                          "host/hv-a1 certificate-renew certificate:" + HexEncode(renewed_sha256)));

  const std::string metrics = ScrapeMetrics(broker_.Port("metrics"));
  EXPECT_THAT(metrics, HasSubstr("werkplek_sign_ins_total{outcome=\"ok\"} 1"));
  for (const char* stage : {"directory", "token", "commit"}) {
    EXPECT_THAT(metrics, HasSubstr(absl::StrCat("werkplek_stage_seconds_count{stage=\"", stage)));
  }
  EXPECT_EQ(broker_.Stop(SIGTERM), 0);
  for (const std::string& secret : {std::string(kPassword), std::string(Slapd::kServicePassword),
                                    token, code.code(), SeedOf(uri)}) {
    EXPECT_THAT(broker_.Log(), Not(HasSubstr(secret)));
    EXPECT_THAT(ReadWholeFile(broker_.File("data/fleet.sqlite")), Not(HasSubstr(secret)));
  }
}

}  // namespace
}  // namespace werkplek
