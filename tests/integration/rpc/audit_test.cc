// The audit over real connections: from a record on, and the newest.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/loopback_broker/loopback_broker.h"
#include "werkplek/v1/admin.grpc.pb.h"

namespace werkplek {
namespace {

using testing::ElementsAre;

class Audit : public testing::Test {
 protected:
  Audit()
      : broker_({.people = {{"beheer", v1::ROLE_ADMINISTRATOR}, {"controle", v1::ROLE_AUDITOR}}}),
        channel_(broker_.AtClientPort(v1::IDENTITY_ADMIN, "a1")),
        auditor_(*broker_.SignIn(channel_, "controle")) {
    const std::string admin = *broker_.SignIn(channel_, "beheer");
    for (int i = 0; i < 5; ++i) CreateSite(admin, absl::StrCat("s", i));
  }

  void CreateSite(const std::string& token, const std::string& name) {
    v1::CreateResourceRequest request;
    request.set_request_id("create-" + name);
    request.mutable_resource()->set_name(name);
    request.mutable_resource()->mutable_site();
    v1::Resource created;
    grpc::ClientContext context;
    Prepare(context, token);
    const grpc::Status status =
        v1::AdminService::NewStub(channel_)->CreateResource(&context, request, &created);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  grpc::Status List(const v1::ListAuditRequest& request, v1::ListAuditResponse& page) {
    grpc::ClientContext context;
    Prepare(context, auditor_);
    return v1::AdminService::NewStub(channel_)->ListAudit(&context, request, &page);
  }
  v1::ListAuditResponse Page(const v1::ListAuditRequest& request) {
    v1::ListAuditResponse page;
    const grpc::Status status = List(request, page);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return page;
  }
  static std::vector<std::string> Objects(const v1::ListAuditResponse& page) {
    std::vector<std::string> objects;
    for (const v1::AuditEntry& entry : page.entries()) objects.push_back(entry.object());
    return objects;
  }

  LoopbackBroker broker_;
  std::shared_ptr<grpc::Channel> channel_;
  std::string auditor_;
};

TEST_F(Audit, TheNewestAreGivenByTheirNumber) {
  v1::ListAuditRequest request;
  request.set_last(2);
  v1::ListAuditResponse page = Page(request);
  EXPECT_THAT(Objects(page), ElementsAre("site:s3", "site:s4"));
  EXPECT_FALSE(page.more());
  // The pages after the first go on from there.
  request.set_last(3);
  request.set_limit(2);
  page = Page(request);
  EXPECT_THAT(Objects(page), ElementsAre("site:s2", "site:s3"));
  EXPECT_TRUE(page.more());
  request.clear_last();
  request.set_after_sequence(page.entries(1).sequence());
  EXPECT_THAT(Objects(Page(request)), ElementsAre("site:s4"));
}

TEST_F(Audit, MoreThanThereAreIsAll) {
  v1::ListAuditRequest request;
  const int all = Page(request).entries_size();
  ASSERT_GT(all, 5);
  request.set_last(1'000'000);
  EXPECT_EQ(Page(request).entries_size(), all);
  EXPECT_EQ(Page(request).entries(0).sequence(), 1u);
}

TEST_F(Audit, OneCannotAskForBoth) {
  v1::ListAuditRequest request;
  request.set_last(2);
  request.set_after_sequence(1);
  v1::ListAuditResponse page;
  const grpc::Status status = List(request, page);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(absl::StrContains(status.error_message(), "after_sequence"))
      << status.error_message();
}

}  // namespace
}  // namespace werkplek
