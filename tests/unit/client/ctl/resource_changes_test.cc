#include "client/ctl/resource_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/ctl/resource_schema.h"

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(DescribeChanges, NamesEveryFieldThatDiffers) {
  v1::Resource before = NewResource(v1::RESOURCE_KIND_POOL, "kantoor");
  before.set_version(3);
  before.mutable_pool()->set_max_desktops(4);
  before.mutable_pool()->set_description("Kantoor");
  before.mutable_pool()->set_schedulability(v1::SCHEDULABILITY_MAINTENANCE);
  v1::Resource after = before;
  after.set_version(0);
  EXPECT_THAT(DescribeChanges(before, after), IsEmpty());
  after.mutable_pool()->set_max_desktops(8);
  after.mutable_pool()->clear_description();
  after.mutable_pool()->add_sites("a");
  after.mutable_pool()->add_sites("b");
  after.mutable_pool()->mutable_disconnect()->set_end_after_s(60);
  after.mutable_pool()->set_schedulability(v1::SCHEDULABILITY_OPEN);
  EXPECT_THAT(DescribeChanges(before, after),
              ElementsAre("description Kantoor -> none", "max_desktops 4 -> 8",
                          "disconnect.end_after_s 0 -> 60", "schedulability maintenance -> open",
                          "sites none -> a,b"));
}

TEST(CopySchedulability, LeavesTheRestAlone) {
  v1::Resource drained = NewResource(v1::RESOURCE_KIND_HOST, "hv-a1");
  drained.mutable_host()->set_schedulability(v1::SCHEDULABILITY_DRAINING);
  drained.mutable_host()->set_max_desktops(4);
  v1::Resource wanted = NewResource(v1::RESOURCE_KIND_HOST, "hv-a1");
  CopySchedulability(drained, wanted);
  EXPECT_EQ(wanted.host().schedulability(), v1::SCHEDULABILITY_DRAINING);
  EXPECT_EQ(wanted.host().max_desktops(), 0);
  // An image has none.
  v1::Resource image = NewResource(v1::RESOURCE_KIND_IMAGE, "tiny");
  const std::string before = image.SerializeAsString();
  CopySchedulability(NewResource(v1::RESOURCE_KIND_IMAGE, "tiny"), image);
  EXPECT_EQ(image.SerializeAsString(), before);
}

}  // namespace
}  // namespace werkplek
