#include "broker/core/certificates.h"

#include <gtest/gtest.h>

#include <string>

#include "common/base/crypto.h"
#include "tests/unit/broker/core/driver.h"

namespace werkplek {
namespace {

class CertificatesTest : public testing::Test {
 protected:
  v1::AuditRecord Issue(bool joined) {
    CertificateIssued issued;
    issued.call = ++call_;
    issued.peer = "host/hv-a1";
    issued.joined = joined;
    issued.certificate_sha256 = std::string(32, '\xab');
    issued.origin = joined ? "192.0.2.7" : "host/hv-a1 192.0.2.7:51234";
    driver_.Apply(issued);
    return driver_.audit().back();
  }
  // Whether the last event answered the call, and well.
  bool Answered() {
    for (const Effect& effect : driver_.latest) {
      const auto* reply = std::get_if<Reply>(&effect);
      if (reply != nullptr && reply->call == call_) {
        return reply->status.ok() && reply->response != nullptr;
      }
    }
    return false;
  }

  Driver driver_;
  CallId call_ = 1'000'000;
};

TEST_F(CertificatesTest, WhoMadeAJoinCodeAndForWhomIsAudited) {
  v1::AddJoinCodeRequest request;
  request.set_identity(v1::IDENTITY_HOST);
  request.set_name("hv-a1");
  request.set_request_id("once");
  const auto answer = driver_.Call(driver_.Admin(), request);
  ASSERT_TRUE(answer.ok()) << answer.status();
  // The store gets no code, as nothing of it is known here.
  EXPECT_EQ((*answer)->SerializeAsString(), "");
  const v1::AuditRecord record = driver_.audit().back();
  EXPECT_EQ(record.actor(), "admin:beheer");
  EXPECT_EQ(record.action(), "join-code");
  EXPECT_EQ(record.object(), "host/hv-a1");
  EXPECT_EQ(record.result(), "ok");
  EXPECT_EQ(record.origin(), Origin(driver_.CallerOf(driver_.Admin())));
  // The same request again is the same code.
  EXPECT_TRUE(driver_.Call(driver_.Admin(), request).ok());
  EXPECT_EQ(driver_.audit().back().sequence(), record.sequence());
}

TEST_F(CertificatesTest, AJoinCodeIsForAMachine) {
  const std::string admin = driver_.Admin();
  const uint64_t before = driver_.fleet().audit_sequence;
  v1::AddJoinCodeRequest request;
  request.set_name("hv-a1");
  EXPECT_TRUE(absl::IsInvalidArgument(driver_.Call(admin, request).status()));
  request.set_identity(v1::IDENTITY_HOST);
  request.set_name("HV A1");
  EXPECT_TRUE(absl::IsInvalidArgument(driver_.Call(admin, request).status()));
  EXPECT_EQ(driver_.fleet().audit_sequence, before);
}

TEST_F(CertificatesTest, JoinsAndRenewalsAreAudited) {
  const v1::AuditRecord join = Issue(/*joined=*/true);
  EXPECT_TRUE(Answered());
  EXPECT_EQ(join.actor(), "host/hv-a1");
  EXPECT_EQ(join.action(), "join");
  EXPECT_EQ(join.object(), "certificate:" + HexEncode(std::string(32, '\xab')));
  EXPECT_EQ(join.result(), "ok");
  EXPECT_EQ(join.origin(), "192.0.2.7");
  const v1::AuditRecord renewal = Issue(/*joined=*/false);
  EXPECT_TRUE(Answered());
  EXPECT_EQ(renewal.actor(), "host/hv-a1");
  EXPECT_EQ(renewal.action(), "certificate-renew");
  EXPECT_EQ(renewal.origin(), "host/hv-a1 192.0.2.7:51234");
}

}  // namespace
}  // namespace werkplek
