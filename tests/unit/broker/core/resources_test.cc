#include "broker/core/resources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/broker/core/driver.h"
#include "tests/unit/broker/core/municipality.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

class ResourcesTest : public Municipality {
 protected:
  absl::StatusOr<v1::Resource> Create(const v1::Resource& resource, const std::string& id = "") {
    v1::CreateResourceRequest request;
    request.set_request_id(id);
    *request.mutable_resource() = resource;
    const auto answer = driver_.Call(driver_.Admin(), request);
    if (!answer.ok()) return answer.status();
    return static_cast<const v1::Resource&>(**answer);
  }
  absl::StatusOr<v1::Resource> Update(const v1::Resource& resource) {
    v1::UpdateResourceRequest request;
    *request.mutable_resource() = resource;
    const auto answer = driver_.Call(driver_.Admin(), request);
    if (!answer.ok()) return answer.status();
    return static_cast<const v1::Resource&>(**answer);
  }
  absl::Status Delete(v1::ResourceKind kind, const std::string& name, uint64_t version = 0) {
    v1::DeleteResourceRequest request;
    request.set_kind(kind);
    request.set_name(name);
    request.set_version(version);
    return driver_.Call(driver_.Admin(), request).status();
  }
};

TEST_F(ResourcesTest, LifeOfAResource) {
  const auto created = Create(MakeSite("a"));
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->version(), 1u);
  EXPECT_TRUE(absl::IsAlreadyExists(Create(MakeSite("a")).status()));
  v1::Resource changed = *created;
  changed.mutable_site()->set_description("The town hall");
  const auto updated = Update(changed);
  ASSERT_TRUE(updated.ok());
  EXPECT_EQ(updated->version(), 2u);
  const auto late = Update(changed);
  EXPECT_TRUE(absl::IsAborted(late.status()));
  EXPECT_THAT(std::string(late.status().message()), HasSubstr("version: 1"));
  EXPECT_TRUE(absl::IsAborted(Delete(v1::RESOURCE_KIND_SITE, "a", 1)));
  EXPECT_TRUE(Delete(v1::RESOURCE_KIND_SITE, "a", 2).ok());
  EXPECT_TRUE(absl::IsNotFound(Delete(v1::RESOURCE_KIND_SITE, "a")));
  EXPECT_TRUE(absl::IsNotFound(Update(changed).status()));
  EXPECT_TRUE(driver_.stored().sites.empty());
}

TEST_F(ResourcesTest, EachChangeIsAudited) {
  ASSERT_TRUE(Create(MakeSite("a")).ok());
  EXPECT_EQ(driver_.audit().back().actor(), "admin:beheer");
  EXPECT_EQ(driver_.audit().back().action(), "site.create");
  EXPECT_EQ(driver_.audit().back().object(), "site:a");
  EXPECT_EQ(driver_.audit().back().result(), "ok");
  EXPECT_EQ(driver_.audit().back().origin(), "admin/desk-1 192.0.2.7:51234");
  EXPECT_GT(driver_.audit().back().time_unix_ms(), 0);
  uint64_t sequence = 0;
  for (const v1::AuditRecord& record : driver_.audit()) EXPECT_EQ(record.sequence(), ++sequence);
}

TEST_F(ResourcesTest, BadOnesAreRefusedByField) {
  v1::Resource resource = MakeSite("a");
  resource.set_version(3);
  EXPECT_THAT(std::string(Create(resource).status().message()), HasSubstr("version: "));
  EXPECT_THAT(std::string(Create(MakeHost("hv-a1")).status().message()),
              HasSubstr("host.site: there is no site"));
  EXPECT_THAT(std::string(Create(MakeSite("A B")).status().message()), HasSubstr("name: "));
  EXPECT_TRUE(absl::IsInvalidArgument(Delete(v1::RESOURCE_KIND_UNSPECIFIED, "a")));
  EXPECT_TRUE(driver_.fleet().sites.empty());
}

TEST_F(ResourcesTest, WhatIsUsedIsNotDeleted) {
  Open(1, 4, 1);
  EXPECT_TRUE(absl::IsFailedPrecondition(Delete(v1::RESOURCE_KIND_SITE, "a")));
  EXPECT_TRUE(absl::IsFailedPrecondition(Delete(v1::RESOURCE_KIND_IMAGE, "tiny")));
  EXPECT_TRUE(absl::IsFailedPrecondition(Delete(v1::RESOURCE_KIND_POOL, "kantoor")));
  EXPECT_TRUE(absl::IsFailedPrecondition(Delete(v1::RESOURCE_KIND_HOST, "hv-a1")));
}

TEST_F(ResourcesTest, TheSameRequestIdGivesTheSameAnswer) {
  const auto first = Create(MakeSite("a"), "req-1");
  ASSERT_TRUE(first.ok());
  const uint64_t audit = driver_.fleet().audit_sequence;
  const auto again = Create(MakeSite("a"), "req-1");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->SerializeAsString(), first->SerializeAsString());
  EXPECT_EQ(driver_.fleet().audit_sequence, audit);  // No second effect.
  // Also over a restart, and for a day.
  driver_.Restart();
  EXPECT_TRUE(Create(MakeSite("a"), "req-1").ok());
  // Another request under the same id is refused.
  EXPECT_TRUE(absl::IsInvalidArgument(Create(MakeSite("b"), "req-1").status()));
  v1::EnrolTokenRequest other;
  other.set_request_id("req-1");
  other.set_user("jan");
  EXPECT_TRUE(absl::IsInvalidArgument(driver_.Call(driver_.Admin(), other).status()));
}

TEST_F(ResourcesTest, ARequestIdIsOnePersons) {
  ASSERT_TRUE(Create(MakeSite("a"), "req-1").ok());
  const std::string other = driver_.SignIn("ander", {v1::ROLE_ADMINISTRATOR});
  v1::CreateResourceRequest request;
  request.set_request_id("req-1");
  *request.mutable_resource() = MakeSite("a");
  EXPECT_TRUE(absl::IsInvalidArgument(driver_.Call(other, request).status()));
}

TEST_F(ResourcesTest, AFailedRequestMayBeRepeated) {
  EXPECT_FALSE(Create(MakeHost("hv-a1"), "req-1").ok());
  ASSERT_TRUE(Create(MakeSite("a")).ok());
  EXPECT_TRUE(Create(MakeHost("hv-a1"), "req-1").ok());
}

TEST_F(ResourcesTest, AnswersAreForgottenAfterADay) {
  ASSERT_TRUE(Create(MakeSite("a"), "req-1").ok());
  EXPECT_EQ(driver_.fleet().answered.size(), 1u);
  driver_.now += absl::Hours(23);
  driver_.Apply(Tick{});
  EXPECT_NE(driver_.fleet().answered.Find("admin/desk-1/req-1"), nullptr);
  driver_.now += absl::Hours(1);
  driver_.Apply(Tick{});
  EXPECT_EQ(driver_.fleet().answered.size(), 0u);
  EXPECT_EQ(driver_.stored().answered.size(), 0u);
}

TEST_F(ResourcesTest, OnePersonsChangesAreLimited) {
  const uint32_t most = BrokerSettings().changes_per_person;
  for (uint32_t i = 0; i < most / 2; ++i) {
    ASSERT_TRUE(Create(MakeSite("a")).ok());
    ASSERT_TRUE(Delete(v1::RESOURCE_KIND_SITE, "a").ok());
  }
  // A broker that comes after this one counts them, too.
  driver_.Restart();
  const absl::Status refused = Create(MakeSite("a")).status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("limits.changes_per_person"));
  EXPECT_TRUE(driver_.fleet().sites.empty());
  // Another person's do not count with them, and signing out is never refused.
  const std::string other = driver_.SignIn("ander", {v1::ROLE_ADMINISTRATOR});
  v1::CreateResourceRequest request;
  *request.mutable_resource() = MakeSite("b");
  EXPECT_TRUE(driver_.Call(other, request).ok());
  EXPECT_TRUE(driver_.Call(driver_.Admin(), v1::SignOutRequest()).ok());
  // What is forgotten counts no longer.
  driver_.now += absl::Hours(24);
  while (driver_.fleet().answered.size() > 0) driver_.Apply(Tick{});
  *request.mutable_resource() = MakeSite("a");
  EXPECT_TRUE(driver_.Call(driver_.SignIn("beheer", {v1::ROLE_ADMINISTRATOR}), request).ok());
}

TEST_F(ResourcesTest, RequestIdsAreRequired) {
  v1::CreateResourceRequest request;
  *request.mutable_resource() = MakeSite("a");
  request.set_request_id("has spaces");
  const auto answer = driver_.Call(driver_.Admin(), request);
  EXPECT_TRUE(absl::IsInvalidArgument(answer.status()));
  EXPECT_THAT(std::string(answer.status().message()), HasSubstr("request_id: "));
}

TEST_F(ResourcesTest, RolesAreAsked) {
  const std::string jan = driver_.SignIn("jan");
  v1::CreateResourceRequest create;
  *create.mutable_resource() = MakeSite("a");
  EXPECT_TRUE(absl::IsPermissionDenied(driver_.Call(jan, create).status()));
  const std::string helper = driver_.SignIn("hulp", {v1::ROLE_HELPDESK});
  EXPECT_TRUE(absl::IsPermissionDenied(driver_.Call(helper, create).status()));
  v1::EnrolTokenRequest enrol;
  enrol.set_user("piet");
  EXPECT_TRUE(driver_.Call(helper, enrol).ok());
  EXPECT_TRUE(absl::IsUnauthenticated(driver_.Call("", create).status()));
  EXPECT_EQ(driver_.Counted("calls", "denied"), 3u);
}

TEST_F(ResourcesTest, AStolenTokenIsRefusedWithAnAlarm) {
  CallRequested event;
  event.call = 77'000;
  event.caller = driver_.CallerOf(driver_.Admin());
  event.caller.certificate_sha256 = std::string(32, 'x');
  auto request = std::make_shared<v1::CreateResourceRequest>();
  request->set_request_id("x");
  *request->mutable_resource() = MakeSite("a");
  event.request = request;
  driver_.Apply(event);
  EXPECT_EQ(driver_.Counted("calls", "stolen-token"), 1u);
  EXPECT_TRUE(driver_.fleet().sites.empty());
}

TEST_F(ResourcesTest, WhatTheCoreDoesNotDecideIsSaidSo) {
  v1::SignInRequest request;
  EXPECT_EQ(driver_.Call(driver_.Admin(), request).status().code(),
            absl::StatusCode::kUnimplemented);
  auto other = std::make_shared<v1::Desktop>();
  std::shared_ptr<google::protobuf::Message> message = other;
  EXPECT_TRUE(absl::IsPermissionDenied(driver_.Call(driver_.Admin(), message).status()));
}

TEST_F(ResourcesTest, SchedulabilityIsForSitesHostsAndPools) {
  Open(1, 4, 1);
  v1::SetSchedulabilityRequest request;
  request.set_kind(v1::RESOURCE_KIND_IMAGE);
  request.set_name("tiny");
  EXPECT_TRUE(absl::IsInvalidArgument(driver_.Call(driver_.Admin(), request).status()));
  request.set_kind(v1::RESOURCE_KIND_HOST);
  request.set_name("nowhere");
  EXPECT_TRUE(absl::IsNotFound(driver_.Call(driver_.Admin(), request).status()));
  request.set_name("hv-a1");
  request.set_schedulability(v1::SCHEDULABILITY_MAINTENANCE);
  const auto answer = driver_.Call(driver_.Admin(), request);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(static_cast<const v1::Resource&>(**answer).version(), 2u);
}

TEST_F(ResourcesTest, AnAdminEndsASessionAndSaysWhy) {
  Open(1, 4, 1);
  Come("jan");
  const std::string id = driver_.SessionOf("jan")->id();
  v1::EndAnySessionRequest request;
  request.set_session(id);
  request.set_reason(std::string(300, 'a'));
  EXPECT_TRUE(absl::IsInvalidArgument(driver_.Call(driver_.Admin(), request).status()));
  request.set_reason("asked for by telephone");
  const auto answer = driver_.Call(driver_.Admin(), request);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(static_cast<const v1::Session&>(**answer).id(), id);
  EXPECT_EQ(Session(id).state(), v1::SESSION_STATE_ENDED);
  EXPECT_EQ(Session(id).end_reason(), "admin: asked for by telephone");
  request.set_session("s-0");
  EXPECT_TRUE(absl::IsNotFound(driver_.Call(driver_.Admin(), request).status()));
}

TEST_F(ResourcesTest, ResettingADesktopEndsItsSession) {
  Open(1, 4, 1);
  Come("jan");
  const std::string session = driver_.SessionOf("jan")->id();
  v1::ResetDesktopRequest request;
  request.set_desktop(driver_.DesktopOf("jan")->id());
  ASSERT_TRUE(driver_.Call(driver_.Admin(), request).ok());
  EXPECT_EQ(Session(session).state(), v1::SESSION_STATE_ENDED);
  EXPECT_EQ(Session(session).end_reason(), "an admin reset the desktop");
  request.set_desktop("kantoor-none");
  EXPECT_TRUE(absl::IsNotFound(driver_.Call(driver_.Admin(), request).status()));
}

TEST_F(ResourcesTest, ASpareIsResetInTheAnswer) {
  Open(1, 1, 1);
  Host().stuck = true;
  v1::ResetDesktopRequest request;
  request.set_desktop(driver_.fleet().desktops.begin()->key);
  const auto answer = driver_.Call(driver_.Admin(), request);
  ASSERT_TRUE(answer.ok());
  const auto& status = static_cast<const v1::DesktopStatus&>(**answer);
  EXPECT_EQ(status.desktop().state(), v1::DESKTOP_STATE_RESETTING);
  EXPECT_EQ(status.desktop().generation(), 2u);
}

TEST_F(ResourcesTest, ALostDesktopIsNotReset) {
  Open(1, 1, 1);
  Host().silent = true;
  driver_.Advance(absl::Seconds(12));
  v1::ResetDesktopRequest request;
  request.set_desktop(driver_.fleet().desktops.begin()->key);
  EXPECT_TRUE(absl::IsFailedPrecondition(driver_.Call(driver_.Admin(), request).status()));
}

}  // namespace
}  // namespace werkplek
