#include "broker/program/broker_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/unit/broker/program/broker_files.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

// One way to get the file wrong: `from` in the good file becomes `to`.
struct BadFile {
  const char* name;
  const char* from;
  const char* to;
  // Part of the complaint, after "broker.yaml".
  const char* complaint;
};

// A store in etcd whose files are good, before the section `tls`.
#define ETCD(rest)             \
  "store:\n  etcd:\n    " rest \
  "\n    certificate: broker.pem\n    key: broker.key\n    ca: ca.pem\ntls:\n"

const BadFile kBadFiles[] = {
    {"unknown key", "log: info", "logs: info", ":4: logs: unknown key; did you mean \"log\"?"},
    {"unknown key in a section", "  clients: ", "  client: ", ":6: listen.client: unknown key"},
    {"missing key", "name: b1\n", "", ":1: name: missing"},
    {"missing section", "roles:\n  administrator: [beheer]\n", "rollen:\n", ": roles: missing"},
    {"missing address", "  join: 127.0.0.1:7445\n", "", ":6: listen.join: missing"},
    {"name with capitals", "name: b1", "name: B1", ":2: name: \"B1\": must be 1 to 63"},
    {"organisation is a list", "Gemeente Voorbeeld", "[a]",
     ":1: organisation: must be a text, not a list"},
    {"empty value", "name: b1", "name:", ":2: name: has no value"},
    {"repeated key", "name: b1", "name: b1\nname: b2",
     ":3: \"name\" is set twice, first on line 2"},
    {"tab", "  clients:", "\tclients:", ":6: indented with a tab"},
    {"byte order mark",
     "organisation:", "\xef\xbb\xbforganisation:", ":1: begins with a byte order mark"},
    {"anchor", "name: b1", "name: &n b1", ":2: anchor &n: anchors are not accepted"},
    {"cycle", "administrator: [beheer]", "administrator: &a [*a]", ":28: anchor &a"},
    {"tag", "name: b1", "name: !!str b1", ":2: tag"},
    {"open bracket", "[beheer]", "[beheer", "not YAML"},
    {"second document", "name: b1", "name: b1\n---", "a second document"},
    {"control byte", "b1", "b\x01", ":2: holds the control byte 0x01"},
    {"not UTF-8", "Voorbeeld", "\xff", ":1: not UTF-8"},
    {"log level", "log: info", "log: loud", ":4: log: \"loud\": must be one of debug, info"},
    {"host name to listen on", "127.0.0.1:7443", "localhost:7443",
     ":6: listen.clients: \"localhost:7443\": must begin with an IP address"},
    {"no port", "127.0.0.1:7443", "127.0.0.1",
     ":6: listen.clients: \"127.0.0.1\": not ADDRESS:PORT"},
    {"port too large", ":7443", ":74430", ":6: listen.clients: \"127.0.0.1:74430\": not ADDRESS"},
    {"one port for two", "127.0.0.1:7444", "127.0.0.1:7443",
     ":7: listen.agents: 127.0.0.1:7443 is taken by clients already"},
    {"metrics for everybody", "127.0.0.1:9464", "0.0.0.0:9464",
     ":9: listen.metrics: \"0.0.0.0:9464\": metrics are served without TLS"},
    {"join url without TLS", "  metrics: 127.0.0.1:9464", "  join_url: http://b1:7445/v1/join",
     ":9: listen.join_url: \"http://b1:7445/v1/join\": must"},
    {"certificate is not there", "broker.pem", "nowhere.pem", ":11: tls.certificate: "},
    {"key is a folder", "key: broker.key", "key: .", ":12: tls.key: "},
    {"certificate of another broker", "name: b1", "name: b2",
     "broker.pem is of broker/b1, not of broker/b2"},
    {"key of another certificate", "key: broker.key", "key: ca.key",
     "does not belong to the certificate in"},
    {"not an address", "[127.0.0.1]", "[127.0.0.1/8]", ":13: tls.ip_addresses[0]:"},
    {"certificates that live too long", "30d", "91d",
     ":17: authority.certificate_lifetime: 91d is too long; at most 90d"},
    {"authority's certificate that is none", "certificate: ca.pem", "certificate: broker.pem",
     ":16: authority.key: "},
    {"sealing key is not there", "sealing.key", "seal.key", ":18: sealing_key_file: "},
    {"sealing key too short", "sealing.key", "bind.password",
     "bind.password must hold exactly 32 bytes"},
    {"sealing key that others read", "sealing.key", "open.key", "a secret that others can reach"},
    {"password in clear on the wire", "ldaps://127.0.0.1:636", "ldap://127.0.0.1:389",
     ":20: directory.servers: 'ldap://127.0.0.1:389' would send passwords in clear"},
    {"not an LDAP address", "ldaps://127.0.0.1:636", "https://x", ":20: directory.servers:"},
    {"no servers", "[\"ldaps://127.0.0.1:636\"]", "[]", ":20: directory.servers: has 0 items"},
    {"directory's authority is not there", "ldap-ca.pem", "no.pem", ":21: directory.ca_file: "},
    {"password in the file", "bind_password_file: bind.password", "bind_password: hush",
     ":23: directory.bind_password: a password must not stand here"},
    {"password file that others read", "bind_password_file: bind.password",
     "bind_password_file: open.key", "a secret that others can reach"},
    {"filter without a hole", "  group_base:", "  user_filter: (uid=x)\n  group_base:",
     ":25: directory.user_filter: must contain {user}"},
    {"directory answers too late", "answer_timeout: 4s", "answer_timeout: 30s",
     ":26: directory.answer_timeout: "},
    {"people are asked about too seldom", "answer_timeout: 4s", "recheck_every: 1h",
     ":26: directory.recheck_every: "},
    {"duration without a unit", "heartbeat: 1s", "heartbeat: 1",
     ":36: times.heartbeat: \"1\": a duration without a unit"},
    {"negative duration", "heartbeat: 1s", "heartbeat: -1s", ":36: times.heartbeat: \"-1s\": not"},
    {"no administrators", "[beheer]", "[]", ":28: roles.administrator: has 0 items"},
    {"a role that does not exist", "  auditor:", "  boss:", ":30: roles.boss: unknown key"},
    {"networks without effect", "  failures_pause: 5", "  networks: [10.0.0.0/8]",
     ":33: tokens.networks: has no effect while `required` is always"},
    {"waiver without networks", "required: always", "required: except-on-networks",
     ":32: tokens.required: except-on-networks needs `networks`"},
    {"waiver everywhere", "required: always",
     "required: except-on-networks\n  networks: [0.0.0.0/0]", "0.0.0.0/0 is everywhere"},
    {"network with host bits", "required: always",
     "required: except-on-networks\n  networks: [10.0.0.1/8]", "bits below /8"},
    {"stop before pause", "failures_stop: 20", "failures_stop: 5",
     ":34: tokens.failures_stop: failures_stop (5) must be more than failures_pause (5)"},
    {"suspect too early", "suspect_after: 3s", "suspect_after: 1500ms",
     ":37: times.suspect_after: the times break 2 x heartbeat <= suspect_after (2s > 1s500ms)"},
    {"down before suspect", "down_after: 10s", "down_after: 3s",
     ":38: times.down_after: the times break suspect_after + heartbeat <= down_after (4s > 3s)"},
    {"a fence that the lead's change brings about", "down_after: 10s",
     "down_after: 10s\n  fence_after: 5s",
     "times.fence_after: the times break lease_ttl + 1 ms <= fence_after (5s1ms > 5s)"},
    {"down after the fence", "down_after: 10s", "down_after: 16s",
     ":38: times.down_after: the times break down_after <= fence_after + fence_margin (16s > 15s)"},
    {"a margin that clocks eat up", "down_after: 10s", "down_after: 10s\n  fence_margin: 4s",
     "times.fence_margin: the times break 2 s + fence_after / 4 <= fence_margin (4s500ms > 4s)"},
    {"a fence program by a bare name", "limits:\n", "fencing:\n  command: [fence_virsh]\nlimits:\n",
     "fencing.command: fence_virsh is not an absolute path"},
    {"a fence program that is not there", "limits:\n",
     "fencing:\n  command: [/nowhere/fence]\nlimits:\n",
     "fencing.command: /nowhere/fence cannot be run"},
    {"fencing without a program", "limits:\n", "fencing:\n  timeout: 60s\nlimits:\n",
     "fencing.command: missing"},
    {"a fence option without a value", "limits:\n",
     "fencing:\n  command: [/bin/true]\n  options: [ip]\nlimits:\n",
     "fencing.options[0]: \"ip\": must have the form NAME=VALUE"},
    {"a fence option that is the broker's", "limits:\n",
     "fencing:\n  command: [/bin/true]\n  options: [action=on]\nlimits:\n", "must not set action"},
    {"a password among the fence options", "limits:\n",
     "fencing:\n  command: [/bin/true]\n  options: [password=x]\nlimits:\n",
     "a password must not stand here"},
    {"fence options that others read", "limits:\n",
     "fencing:\n  command: [/bin/true]\n  options_file: open.key\nlimits:\n",
     "a secret that others can reach"},
    {"a fence plug of no host", "limits:\n",
     "fencing:\n  command: [/bin/true]\n  hosts: {HV_1: {plug: x}}\nlimits:\n",
     "is no host's name"},
    {"a plug with an unknown key", "limits:\n",
     "fencing:\n  command: [/bin/true]\n  hosts: {hv-1: {plugs: x}}\nlimits:\n",
     "unknown key; did you mean \"plug\"?"},
    {"idle longer than life", "heartbeat: 1s", "heartbeat: 1s\n  sign_in_idle: 13h",
     "the times break sign_in_idle <= sign_in_lifetime (13h > 12h)"},
    {"answers forgotten too early", "heartbeat: 1s", "heartbeat: 1s\n  answered_kept: 2h",
     "the times break sign_in_lifetime <= answered_kept (12h > 2h)"},
    {"too few changes to work with", "limits:\n", "limits:\n  changes_per_person: 5\n",
     "limits.changes_per_person: 5: must be 100 to 1000000"},
    {"ticks too rare", "heartbeat: 1s", "heartbeat: 1s\n  tick: 2s",
     "the times break tick <= heartbeat (2s > 1s)"},
    {"ticket too long", "heartbeat: 1s", "heartbeat: 1s\n  ticket_lifetime: 1m",
     "times.ticket_lifetime: 1m is too long; at most 30s"},
    {"store of an unknown kind", "tls:\n", "store:\n  mysql: {}\ntls:\n",
     ":11: store: needs `etcd`"},
    {"etcd without endpoints", "tls:\n", ETCD("endpoints: []"),
     ":12: store.etcd.endpoints: has 0 items"},
    {"etcd by URL", "tls:\n", ETCD("endpoints: [\"https://127.0.0.1:2379\"]"),
     ":12: store.etcd.endpoints[0]: \"https://127.0.0.1:2379\": must be HOST:PORT, without https"},
    {"etcd without a port", "tls:\n", ETCD("endpoints: [etcd1]"),
     ":12: store.etcd.endpoints[0]: \"etcd1\": "},
    {"an etcd member twice", "tls:\n", ETCD("endpoints: [\"a:2379\", \"a:2379\"]"),
     ":12: store.etcd.endpoints[1]: \"a:2379\": is there twice"},
    {"etcd without certificates", "tls:\n", "store:\n  etcd: {endpoints: [\"a:2379\"]}\ntls:\n",
     ":11: store.etcd.certificate: missing"},
    {"etcd's certificate is not there", "tls:\n",
     ETCD("endpoints: [\"a:2379\"]\n    prefix: /x/\n    certificat: a"),
     ":14: store.etcd.certificat: unknown key; did you mean \"certificate\"?"},
    {"etcd's key of another certificate", "tls:\n",
     "store:\n  etcd:\n    endpoints: [\"a:2379\"]\n    certificate: broker.pem\n    key: ca.key\n"
     "    ca: ca.pem\ntls:\n",
     "ca.key is not the key of "},
    {"etcd's prefix without a slash", "tls:\n",
     ETCD("endpoints: [\"a:2379\"]\n    prefix: werkplek"),
     ":13: store.etcd.prefix: \"werkplek\": must begin and end with /"},
    {"lease too short", "tls:\n", ETCD("endpoints: [\"a:2379\"]\n    lease_ttl: 1s"),
     ":13: store.etcd.lease_ttl: 1s is too short; at least 2s"},
    {"lease of part of a second", "tls:\n", ETCD("endpoints: [\"a:2379\"]\n    lease_ttl: 2500ms"),
     ":13: store.etcd.lease_ttl: must be whole seconds"},
    {"silent members cost the lead", "tls:\n",
     ETCD("endpoints: [\"a:1\", \"b:1\", \"c:1\"]\n    request_timeout: 2s"),
     ":13: store.etcd.request_timeout: the times break endpoints x request_timeout <= lease_ttl "
     "(6s > 5s)"},
    {"etcd's limit too small", "tls:\n", ETCD("endpoints: [\"a:1\"]\n    max_request_size: 1KiB"),
     ":13: store.etcd.max_request_size: "},
    {"nobody could find the leader", "127.0.0.1:7443\n  agents: 127.0.0.1:7444",
     "0.0.0.0:7443\n  agents: 127.0.0.1:7444\nstore:\n  etcd: {endpoints: [\"a:1\"]}",
     ": listen.advertise_clients: missing: with a store in etcd"},
    {"limit is no number", "host_starts: 4", "host_starts: many",
     ":40: limits.host_starts: \"many\": must be a whole number"},
    {"limit of nothing", "host_starts: 4", "host_starts: 0",
     ":40: limits.host_starts: 0: must be 1 to 1000"},
    {"site below host", "site_starts: 32", "site_starts: 3",
     ":41: limits.site_starts: site_starts (3) must not be less than host_starts (4)"},
    {"balances nothing", "limits:\n", "balancing:\n  moves: 0\nlimits:\n",
     ":40: balancing.moves: 0: must be 1 to 1000"},
    {"more moves in a site than in all", "limits:\n", "balancing:\n  moves: 1\nlimits:\n",
     "balancing.moves_per_site: moves_per_site (2) must not be more than moves (1)"},
    {"more moves of a host than in a site", "limits:\n",
     "balancing:\n  moves_per_host: 3\nlimits:\n",
     ":40: balancing.moves_per_host: moves_per_host (3) must not be more than moves_per_site (2)"},
    {"margin of nothing", "limits:\n", "balancing:\n  margin_percent: 1\nlimits:\n",
     ":40: balancing.margin_percent: 1: must be 5 to 90"},
    {"hours without a zone", "limits:\n", "balancing:\n  consolidate: \"22:00-06:00\"\nlimits:\n",
     ":40: balancing.consolidate: needs `time_zone`"},
    {"a zone without hours", "limits:\n", "balancing:\n  time_zone: UTC\nlimits:\n",
     ":40: balancing.time_zone: has no effect without `consolidate`"},
    {"hours that are none", "limits:\n",
     "balancing:\n  consolidate: \"22:00-24:30\"\n  time_zone: UTC\nlimits:\n",
     ":40: balancing.consolidate: \"22:00-24:30\": must be two different times"},
    {"no hours at all", "limits:\n",
     "balancing:\n  consolidate: \"22:00-22:00\"\n  time_zone: UTC\nlimits:\n",
     ":40: balancing.consolidate: \"22:00-22:00\": must be two different times"},
    {"unknown zone", "limits:\n",
     "balancing:\n  consolidate: \"22:00-06:00\"\n  time_zone: Mars/Phobos\nlimits:\n",
     ":41: balancing.time_zone: \"Mars/Phobos\": is no time zone of this machine"},
    {"a site is lost too early", "limits:\n", "site_loss:\n  lost_percent: 49\nlimits:\n",
     ":40: site_loss.lost_percent: 49: must be 50 to 100"},
    {"no brake", "limits:\n", "site_loss:\n  brake_percent: 100\nlimits:\n",
     ":40: site_loss.brake_percent: 100: must be 0 to 90"},
    {"no hosts", "limits:\n", "site_loss:\n  fewest_hosts: 0\nlimits:\n",
     ":40: site_loss.fewest_hosts: 0: must be 1 to 1000"},
};

class BrokerConfigTest : public testing::Test {
 protected:
  BrokerConfigTest() {
    chmod(files_.folder().Write("open.key", std::string(32, 'k')).c_str(), 0644);
  }

  // The broken file's path.
  std::string Write(const BadFile& bad) {
    std::string text = files_.GoodConfig();
    const size_t at = text.find(bad.from);
    EXPECT_NE(at, std::string::npos) << bad.name << ": the good file has no " << bad.from;
    text.replace(at, std::string(bad.from).size(), bad.to);
    return files_.folder().Write("broker.yaml", text);
  }

  BrokerFiles files_;
};

TEST_F(BrokerConfigTest, TheGoodFileIsGood) {
  const auto config = LoadBrokerConfig(files_.config_path(), ConfigCheck::kWhole);
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->organisation, "Gemeente Voorbeeld");
  EXPECT_EQ(config->store.sqlite_file, files_.folder().File("data/fleet.sqlite"));
  EXPECT_EQ(config->join_url, "https://127.0.0.1:7445/v1/join");
  EXPECT_EQ(config->sealing_key.Reveal().size(), 32u);
  EXPECT_EQ(config->directory.bind_password.Reveal(), "hush");
  EXPECT_EQ(config->directory.answer_timeout, absl::Seconds(4));
  ASSERT_EQ(config->node.role_groups.size(), 3u);
  EXPECT_EQ(config->node.role_groups[0],
            std::make_pair(v1::ROLE_ADMINISTRATOR, std::string("beheer")));
  EXPECT_TRUE(config->node.token_waived_networks.empty());
  EXPECT_EQ(config->node.broker.suspect_after, absl::Seconds(3));
  EXPECT_EQ(config->tls.ca, config->authority.certificate);
}

TEST_F(BrokerConfigTest, BalancingAndSiteLossAreReadAndSafeWithout) {
  const auto without = LoadBrokerConfig(files_.config_path(), ConfigCheck::kWhole);
  ASSERT_TRUE(without.ok()) << without.status().message();
  EXPECT_FALSE(without->node.broker.balance.automatic);
  EXPECT_FALSE(without->node.broker.balance.consolidation.has_value());
  EXPECT_DOUBLE_EQ(without->node.broker.site_loss.lost_share, 1.0);
  EXPECT_DOUBLE_EQ(without->node.broker.site_loss.brake_share, 0.6);
  files_.folder().Write("broker.yaml",
                        absl::StrCat(files_.GoodConfig(),
                                     "balancing:\n  moves: 6\n  moves_per_site: 3\n"
                                     "  moves_per_host: 2\n  margin_percent: 20\n"
                                     "  automatic: true\n  settle: 2m\n  rest: 30m\n  retry: 1m\n"
                                     "  consolidate: \"22:00-06:30\"\n  time_zone: UTC\n"
                                     "  spare_hosts: 2\n"
                                     "site_loss:\n  lost_percent: 80\n  brake_percent: 50\n"
                                     "  fewest_hosts: 3\n"));
  const auto config = LoadBrokerConfig(files_.config_path(), ConfigCheck::kWhole);
  ASSERT_TRUE(config.ok()) << config.status().message();
  const BalanceSettings& balance = config->node.broker.balance;
  EXPECT_EQ(balance.limits.all, 6u);
  EXPECT_EQ(balance.limits.per_site, 3u);
  EXPECT_EQ(balance.limits.per_host, 2u);
  EXPECT_DOUBLE_EQ(balance.limits.margin, 0.2);
  EXPECT_TRUE(balance.automatic);
  EXPECT_EQ(balance.settle, absl::Minutes(2));
  EXPECT_EQ(balance.rest, absl::Minutes(30));
  EXPECT_EQ(balance.retry, absl::Minutes(1));
  ASSERT_TRUE(balance.consolidation.has_value());
  EXPECT_EQ(balance.consolidation->from, 22 * 60);
  EXPECT_EQ(balance.consolidation->until, 6 * 60 + 30);
  EXPECT_EQ(balance.spare_hosts, 2u);
  EXPECT_DOUBLE_EQ(config->node.broker.site_loss.lost_share, 0.8);
  EXPECT_DOUBLE_EQ(config->node.broker.site_loss.brake_share, 0.5);
  EXPECT_EQ(config->node.broker.site_loss.fewest_hosts, 3u);
}

TEST_F(BrokerConfigTest, EveryBadFileIsRefusedWithItsComplaint) {
  for (const BadFile& bad : kBadFiles) {
    const std::string path = Write(bad);
    const auto config = LoadBrokerConfig(path, ConfigCheck::kWhole);
    ASSERT_FALSE(config.ok()) << bad.name;
    EXPECT_THAT(std::string(config.status().message()), HasSubstr(bad.complaint)) << bad.name;
    EXPECT_THAT(std::string(config.status().message()), HasSubstr(path + ":")) << bad.name;
  }
}

TEST_F(BrokerConfigTest, TheProgramRefusesEachOfThemToo) {
  static_assert(std::size(kBadFiles) >= 40);
  const std::string output = files_.folder().File("output");
  for (const BadFile& bad : kBadFiles) {
    const std::string path = Write(bad);
    std::remove(output.c_str());
    ChildProcess broker({BrokerBinary(), "--config", path, "check-config"},
                        {.output_file = output});
    EXPECT_EQ(broker.Wait(absl::Seconds(20)), 78) << bad.name;
    EXPECT_THAT(ReadWholeFile(output), HasSubstr(bad.complaint)) << bad.name;
  }
}

TEST_F(BrokerConfigTest, TheProgramTakesTheGoodFile) {
  const auto output =
      RunProgram({BrokerBinary(), "check-config", "--config", files_.config_path()});
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_THAT(*output, HasSubstr("broker.yaml: good"));
}

TEST_F(BrokerConfigTest, AllMistakesAreToldAtOnce) {
  const std::string path = files_.folder().Write(
      "broker.yaml", absl::StrReplaceAll(files_.GoodConfig(), {{"name: b1", "name: B1"},
                                                               {"heartbeat: 1s", "heartbeat: 1"},
                                                               {"[beheer]", "[]"}}));
  const std::string complaints(LoadBrokerConfig(path, ConfigCheck::kWhole).status().message());
  EXPECT_THAT(complaints, HasSubstr(":2: name"));
  EXPECT_THAT(complaints, HasSubstr(":28: roles.administrator"));
  EXPECT_THAT(complaints, HasSubstr(":36: times.heartbeat"));
}

TEST_F(BrokerConfigTest, TheManualsExampleIsGood) {
  const std::string manual =
      ReadWholeFile(absl::StrCat(std::getenv("WERKPLEK_SOURCE_DIR"), "/docs/operating/broker.md"));
  const size_t begin = manual.find("```yaml\n");
  ASSERT_NE(begin, std::string::npos);
  const std::string example = manual.substr(begin + 8, manual.find("```", begin + 8) - begin - 8);
  const std::string path = files_.folder().Write("broker.yaml", example);
  const auto config = LoadBrokerConfig(path, ConfigCheck::kForm);
  EXPECT_TRUE(config.ok()) << config.status().message();
}

TEST_F(BrokerConfigTest, AFileOfTenMegabytesIsRefused) {
  const std::string path = files_.folder().Write("broker.yaml", std::string(10 << 20, '#'));
  EXPECT_THAT(std::string(LoadBrokerConfig(path, ConfigCheck::kWhole).status().message()),
              HasSubstr("larger than 1048576 bytes"));
  EXPECT_THAT(
      std::string(LoadBrokerConfig("/nowhere.yaml", ConfigCheck::kWhole).status().message()),
      HasSubstr("/nowhere.yaml: cannot open it: No such file"));
}

}  // namespace
}  // namespace werkplek
