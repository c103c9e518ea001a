#include "client/ctl/resource_commands.h"

#include <nlohmann/json.hpp>

#include "tests/unit/client/ctl/ctl_test.h"

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

v1::Resource Pool(uint64_t version) {
  v1::Resource resource = NewResource(v1::RESOURCE_KIND_POOL, "kantoor");
  resource.set_version(version);
  resource.mutable_pool()->set_kind(v1::POOL_KIND_FLOATING);
  resource.mutable_pool()->set_max_desktops(10);
  return resource;
}

class ResourceCommandsTest : public CtlTest {};

TEST_F(ResourceCommandsTest, CreatesFromFlags) {
  broker_.Reply("CreateResource", Pool(1));
  const Result result = Run({"pool", "create", "kantoor", "--kind", "floating", "--max-desktops",
                             "10", "--suspend-after-s=900", "--sites", "a,b", "--description", ""});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_EQ(result.out, "pool kantoor created (version 1)\n");
  const auto sent = broker_.Requests<v1::CreateResourceRequest>("CreateResource").at(0);
  EXPECT_EQ(sent.request_id().size(), 32);
  EXPECT_EQ(sent.resource().name(), "kantoor");
  EXPECT_EQ(sent.resource().pool().max_desktops(), 10);
  EXPECT_EQ(sent.resource().pool().disconnect().suspend_after_s(), 900);
  EXPECT_THAT(sent.resource().pool().sites(), ElementsAre("a", "b"));
  EXPECT_EQ(broker_.LastAuthorization(), "Bearer adm1n");
}

TEST_F(ResourceCommandsTest, CreatesManyFromAFile) {
  broker_.Reply("CreateResource", NewResource(v1::RESOURCE_KIND_SITE, "a"));
  const std::string file = File("sites.yaml", "- {name: a, site: {}}\n- {name: b, site: {}}\n");
  EXPECT_EQ(Run({"site", "create", "-f", file}).code, ExitCode::kOk);
  EXPECT_EQ(broker_.Requests<v1::CreateResourceRequest>("CreateResource").size(), 2);
  EXPECT_EQ(Run({"site", "create", "-f", "-"}, "name: c\nsite: {}\n").code, ExitCode::kOk);
  EXPECT_EQ(broker_.Requests<v1::CreateResourceRequest>("CreateResource").size(), 3);
  EXPECT_THAT(Run({"site", "create", "-f", "-"}, "name: c\nsit: {}\n").err,
              HasSubstr("standard input:2: "));
}

TEST_F(ResourceCommandsTest, RefusesAFileOfAnotherKind) {
  const std::string file = File("x.yaml", "name: a\nsite: {}\n");
  const Result result = Run({"pool", "create", "-f", file});
  EXPECT_EQ(result.code, ExitCode::kUsage);
  EXPECT_THAT(result.err, HasSubstr("a is a site, not a pool; use: werkplekctl apply -f"));
}

TEST_F(ResourceCommandsTest, NeedsANameOrAFileNotBoth) {
  EXPECT_EQ(Run({"pool", "create"}).code, ExitCode::kUsage);
  EXPECT_EQ(Run({"pool", "create", "x", "-f", "y"}).code, ExitCode::kUsage);
  EXPECT_EQ(Run({"pool", "create", "-f", "y", "--vcpus", "2"}).code, ExitCode::kUsage);
}

TEST_F(ResourceCommandsTest, BadValuesNameTheirFlag) {
  const Result result = Run({"pool", "create", "x", "--vcpus", "two"});
  EXPECT_EQ(result.code, ExitCode::kUsage);
  EXPECT_THAT(result.err, HasSubstr("--vcpus must be a whole number"));
  EXPECT_THAT(Run({"pool", "create", "x", "--kind", "cloudy"}).err,
              HasSubstr("--kind must be one of floating, dedicated"));
  EXPECT_TRUE(broker_.Methods().empty());
}

TEST_F(ResourceCommandsTest, GetsOneInEveryForm) {
  broker_.Reply("GetResource", Pool(4));
  EXPECT_THAT(Run({"pool", "get", "kantoor"}).out, HasSubstr("max_desktops: 10\n"));
  const auto json = nlohmann::json::parse(Run({"pool", "get", "kantoor", "-o", "json"}).out);
  EXPECT_EQ(json["pool"]["max_desktops"], 10);
  EXPECT_EQ(json["version"], "4");
  const auto sent = broker_.Requests<v1::GetResourceRequest>("GetResource").at(0);
  EXPECT_EQ(sent.kind(), v1::RESOURCE_KIND_POOL);
  EXPECT_EQ(sent.name(), "kantoor");
}

TEST_F(ResourceCommandsTest, ListsAllPages) {
  v1::ListResourcesResponse first;
  *first.add_resources() = Pool(1);
  first.set_more(true);
  v1::ListResourcesResponse second;
  *second.add_resources() = NewResource(v1::RESOURCE_KIND_POOL, "zorg");
  broker_.Once("ListResources", FakeBroker::Says(first));
  broker_.Reply("ListResources", second);
  const Result result = Run({"pool", "list"});
  EXPECT_THAT(result.out, HasSubstr("kantoor  floating"));
  EXPECT_THAT(result.out, HasSubstr("zorg"));
  const auto sent = broker_.Requests<v1::ListResourcesRequest>("ListResources");
  ASSERT_EQ(sent.size(), 2);
  EXPECT_EQ(sent[1].after(), "kantoor");
}

TEST_F(ResourceCommandsTest, APageThatLeadsNowhereEndsTheList) {
  v1::ListResourcesResponse empty;
  empty.set_more(true);
  broker_.Reply("ListResources", empty);
  EXPECT_EQ(Run({"image", "list"}).out, "There is no image yet.\n");
  EXPECT_EQ(broker_.Methods().size(), 1);
}

TEST_F(ResourceCommandsTest, UpdatesOnlyWhatIsGiven) {
  broker_.Reply("GetResource", Pool(4));
  broker_.Reply("UpdateResource", Pool(5));
  const Result result = Run({"pool", "update", "kantoor", "--running-spares", "3"});
  EXPECT_EQ(result.out, "pool kantoor updated (version 5)\n");
  const auto sent = broker_.Requests<v1::UpdateResourceRequest>("UpdateResource").at(0);
  EXPECT_EQ(sent.resource().version(), 4);
  EXPECT_EQ(sent.resource().pool().running_spares(), 3);
  EXPECT_EQ(sent.resource().pool().max_desktops(), 10);
  EXPECT_EQ(Run({"pool", "update", "kantoor"}).code, ExitCode::kUsage);
}

TEST_F(ResourceCommandsTest, ReadsAgainWhenSomeoneElseWrote) {
  broker_.Reply("GetResource", Pool(4));
  broker_.Once("UpdateResource", FakeBroker::Fails(grpc::StatusCode::ABORTED, "version"));
  broker_.Reply("UpdateResource", Pool(6));
  EXPECT_EQ(Run({"pool", "update", "kantoor", "--vcpus", "2"}).code, ExitCode::kOk);
  EXPECT_EQ(broker_.Requests<v1::GetResourceRequest>("GetResource").size(), 2);
  broker_.Always("UpdateResource", FakeBroker::Fails(grpc::StatusCode::ABORTED, "not version 3"));
  const Result result = Run({"pool", "update", "kantoor", "--vcpus", "2", "--version", "3"});
  EXPECT_EQ(result.code, ExitCode::kRefused);
  EXPECT_THAT(result.err, HasSubstr("It has changed meanwhile."));
  EXPECT_EQ(broker_.Requests<v1::UpdateResourceRequest>("UpdateResource").size(), 3);
}

TEST_F(ResourceCommandsTest, DeletesOnlyWithAConfirmation) {
  broker_.Reply("DeleteResource", v1::DeleteResourceResponse());
  EXPECT_EQ(Run({"pool", "delete", "kantoor"}).code, ExitCode::kUsage);
  EXPECT_TRUE(broker_.Methods().empty());
  EXPECT_EQ(RunAsked({"pool", "delete", "kantoor"}, {{"[y/N] ", "n\n"}}).code,
            ExitCode::kInterrupted);
  EXPECT_TRUE(broker_.Methods().empty());
  const Result asked = RunAsked({"pool", "delete", "kantoor"}, {{"[y/N] ", "y\n"}});
  EXPECT_EQ(asked.code, ExitCode::kOk);
  EXPECT_THAT(asked.out, HasSubstr("Delete pool kantoor? [y/N] "));
  EXPECT_EQ(Run({"pool", "delete", "a", "b", "--yes"}).out, "pool a deleted\npool b deleted\n");
  EXPECT_EQ(broker_.Requests<v1::DeleteResourceRequest>("DeleteResource").size(), 3);
}

TEST_F(ResourceCommandsTest, ARefusedDeleteSaysWhatTheBrokerSaid) {
  broker_.Always("DeleteResource",
                 FakeBroker::Fails(grpc::StatusCode::FAILED_PRECONDITION,
                                   "pool kantoor still has 3 desktops; drain it first"));
  const Result result = Run({"pool", "delete", "kantoor", "-y"});
  EXPECT_EQ(result.code, ExitCode::kRefused);
  EXPECT_EQ(result.err, "werkplekctl: pool kantoor still has 3 desktops; drain it first\n");
}

TEST_F(ResourceCommandsTest, OpensDrainsAndMaintains) {
  broker_.Reply("SetSchedulability", NewResource(v1::RESOURCE_KIND_HOST, "hv-a1"));
  EXPECT_EQ(Run({"host", "drain", "hv-a1"}).out, "host hv-a1 is draining\n");
  EXPECT_EQ(Run({"host", "maintenance", "hv-a1"}).code, ExitCode::kOk);
  EXPECT_EQ(Run({"host", "open", "hv-a1"}).code, ExitCode::kOk);
  EXPECT_EQ(Run({"pool", "drain", "kantoor"}).code, ExitCode::kOk);
  const auto sent = broker_.Requests<v1::SetSchedulabilityRequest>("SetSchedulability");
  ASSERT_EQ(sent.size(), 4);
  EXPECT_EQ(sent[0].schedulability(), v1::SCHEDULABILITY_DRAINING);
  EXPECT_EQ(sent[1].schedulability(), v1::SCHEDULABILITY_MAINTENANCE);
  EXPECT_EQ(sent[2].schedulability(), v1::SCHEDULABILITY_OPEN);
  EXPECT_EQ(sent[2].kind(), v1::RESOURCE_KIND_HOST);
  EXPECT_EQ(sent[3].kind(), v1::RESOURCE_KIND_POOL);
}

TEST_F(ResourceCommandsTest, AppliesInTheOrderOfReferences) {
  const std::string file = File("all.yaml",
                                "- {name: kantoor, pool: {max_desktops: 10, kind: floating}}\n"
                                "- {name: a, site: {description: x}}\n"
                                "- {name: tiny, image: {format: raw}}\n");
  broker_.Once("GetResource", FakeBroker::Fails(grpc::StatusCode::NOT_FOUND, "no"));
  v1::Resource image = NewResource(v1::RESOURCE_KIND_IMAGE, "tiny");
  image.mutable_image()->set_format("raw");
  image.set_version(2);
  broker_.Once("GetResource", FakeBroker::Says(image));
  v1::Resource pool = Pool(8);
  pool.mutable_pool()->set_max_desktops(5);
  broker_.Once("GetResource", FakeBroker::Says(pool));
  v1::Resource site = NewResource(v1::RESOURCE_KIND_SITE, "a");
  site.set_version(1);
  broker_.Reply("CreateResource", site);
  broker_.Reply("UpdateResource", Pool(9));
  const Result result = Run({"apply", "-f", file});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_EQ(result.out,
            "site a created (version 1)\n"
            "image tiny unchanged (version 2)\n"
            "pool kantoor updated: max_desktops 5 -> 10 (version 9)\n");
  const auto updates = broker_.Requests<v1::UpdateResourceRequest>("UpdateResource");
  ASSERT_EQ(updates.size(), 1);
  EXPECT_EQ(updates[0].resource().version(), 8);
  EXPECT_EQ(updates[0].resource().pool().max_desktops(), 10);
}

v1::Resource DrainedHost() {
  v1::Resource host = NewResource(v1::RESOURCE_KIND_HOST, "hv-a1");
  host.set_version(4);
  host.mutable_host()->set_site("a");
  host.mutable_host()->set_schedulability(v1::SCHEDULABILITY_MAINTENANCE);
  return host;
}

TEST_F(ResourceCommandsTest, ApplyLeavesWhatWasDrainedAsItIs) {
  broker_.Reply("GetResource", DrainedHost());
  broker_.Reply("UpdateResource", DrainedHost());
  EXPECT_EQ(Run({"apply", "-f", "-"}, "{name: hv-a1, host: {site: a}}").out,
            "host hv-a1 unchanged (version 4)\n");
  EXPECT_EQ(Run({"apply", "-f", "-"}, "{name: hv-a1, host: {site: b}}").out,
            "host hv-a1 updated: site a -> b (version 4)\n");
  const auto sent = broker_.Requests<v1::UpdateResourceRequest>("UpdateResource");
  ASSERT_EQ(sent.size(), 1);
  EXPECT_EQ(sent[0].resource().host().schedulability(), v1::SCHEDULABILITY_MAINTENANCE);
}

TEST_F(ResourceCommandsTest, ApplyOpensWhatTheFileSaysIsOpenAndTellsSo) {
  broker_.Reply("GetResource", DrainedHost());
  broker_.Reply("UpdateResource", DrainedHost());
  EXPECT_EQ(Run({"apply", "-f", "-"}, "{name: hv-a1, host: {site: a, schedulability: open}}").out,
            "host hv-a1 updated: schedulability maintenance -> open (version 4)\n");
  const auto sent = broker_.Requests<v1::UpdateResourceRequest>("UpdateResource");
  ASSERT_EQ(sent.size(), 1);
  EXPECT_EQ(sent[0].resource().host().schedulability(), v1::SCHEDULABILITY_OPEN);
}

TEST_F(ResourceCommandsTest, ADryRunOfApplyChangesNothing) {
  broker_.Once("GetResource", FakeBroker::Fails(grpc::StatusCode::NOT_FOUND, "no"));
  broker_.Reply("GetResource", DrainedHost());
  const std::string file = File("all.yaml",
                                "- {name: a, site: {}}\n"
                                "- {name: hv-a1, host: {site: b}}\n"
                                "- {name: hv-a1, version: 3, host: {site: b}}\n"
                                "- {name: hv-a1, host: {site: a}}\n");
  const Result result = Run({"apply", "--dry-run", "-f", file});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_EQ(result.out,
            "site a would be created\n"
            "host hv-a1 would be updated: site a -> b (version 4)\n"
            "host hv-a1 would be refused: it is at version 4 now (version 3)\n"
            "host hv-a1 unchanged (version 4)\n");
  EXPECT_THAT(broker_.Methods(), testing::Each("GetResource"));
}

TEST_F(ResourceCommandsTest, WhatGetPrintsAsYamlIsGoodInput) {
  v1::ListResourcesResponse all;
  *all.add_resources() = DrainedHost();
  broker_.Reply("ListResources", all);
  broker_.Reply("GetResource", DrainedHost());
  const std::string everything = Run({"host", "get", "-o", "yaml"}).out;
  EXPECT_EQ(Run({"apply", "-f", "-"}, everything).out, "host hv-a1 unchanged (version 4)\n");
  const std::string some = Run({"host", "get", "hv-a1", "hv-a2"}).out;
  EXPECT_THAT(some, HasSubstr("\n---\nname: hv-a1\n"));
  EXPECT_EQ(Run({"apply", "-f", "-"}, some).code, ExitCode::kOk);
}

TEST_F(ResourceCommandsTest, SeveralResultsAreSeveralYamlDocuments) {
  broker_.Reply("SetSchedulability", NewResource(v1::RESOURCE_KIND_HOST, "h"));
  const std::string out = Run({"host", "open", "a", "b", "-o", "yaml"}).out;
  EXPECT_THAT(out, testing::StartsWith("name: h\n"));
  EXPECT_THAT(out, HasSubstr("\n---\nname: h\n"));
}

}  // namespace
}  // namespace werkplek
