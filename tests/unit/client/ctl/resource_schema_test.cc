#include "client/ctl/resource_schema.h"

#include <gtest/gtest.h>

#include <set>

namespace werkplek {
namespace {

TEST(ResourceSchema, EveryFieldHasAFlagOfItsOwnWithHelp) {
  for (const v1::ResourceKind kind : AllKinds()) {
    std::set<std::string> names;
    for (const FieldFlag& flag : FlagsOf(kind)) {
      EXPECT_TRUE(names.insert(flag.flag).second) << flag.flag;
      EXPECT_FALSE(flag.help.empty()) << KindWord(kind) << " " << flag.flag;
      EXPECT_FALSE(flag.value_name.empty());
    }
    EXPECT_FALSE(names.empty());
  }
}

TEST(ResourceSchema, KnowsAllKindsOfTheApi) {
  // One value of the enumeration is "unspecified"; the rest are the members of Resource.
  EXPECT_EQ(AllKinds().size() + 1,
            static_cast<size_t>(v1::ResourceKind_descriptor()->value_count()));
  EXPECT_EQ(AllKinds().size(),
            static_cast<size_t>(v1::Resource::descriptor()->oneof_decl(0)->field_count()));
  for (const v1::ResourceKind kind : AllKinds()) {
    EXPECT_EQ(KindOf(NewResource(kind, "x")), kind);
  }
  EXPECT_EQ(KindOf(v1::Resource()), v1::RESOURCE_KIND_UNSPECIFIED);
}

TEST(ResourceSchema, SetsNestedAndRepeatedFields) {
  v1::Resource pool = NewResource(v1::RESOURCE_KIND_POOL, "p");
  pool.mutable_pool()->add_sites("old");
  for (const FieldFlag& flag : FlagsOf(v1::RESOURCE_KIND_POOL)) {
    if (flag.flag == "--suspend-after-s") {
      EXPECT_TRUE(ApplyFlag(flag, "900", pool).ok());
    }
    if (flag.flag == "--sites") {
      EXPECT_TRUE(ApplyFlag(flag, "a, b", pool).ok());
    }
    if (flag.flag == "--vcpus") {
      EXPECT_EQ(ApplyFlag(flag, "two", pool).message(),
                "--vcpus must be a whole number from 0 to 4294967295, not \"two\"");
    }
  }
  EXPECT_EQ(pool.pool().disconnect().suspend_after_s(), 900);
  EXPECT_EQ(pool.pool().sites_size(), 2);
}

}  // namespace
}  // namespace werkplek
