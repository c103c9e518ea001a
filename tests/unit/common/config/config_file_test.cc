#include "common/config/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

enum class Policy { kAlways, kNever };

struct Values {
  std::string name = "default";
  bool on = false;
  absl::Duration wait = absl::Seconds(1);
  uint64_t size = 1;
  uint16_t count = 7;
  Policy policy = Policy::kAlways;
  std::vector<std::string> names;
  std::string address;
  std::vector<std::string> networks;
  std::string inner;
  std::vector<std::string> sites;
};

// Reads every kind of field, as a program would.
std::string Read(const std::string& text, Values& values) {
  const auto file = ConfigFile::Parse("x.yaml", text);
  ConfigSection root = file->Root();
  root.Text("name", &values.name, {.required = true, .max_bytes = 8});
  root.Boolean("on", &values.on);
  root.Duration("wait", &values.wait, {.min = absl::Seconds(1), .max = absl::Minutes(1)});
  root.Size("size", &values.size, {.max = 1024});
  root.Number("count", &values.count, {.min = 1});
  root.Choice("policy", &values.policy, {{"always", Policy::kAlways}, {"never", Policy::kNever}});
  root.TextList("names", &values.names, {.max_items = 2});
  root.Address("address", &values.address);
  root.NetworkList("networks", &values.networks);
  root.Section("section").Text("inner", &values.inner, {.required = true});
  for (ConfigSection& section : root.Sections("list")) {
    std::string name;
    if (section.Text("name", &name, {.required = true})) values.sites.push_back(name);
  }
  for (auto& [name, section] : root.NamedSections("sites", [](const std::string& n) {
         return n == "bad" ? absl::InvalidArgumentError("not a site") : absl::OkStatus();
       })) {
    int64_t ignored = 0;
    section.Number("hosts", &ignored);
    values.sites.push_back(name);
  }
  return std::string(file->Finish().message());
}

std::string Complaints(const std::string& text) {
  Values values;
  return Read(text, values);
}

TEST(ConfigFileTest, EveryKindIsRead) {
  Values values;
  EXPECT_EQ(
      Read("name: jan\non: true\nwait: 30s\nsize: 1KiB\ncount: 9\npolicy: never\n"
           "names: [a, b]\naddress: 127.0.0.1:80\nnetworks: [10.0.0.0/8]\n"
           "section:\n  inner: yes\nlist:\n  - name: a\n  - name: b\nsites:\n  c: {hosts: 1}\n",
           values),
      "");
  EXPECT_EQ(values.name, "jan");
  EXPECT_TRUE(values.on);
  EXPECT_EQ(values.wait, absl::Seconds(30));
  EXPECT_EQ(values.size, 1024u);
  EXPECT_EQ(values.count, 9);
  EXPECT_EQ(values.policy, Policy::kNever);
  EXPECT_THAT(values.names, ElementsAre("a", "b"));
  EXPECT_EQ(values.address, "127.0.0.1:80");
  EXPECT_THAT(values.networks, ElementsAre("10.0.0.0/8"));
  EXPECT_EQ(values.inner, "yes");
  EXPECT_THAT(values.sites, ElementsAre("a", "b", "c"));
}

TEST(ConfigFileTest, WhatIsNotSetKeepsItsDefault) {
  Values values;
  EXPECT_EQ(Read("name: jan\n", values), "");
  EXPECT_EQ(values.wait, absl::Seconds(1));
  EXPECT_EQ(values.count, 7);
}

TEST(ConfigFileTest, EachMistakeNamesFileLineFieldAndRemedy) {
  const std::pair<const char*, const char*> bad[] = {
      {"on: true\n", "x.yaml:1: name: missing; it must be set"},
      {"name: jan\n\nnaam: x\n", "x.yaml:3: naam: unknown key; did you mean \"name\"?"},
      {"name: jan\nzzzzzzzz: x\n",
       "x.yaml:2: zzzzzzzz: unknown key; remove it; known here: address"},
      {"name:\n", "x.yaml:1: name: has no value"},
      {"name: [a]\n", "x.yaml:1: name: must be a text, not a list"},
      {"name: \"\"\n", "x.yaml:1: name: must not be empty"},
      {"name: abcdefghi\n", "x.yaml:1: name: longer than 8 bytes"},
      {"name: a\non: yes\n", "x.yaml:2: on: \"yes\": must be true or false"},
      {"name: a\non: \"true\"\n", "without quotes"},
      {"name: a\nwait: 30\n", "x.yaml:2: wait: \"30\": a duration without a unit"},
      {"name: a\nwait: 10ms\n", "x.yaml:2: wait: 10ms is too short; at least 1s"},
      {"name: a\nwait: 2h\n", "x.yaml:2: wait: 2h is too long; at most 1m"},
      {"name: a\nwait: {}\n", "x.yaml:2: wait: must be a duration such as 30s, not a map"},
      {"name: a\nsize: 64KB\n", "x.yaml:2: size: \"64KB\": not a size"},
      {"name: a\nsize: 2KiB\n", "x.yaml:2: size: 2KiB: must be 0 to 1024 bytes"},
      {"name: a\ncount: 0\n", "x.yaml:2: count: 0: must be 1 to 65535"},
      {"name: a\ncount: 65536\n", "x.yaml:2: count: 65536: must be 1 to 65535"},
      {"name: a\ncount: 0x10\n", "x.yaml:2: count: \"0x10\": must be a whole number"},
      {"name: a\ncount: 1.5\n", "must be a whole number"},
      {"name: a\ncount: \"5\"\n", "must be a whole number, without quotes"},
      {"name: a\ncount: 99999999999999999999\n", "must be a whole number"},
      {"name: a\npolicy: maybe\n", "x.yaml:2: policy: \"maybe\": must be one of always, never"},
      {"name: a\nnames: x\n", "x.yaml:2: names: must be a list, not a text"},
      {"name: a\nnames: [a, b, c]\n", "x.yaml:2: names: has 3 items; must have 0 to 2"},
      {"name: a\nnames:\n- a\n- a\n", "x.yaml:4: names[1]: \"a\": is there twice"},
      {"name: a\nnames:\n- a\n- {}\n", "x.yaml:4: names[1]: must be a text, not a map"},
      {"name: a\naddress: x\n", "x.yaml:2: address: \"x\": not ADDRESS:PORT"},
      {"name: a\nnetworks: [10.0.0.1/8]\n", "the address has bits below /8"},
      {"name: a\nsection: 5\n", "x.yaml:2: section: must be a map, not a text"},
      {"name: a\nsection:\n  inne: x\n", "x.yaml:3: section.inne: unknown key; did you mean"},
      {"name: a\nsection: {}\n", "x.yaml:2: section.inner: missing"},
      {"name: a\nlist: {a: 1}\n", "x.yaml:2: list: must be a list, not a map"},
      {"name: a\nlist:\n- x\n", "x.yaml:3: list[0]: must be a map, not a text"},
      {"name: a\nlist:\n- {}\n", "x.yaml:3: list[0].name: missing"},
      {"name: a\nsites:\n  bad: {}\n", "x.yaml:3: sites.bad: not a site"},
      {"name: a\nsites:\n  ok: {host: 1}\n", "x.yaml:3: sites.ok.host: unknown key; did you mean"},
  };
  for (const auto& [text, message] : bad) {
    EXPECT_THAT(Complaints(text), HasSubstr(message)) << text;
  }
}

TEST(ConfigFileTest, AllMistakesAreToldInTheOrderOfTheFile) {
  EXPECT_EQ(
      Complaints("wait: 1\nsizee: 1\ncount: x\n"),
      "x.yaml:1: name: missing; it must be set\n"
      "x.yaml:1: wait: \"1\": a duration without a unit; write a whole number with a unit, as "
      "in 250ms, 30s, 5m, 12h or 30d\n"
      "x.yaml:2: sizee: unknown key; did you mean \"size\"?\n"
      "x.yaml:3: count: \"x\": must be a whole number, without quotes");
}

TEST(ConfigFileTest, ABadFormIsTheOnlyComplaint) {
  EXPECT_EQ(Complaints("a: 1\na: 2\n"), "x.yaml:2: \"a\" is set twice, first on line 1; keep one");
}

TEST(ConfigFileTest, EndlessComplaintsAreCut) {
  std::string text = "name: a\n";
  for (int i = 0; i < 500; ++i) text += "unknown" + std::to_string(i) + ": 1\n";
  const std::string complaints = Complaints(text);
  EXPECT_LE(std::count(complaints.begin(), complaints.end(), '\n'), 50);
  EXPECT_THAT(complaints, HasSubstr("and 450 more"));
}

TEST(ConfigFileTest, ControlBytesOfAKeyDoNotReachTheTerminal) {
  EXPECT_THAT(Complaints("name: a\n\"\\e[31m\": 1\n"), Not(HasSubstr("\x1b")));
}

class ConfigPathsTest : public testing::Test {
 protected:
  ConfigPathsTest() {
    char pattern[] = "/tmp/werkplek-config-XXXXXX";
    folder_ = mkdtemp(pattern);
  }
  ~ConfigPathsTest() override { std::filesystem::remove_all(folder_); }
  void Write(const std::string& name, const std::string& text, int mode = 0600) {
    std::ofstream(folder_ + "/" + name) << text;
    chmod((folder_ + "/" + name).c_str(), mode_t(mode));
  }
  // The complaints after reading `secret` and `file` of the configuration.
  std::string ReadPaths(const std::string& text) {
    Write("c.yaml", text);
    const auto file = ConfigFile::Load(folder_ + "/c.yaml");
    ConfigSection root = file->Root();
    root.SecretFile("secret", &secret_, false, 16);
    root.ExistingFile("file", &file_);
    root.Path("data", &data_);
    return std::string(file->Finish().message());
  }

  std::string folder_;
  Secret secret_;
  std::string file_;
  std::string data_;
};

TEST_F(ConfigPathsTest, PathsStartAtTheFilesFolder) {
  Write("s", "hush\n");
  EXPECT_EQ(ReadPaths("secret: s\nfile: c.yaml\ndata: /abs\n"), "");
  EXPECT_EQ(secret_.Reveal(), "hush");
  EXPECT_EQ(file_, folder_ + "/c.yaml");
  EXPECT_EQ(data_, "/abs");
}

TEST_F(ConfigPathsTest, BadFilesAreNamed) {
  Write("open", "hush", 0644);
  Write("long", std::string(17, 'x'));
  Write("empty", "\n");
  EXPECT_THAT(ReadPaths("secret: open\n"),
              HasSubstr("c.yaml:1: secret: " + folder_ + "/open: a secret that others can reach"));
  EXPECT_THAT(ReadPaths("secret: open\n"), HasSubstr("chmod 0600"));
  EXPECT_THAT(ReadPaths("secret: none\n"), HasSubstr("is not there"));
  EXPECT_THAT(ReadPaths("secret: long\n"), HasSubstr("larger than 16 bytes"));
  EXPECT_THAT(ReadPaths("secret: empty\n"), HasSubstr("is empty"));
  EXPECT_THAT(ReadPaths("file: .\n"), HasSubstr("is not a file"));
  EXPECT_THAT(std::string(ConfigFile::Load(folder_ + "/no.yaml")->Finish().message()),
              HasSubstr(folder_ + "/no.yaml: cannot open it: No such file or directory"));
}

}  // namespace
}  // namespace werkplek
