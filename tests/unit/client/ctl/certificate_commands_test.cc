#include "client/ctl/certificate_commands.h"

#include "tests/unit/client/ctl/ctl_test.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

class CertificateCommandsTest : public CtlTest {
 protected:
  void SetUp() override {
    CtlTest::SetUp();
    broker_.Reply("RevokeCertificates", v1::RevokeCertificatesResponse());
  }
};

TEST_F(CertificateCommandsTest, RevokesAfterAskingAndSaysHowToComeBack) {
  const Result result =
      RunAsked({"certificate", "revoke", "client/tc-017", "--reason", "left in the train"},
               {{"Revoke every certificate of client/tc-017?", "y\n"}});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.out;
  EXPECT_THAT(result.out, HasSubstr("refused from now on"));
  EXPECT_THAT(result.out, HasSubstr("new code"));
  const auto sent = broker_.Requests<v1::RevokeCertificatesRequest>("RevokeCertificates").at(0);
  EXPECT_EQ(sent.peer(), "client/tc-017");
  EXPECT_EQ(sent.reason(), "left in the train");
  EXPECT_NE(sent.request_id(), "");
}

TEST_F(CertificateCommandsTest, DoesNothingWithoutAnAgreementOrAReason) {
  EXPECT_NE(Run({"certificate", "revoke", "client/tc-017", "--reason", "x"}).code, ExitCode::kOk);
  EXPECT_EQ(Run({"certificate", "revoke", "client/tc-017", "--yes"}).code, ExitCode::kUsage);
  EXPECT_TRUE(broker_.Methods().empty());
}

TEST_F(CertificateCommandsTest, ListsAllPages) {
  v1::ListRevocationsResponse first;
  v1::RevocationView* revocation = first.add_revocations();
  revocation->set_peer("client/tc-017");
  revocation->set_issued_before_unix_ms(1'700'000'000'000);
  revocation->set_reason("left in the train");
  revocation->set_by("admin:beheer");
  first.set_more(true);
  v1::ListRevocationsResponse second;
  second.add_revocations()->set_peer("host/hv-a1");
  broker_.Once("ListRevocations", FakeBroker::Says(first));
  broker_.Once("ListRevocations", FakeBroker::Says(second));
  const Result result = Run({"certificate", "list"});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_THAT(result.out, HasSubstr("client/tc-017"));
  EXPECT_THAT(result.out, HasSubstr("left in the train"));
  EXPECT_THAT(result.out, HasSubstr("host/hv-a1"));
  EXPECT_EQ(broker_.Requests<v1::ListRevocationsRequest>("ListRevocations").back().after(),
            "client/tc-017");
  broker_.Reply("ListRevocations", v1::ListRevocationsResponse());
  EXPECT_EQ(Run({"certificate", "list"}).out, "No certificates were revoked.\n");
}

}  // namespace
}  // namespace werkplek
