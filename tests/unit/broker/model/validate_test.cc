#include "broker/model/validate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "broker/model/names.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

v1::Resource Good(v1::ResourceKind kind) {
  v1::Resource resource;
  resource.set_name("x1");
  switch (kind) {
    case v1::RESOURCE_KIND_SITE:
      resource.mutable_site()->set_description("The town hall");
      break;
    case v1::RESOURCE_KIND_HOST:
      resource.mutable_host()->set_site("a");
      break;
    case v1::RESOURCE_KIND_IMAGE:
      resource.mutable_image()->set_source("/images/tiny.qcow2");
      resource.mutable_image()->set_sha256(std::string(64, 'a'));
      resource.mutable_image()->set_format("qcow2");
      break;
    case v1::RESOURCE_KIND_POOL:
      resource.mutable_pool()->set_kind(v1::POOL_KIND_FLOATING);
      resource.mutable_pool()->set_image("tiny");
      resource.mutable_pool()->set_max_desktops(4);
      resource.mutable_pool()->set_vcpus(1);
      resource.mutable_pool()->set_memory_mib(1024);
      break;
    default:
      resource.mutable_entitlement()->set_pool("kantoor");
      resource.mutable_entitlement()->set_group("staff");
      break;
  }
  return resource;
}

struct BadCase {
  v1::ResourceKind kind;
  // What makes it bad.
  std::function<void(v1::Resource&)> spoil;
  // What the message begins with: the field.
  const char* field;
};

constexpr auto kSite = v1::RESOURCE_KIND_SITE;
constexpr auto kHost = v1::RESOURCE_KIND_HOST;
constexpr auto kImage = v1::RESOURCE_KIND_IMAGE;
constexpr auto kPool = v1::RESOURCE_KIND_POOL;
constexpr auto kEntitlement = v1::RESOURCE_KIND_ENTITLEMENT;
using R = v1::Resource;

const std::vector<BadCase>& BadCases() {
  static const auto& cases = *new std::vector<BadCase>{
      {kSite, [](R& r) { r.set_name(""); }, "name: "},
      {kSite, [](R& r) { r.set_name("Town Hall"); }, "name: "},
      {kSite, [](R& r) { r.mutable_site()->set_description("a\nb"); }, "site.description: "},
      {kSite, [](R& r) { r.mutable_site()->set_description(std::string(2000, 'a')); },
       "site.description: "},
      {kSite, [](R& r) { r.mutable_site()->set_max_starts_in_flight(10'001); },
       "site.max_starts_in_flight: "},
      {kHost, [](R& r) { r.mutable_host()->set_site(""); }, "host.site: "},
      {kHost,
       [](R& r) { r.mutable_host()->set_schedulability(static_cast<v1::Schedulability>(9)); },
       "host.schedulability: "},
      {kHost, [](R& r) { r.mutable_host()->set_memory_limit_mib(uint64_t{1} << 50); },
       "host.memory_limit_mib: "},
      {kHost, [](R& r) { r.mutable_host()->set_max_desktops(10'001); }, "host.max_desktops: "},
      {kHost, [](R& r) { r.mutable_host()->set_max_starts_in_flight(1'001); },
       "host.max_starts_in_flight: "},
      {kImage, [](R& r) { r.mutable_image()->set_source("tiny.qcow2"); }, "image.source: "},
      {kImage, [](R& r) { r.mutable_image()->set_source("http://x/tiny"); }, "image.source: "},
      {kImage, [](R& r) { r.mutable_image()->set_sha256("abc"); }, "image.sha256: "},
      {kImage, [](R& r) { r.mutable_image()->set_sha256(std::string(64, 'A')); }, "image.sha256: "},
      {kImage, [](R& r) { r.mutable_image()->set_format("vmdk"); }, "image.format: "},
      {kImage, [](R& r) { r.mutable_image()->set_kernel("vmlinuz"); }, "image.kernel: "},
      {kImage, [](R& r) { r.mutable_image()->set_initrd("/initrd"); }, "image.initrd: "},
      {kImage, [](R& r) { r.mutable_image()->set_kernel_arguments("quiet"); },
       "image.kernel_arguments: "},
      {kPool, [](R& r) { r.set_name(std::string(55, 'a')); }, "name: "},
      {kPool, [](R& r) { r.mutable_pool()->clear_kind(); }, "pool.kind: "},
      {kPool, [](R& r) { r.mutable_pool()->set_image(""); }, "pool.image: "},
      {kPool, [](R& r) { r.mutable_pool()->set_max_desktops(0); }, "pool.max_desktops: "},
      {kPool, [](R& r) { r.mutable_pool()->set_max_desktops(100'001); }, "pool.max_desktops: "},
      {kPool, [](R& r) { r.mutable_pool()->set_min_desktops(5); }, "pool.min_desktops: "},
      {kPool, [](R& r) { r.mutable_pool()->set_running_spares(5); }, "pool.running_spares: "},
      {kPool, [](R& r) { r.mutable_pool()->set_vcpus(0); }, "pool.vcpus: "},
      {kPool, [](R& r) { r.mutable_pool()->set_vcpus(257); }, "pool.vcpus: "},
      {kPool, [](R& r) { r.mutable_pool()->set_memory_mib(15); }, "pool.memory_mib: "},
      {kPool, [](R& r) { r.mutable_pool()->set_queue_deadline_s(86'401); },
       "pool.queue_deadline_s: "},
      {kPool, [](R& r) { r.mutable_pool()->set_queue_limit(100'001); }, "pool.queue_limit: "},
      {kPool, [](R& r) { r.mutable_pool()->set_start_deadline_s(3'601); },
       "pool.start_deadline_s: "},
      {kPool, [](R& r) { r.mutable_pool()->set_max_failures(101); }, "pool.max_failures: "},
      {kPool, [](R& r) { r.mutable_pool()->set_breaker_failures(1'001); },
       "pool.breaker_failures: "},
      {kPool,
       [](R& r) { r.mutable_pool()->set_schedulability(static_cast<v1::Schedulability>(7)); },
       "pool.schedulability: "},
      {kPool,
       [](R& r) {
         r.mutable_pool()->mutable_disconnect()->set_suspend_after_s(60);
         r.mutable_pool()->mutable_disconnect()->set_end_after_s(60);
       },
       "pool.disconnect.suspend_after_s: "},
      {kPool, [](R& r) { r.mutable_pool()->add_sites("B!"); }, "pool.sites: "},
      {kPool, [](R& r) { r.mutable_pool()->set_fencing(static_cast<v1::Fencing>(9)); },
       "pool.fencing: "},
      {kPool, [](R& r) { r.mutable_pool()->set_storage("/mnt/san"); }, "pool.storage: "},
      {kPool, [](R& r) { r.mutable_pool()->set_network("br0:1"); }, "pool.network: "},
      {kPool, [](R& r) { r.mutable_pool()->set_home_site("B!"); }, "pool.home_site: "},
      {kPool, [](R& r) { r.mutable_pool()->set_home_site_rule(v1::HOME_SITE_RULE_REQUIRED); },
       "pool.home_site_rule: "},
      {kEntitlement, [](R& r) { r.mutable_entitlement()->set_home_site("B!"); },
       "entitlement.home_site: "},
      {kEntitlement,
       [](R& r) { r.mutable_entitlement()->set_home_site_rule(v1::HOME_SITE_RULE_REQUIRED); },
       "entitlement.home_site_rule: "},
      {kPool,
       [](R& r) {
         r.mutable_pool()->add_sites("a");
         r.mutable_pool()->add_sites("a");
       },
       "pool.sites: "},
      {kEntitlement, [](R& r) { r.mutable_entitlement()->set_pool(""); }, "entitlement.pool: "},
      {kEntitlement, [](R& r) { r.mutable_entitlement()->set_user("jan"); }, "entitlement: "},
      {kEntitlement, [](R& r) { r.mutable_entitlement()->clear_group(); }, "entitlement: "},
      {kEntitlement,
       [](R& r) {
         r.mutable_entitlement()->clear_group();
         r.mutable_entitlement()->set_user("j*");
       },
       "entitlement.user: "},
      {kEntitlement, [](R& r) { r.mutable_entitlement()->set_group("a\tb"); },
       "entitlement.group: "},
  };
  return cases;
}

TEST(ValidateTest, GoodResourcesPass) {
  for (const auto kind : {kSite, kHost, kImage, kPool, kEntitlement}) {
    EXPECT_TRUE(ValidateResource(Good(kind)).ok()) << ValidateResource(Good(kind));
  }
}

TEST(ValidateTest, EachBadFieldIsNamed) {
  for (const BadCase& bad : BadCases()) {
    R resource = Good(bad.kind);
    bad.spoil(resource);
    const absl::Status status = ValidateResource(resource);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << resource.ShortDebugString();
    EXPECT_EQ(std::string(status.message()).rfind(bad.field, 0), 0u)
        << status << " does not begin with " << bad.field;
  }
}

TEST(ValidateTest, DedicatedPoolsFencingAndStorageAreGood) {
  R pool = Good(kPool);
  pool.mutable_pool()->set_kind(v1::POOL_KIND_DEDICATED);
  pool.mutable_pool()->set_fencing(v1::FENCING_REQUIRED);
  pool.mutable_pool()->set_storage("san");
  EXPECT_TRUE(ValidateResource(pool).ok()) << ValidateResource(pool);
}

TEST(ValidateTest, AResourceOfNoKind) {
  R resource;
  resource.set_name("x");
  EXPECT_THAT(std::string(ValidateResource(resource).message()), HasSubstr("kind: "));
}

class ReferencesTest : public testing::Test {
 protected:
  void Put(v1::ResourceKind kind, const std::string& name, R resource) {
    resource.set_name(name);
    ResourceTable(fleet_, kind)->Put(name, std::make_shared<const R>(std::move(resource)));
  }
  void PutDesktop(const std::string& id, v1::DesktopState state) {
    v1::Desktop desktop;
    desktop.set_id(id);
    desktop.set_pool("kantoor");
    desktop.set_host("hv-a1");
    desktop.set_state(state);
    fleet_.desktops.Put(id, std::make_shared<const v1::Desktop>(desktop));
  }
  Fleet fleet_;
};

TEST_F(ReferencesTest, WhatIsNamedMustBeThere) {
  EXPECT_EQ(ValidateReferences(fleet_, Good(kHost)).message(),
            "host.site: there is no site \"a\"; create it first");
  EXPECT_EQ(ValidateReferences(fleet_, Good(kPool)).message(),
            "pool.image: there is no image \"tiny\"; create it first");
  EXPECT_EQ(ValidateReferences(fleet_, Good(kEntitlement)).message(),
            "entitlement.pool: there is no pool \"kantoor\"; create it first");
  Put(kSite, "a", Good(kSite));
  Put(kImage, "tiny", Good(kImage));
  EXPECT_TRUE(ValidateReferences(fleet_, Good(kHost)).ok());
  R pool = Good(kPool);
  EXPECT_TRUE(ValidateReferences(fleet_, pool).ok());
  pool.mutable_pool()->add_sites("b");
  EXPECT_EQ(ValidateReferences(fleet_, pool).message(),
            "pool.sites: there is no site \"b\"; create it first");
  R homed = Good(kPool);
  homed.mutable_pool()->set_home_site("b");
  EXPECT_EQ(ValidateReferences(fleet_, homed).message(),
            "pool.home_site: there is no site \"b\"; create it first");
  homed.mutable_pool()->set_home_site("a");
  EXPECT_TRUE(ValidateReferences(fleet_, homed).ok());
  Put(kPool, "kantoor", Good(kPool));
  EXPECT_TRUE(ValidateReferences(fleet_, Good(kEntitlement)).ok());
}

TEST_F(ReferencesTest, TheHomeOfAnEntitlementIsASiteOfItsPool) {
  Put(kSite, "a", Good(kSite));
  Put(kSite, "b", Good(kSite));
  R pool = Good(kPool);
  Put(kPool, "kantoor", pool);
  R entitlement = Good(kEntitlement);
  entitlement.mutable_entitlement()->set_home_site("c");
  EXPECT_EQ(ValidateReferences(fleet_, entitlement).message(),
            "entitlement.home_site: there is no site \"c\"; create it first");
  entitlement.mutable_entitlement()->set_home_site("b");
  EXPECT_TRUE(ValidateReferences(fleet_, entitlement).ok());
  pool.mutable_pool()->add_sites("a");
  Put(kPool, "kantoor", pool);
  EXPECT_EQ(
      ValidateReferences(fleet_, entitlement).message(),
      "entitlement.home_site: site \"b\" is not one of pool.sites of pool \"kantoor\"; add it "
      "there, or name another");
  Put(kEntitlement, "kantoor-noord", entitlement);
  EXPECT_FALSE(ValidateDelete(fleet_, kSite, "b", false).ok());
}

TEST_F(ReferencesTest, TheSitesOfAPoolHoldItsOwnHomeAndThoseOfItsPeople) {
  Put(kSite, "a", Good(kSite));
  Put(kSite, "b", Good(kSite));
  Put(kImage, "tiny", Good(kImage));
  R pool = Good(kPool);
  pool.set_name("kantoor");
  pool.mutable_pool()->set_home_site("b");
  EXPECT_TRUE(ValidateReferences(fleet_, pool).ok());
  pool.mutable_pool()->add_sites("a");
  EXPECT_EQ(ValidateReferences(fleet_, pool).message(),
            "pool.home_site: site \"b\" is not one of pool.sites; add it there, or name another");
  pool.mutable_pool()->add_sites("b");
  EXPECT_TRUE(ValidateReferences(fleet_, pool).ok());
  R entitlement = Good(kEntitlement);
  entitlement.mutable_entitlement()->set_home_site("b");
  Put(kEntitlement, "kantoor-noord", entitlement);
  EXPECT_TRUE(ValidateReferences(fleet_, pool).ok());
  pool.mutable_pool()->set_home_site("a");
  pool.mutable_pool()->mutable_sites()->RemoveLast();
  const absl::Status status = ValidateReferences(fleet_, pool);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(),
            "pool.sites: site \"b\" is the home site of entitlement \"kantoor-noord\"; leave it "
            "in, or give that another home first");
  // Another pool's people are not asked.
  pool.set_name("balie");
  EXPECT_TRUE(ValidateReferences(fleet_, pool).ok());
}

TEST_F(ReferencesTest, AHostThatADesktopIsMovingToIsNotDeleted) {
  Put(kSite, "a", Good(kSite));
  Put(kHost, "hv-a1", Good(kHost));
  Put(kHost, "hv-a2", Good(kHost));
  PutDesktop("kantoor-1", v1::DESKTOP_STATE_READY);
  EXPECT_TRUE(ValidateDelete(fleet_, kHost, "hv-a2", true).ok());
  v1::Desktop moving = *fleet_.desktops.Find("kantoor-1");
  moving.set_moving_to("hv-a2");
  fleet_.desktops.Put("kantoor-1", std::make_shared<const v1::Desktop>(moving));
  EXPECT_THAT(std::string(ValidateDelete(fleet_, kHost, "hv-a2", true).message()),
              HasSubstr("\"kantoor-1\" is being moved to host \"hv-a2\""));
}

TEST_F(ReferencesTest, AHostWithDesktopsDoesNotMove) {
  Put(kSite, "a", Good(kSite));
  Put(kSite, "b", Good(kSite));
  Put(kHost, "hv-a1", Good(kHost));
  PutDesktop("kantoor-1", v1::DESKTOP_STATE_READY);
  R moved = Good(kHost);
  moved.set_name("hv-a1");
  EXPECT_TRUE(ValidateReferences(fleet_, moved).ok());
  moved.mutable_host()->set_site("b");
  EXPECT_THAT(std::string(ValidateReferences(fleet_, moved).message()), HasSubstr("kantoor-1"));
}

TEST_F(ReferencesTest, WhatDesktopsStandOnDoesNotChangeUnderThem) {
  Put(kImage, "tiny", Good(kImage));
  Put(kPool, "kantoor", Good(kPool));
  R changed = Good(kPool);
  changed.set_name("kantoor");
  changed.mutable_pool()->set_storage("san");
  EXPECT_TRUE(ValidateReferences(fleet_, changed).ok());
  PutDesktop("kantoor-1", v1::DESKTOP_STATE_READY);
  EXPECT_THAT(std::string(ValidateReferences(fleet_, changed).message()),
              HasSubstr("pool.storage: desktop \"kantoor-1\""));
  changed.mutable_pool()->clear_storage();
  EXPECT_TRUE(ValidateReferences(fleet_, changed).ok());
  changed.mutable_pool()->set_fencing(v1::FENCING_REQUIRED);
  EXPECT_THAT(std::string(ValidateReferences(fleet_, changed).message()),
              HasSubstr("pool.fencing: desktop \"kantoor-1\""));
  changed.mutable_pool()->clear_fencing();
  changed.mutable_pool()->set_kind(v1::POOL_KIND_DEDICATED);
  EXPECT_THAT(std::string(ValidateReferences(fleet_, changed).message()), HasSubstr("pool.kind: "));
}

TEST_F(ReferencesTest, NothingGoesFromUnderAKeptDesktop) {
  Put(kHost, "hv-a1", Good(kHost));
  Put(kImage, "old", Good(kImage));
  R pool = Good(kPool);
  pool.mutable_pool()->set_kind(v1::POOL_KIND_DEDICATED);
  Put(kPool, "kantoor", pool);
  v1::Desktop kept;
  kept.set_id("kantoor-1");
  kept.set_pool("kantoor");
  kept.set_host("hv-a1");
  kept.set_image("old");
  kept.set_owner("jan");
  kept.set_generation(3);
  kept.set_fenced_generation(3);
  kept.mutable_proof()->set_generation(1);
  for (const auto state : {v1::DESKTOP_STATE_LOST, v1::DESKTOP_STATE_OFF}) {
    kept.set_state(state);
    fleet_.desktops.Put(kept.id(), std::make_shared<const v1::Desktop>(kept));
    EXPECT_THAT(std::string(ValidateDelete(fleet_, kHost, "hv-a1", true).message()),
                HasSubstr("which jan keeps"));
    EXPECT_THAT(std::string(ValidateDelete(fleet_, kPool, "kantoor", false).message()),
                HasSubstr("desktop delete"));
    EXPECT_EQ(ValidateDelete(fleet_, kImage, "old", false).message(),
              "image \"old\" is used by desktop \"kantoor-1\"");
  }
  // Off for sure, and in shared storage: it needs no host.
  pool.mutable_pool()->set_storage("san");
  Put(kPool, "kantoor", pool);
  EXPECT_TRUE(ValidateDelete(fleet_, kHost, "hv-a1", false).ok());
  kept.set_generation(4);
  fleet_.desktops.Put(kept.id(), std::make_shared<const v1::Desktop>(kept));
  EXPECT_FALSE(ValidateDelete(fleet_, kHost, "hv-a1", false).ok());
}

TEST_F(ReferencesTest, AHomeSiteIsNotDeleted) {
  Put(kSite, "a", Good(kSite));
  R pool = Good(kPool);
  pool.mutable_pool()->set_home_site("a");
  Put(kPool, "kantoor", pool);
  EXPECT_FALSE(ValidateDelete(fleet_, kSite, "a", false).ok());
}

TEST_F(ReferencesTest, WhatIsUsedIsNotDeleted) {
  Put(kSite, "a", Good(kSite));
  Put(kSite, "b", Good(kSite));
  Put(kHost, "hv-a1", Good(kHost));
  Put(kImage, "tiny", Good(kImage));
  R pool = Good(kPool);
  pool.mutable_pool()->add_sites("b");
  Put(kPool, "kantoor", pool);
  Put(kEntitlement, "kantoor-staff", Good(kEntitlement));
  PutDesktop("kantoor-1", v1::DESKTOP_STATE_READY);
  EXPECT_EQ(ValidateDelete(fleet_, kSite, "a", false).message(),
            "site \"a\" is used by host \"hv-a1\"");
  EXPECT_EQ(ValidateDelete(fleet_, kSite, "b", false).message(),
            "site \"b\" is used by pool \"kantoor\"");
  EXPECT_EQ(ValidateDelete(fleet_, kImage, "tiny", false).message(),
            "image \"tiny\" is used by pool \"kantoor\"");
  EXPECT_EQ(ValidateDelete(fleet_, kPool, "kantoor", false).message(),
            "pool \"kantoor\" is used by entitlement \"kantoor-staff\"");
  fleet_.entitlements.Erase("kantoor-staff");
  EXPECT_THAT(std::string(ValidateDelete(fleet_, kPool, "kantoor", false).message()),
              HasSubstr("still has desktop \"kantoor-1\""));
  EXPECT_THAT(std::string(ValidateDelete(fleet_, kHost, "hv-a1", true).message()),
              HasSubstr("still has desktop \"kantoor-1\""));
  EXPECT_TRUE(ValidateDelete(fleet_, kEntitlement, "kantoor-staff", false).ok());
}

TEST_F(ReferencesTest, ADeadHostCanBeDeletedWithWhatItLeftBehind) {
  Put(kHost, "hv-a1", Good(kHost));
  PutDesktop("kantoor-1", v1::DESKTOP_STATE_LOST);
  PutDesktop("kantoor-2", v1::DESKTOP_STATE_STOPPING);
  EXPECT_FALSE(ValidateDelete(fleet_, kHost, "hv-a1", false).ok());
  EXPECT_TRUE(ValidateDelete(fleet_, kHost, "hv-a1", true).ok());
}

}  // namespace
}  // namespace werkplek
