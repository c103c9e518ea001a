#include "client/ctl/resource_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "client/api/exit_code.h"
#include "client/api/message_text.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

TEST(ResourceFile, ReadsWhatYamlOutputPrints) {
  v1::Resource resource;
  resource.set_name("kantoor");
  resource.set_version(7);
  v1::Pool* pool = resource.mutable_pool();
  pool->set_description("a: \"b\" # c\nd\\");
  pool->set_kind(v1::POOL_KIND_FLOATING);
  pool->set_memory_mib(4096);
  pool->mutable_disconnect()->set_end_after_s(60);
  pool->add_sites("a");
  const auto read = ParseResources(ToYaml(resource), "x.yaml");
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 1);
  EXPECT_EQ(read->front().resource.SerializeAsString(), resource.SerializeAsString());
  // JSON is YAML.
  const auto json = ParseResources(ToJson(resource), "x.json");
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ(json->front().resource.SerializeAsString(), resource.SerializeAsString());
}

TEST(ResourceFile, TakesListsAndSeveralDocuments) {
  for (const char* text :
       {"- {name: a, site: {}}\n- {name: b, site: {}}\n",
        "resources:\n- {name: a, site: {}}\n- {name: b, site: {}}\nmore: false\n",
        "name: a\nsite: {}\n---\nname: b\nsite:\n---\n"}) {
    const auto read = ParseResources(text, "x.yaml");
    ASSERT_TRUE(read.ok()) << text << read.status();
    ASSERT_EQ(read->size(), 2) << text;
    EXPECT_TRUE(read->at(1).resource.has_site());
    EXPECT_EQ(read->at(1).resource.name(), "b");
  }
}

TEST(ResourceFile, TakesWhatTheImageBuildersWrite) {
  const auto read = ParseResources(
      "# The tiny guest.\nname: tiny\nimage:\n  source: /srv/images/tiny/disk.qcow2\n"
      "  size_bytes: 589824\n  format: qcow2\n  kernel: /srv/images/tiny/vmlinuz\n"
      "  kernel_arguments: quiet root=/dev/vda console=tty0\n  guest_agent: true\n",
      "image.yaml");
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 1u);
  EXPECT_EQ(read->front().resource.name(), "tiny");
  EXPECT_EQ(read->front().resource.image().size_bytes(), 589824u);
  EXPECT_EQ(read->front().resource.image().kernel_arguments(), "quiet root=/dev/vda console=tty0");
  EXPECT_TRUE(read->front().resource.image().guest_agent());
}

TEST(ResourceFile, TellsWhetherTheFileSaysIfNewWorkMayCome) {
  const auto read = ParseResources(
      "- {name: a, host: {site: x}}\n"
      "- {name: b, host: {site: x, schedulability: open}}\n"
      "- {name: c, site: }\n"
      "- {name: d, image: {format: raw}}\n",
      "x.yaml");
  ASSERT_TRUE(read.ok()) << read.status();
  std::vector<bool> says;
  for (const ResourceFromFile& one : *read) says.push_back(one.says_schedulability);
  EXPECT_EQ(says, (std::vector<bool>{false, true, false, false}));
}

TEST(ResourceFile, AReportIsNoDeclaration) {
  const absl::Status status = ParseResources("more: false\nhosts: []\n", "x.yaml").status();
  EXPECT_EQ(ExitCodeFor(status), ExitCode::kUsage);
  EXPECT_THAT(std::string(status.message()), HasSubstr("x.yaml:2: "));
  EXPECT_THAT(std::string(status.message()), HasSubstr("werkplekctl host get -o yaml"));
}

TEST(ResourceFile, SaysFileLineAndField) {
  for (const auto& [text, complaint] : {
           std::pair{"name: a\npool:\n  memory_mb: 4\n",
                     "x.yaml:3: resource.pool has no field \"memory_mb\"; it has "},
           {"name: a\npool:\n  vcpus: many\n", "x.yaml:3: resource.pool.vcpus must be a whole"},
           {"name: a\npool:\n  kind: cloudy\n",
            "x.yaml:3: resource.pool.kind must be one of floating, dedicated"},
           {"name: a\npool:\n  sites: b\n", "x.yaml:3: resource.pool.sites must be a list"},
           {"name: a\npool:\n  vcpus: [1]\n", "x.yaml:3: resource.pool.vcpus must be one value"},
           {"name: a\npool: 5\n", "x.yaml:2: resource.pool must be a map of fields"},
           {"name: a\npool:\n  vcpus: 1\n  vcpus: 2\n", "vcpus stands here twice"},
           {"site: {}\n", "x.yaml:1: the resource has no name"},
           {"name: a\n", "x.yaml:1: \"a\" has no kind"},
           {"", "x.yaml: there is no resource in it"},
           {"# only words\n", "x.yaml: there is no resource in it"},
           {"name: a\n\tsite: {}\n", "x.yaml:2: "},
           {"name: [a\n", "x.yaml:"},
           {"[[[[[[[[[[[[]]]]]]]]]]]]", "x.yaml:1: resource must be a map"},
           {"just words\n", "x.yaml:1: resource must be a map"},
       }) {
    const absl::Status status = ParseResources(text, "x.yaml").status();
    EXPECT_EQ(ExitCodeFor(status), ExitCode::kUsage) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(complaint)) << text;
  }
}

TEST(ResourceFile, AMissingFileIsALocalProblem) {
  std::ostringstream questions;
  Terminal terminal(0, questions);
  EXPECT_EQ(ExitCodeFor(ReadResourceFile("/nonexistent.yaml", terminal).status()),
            ExitCode::kLocal);
}

}  // namespace
}  // namespace werkplek
