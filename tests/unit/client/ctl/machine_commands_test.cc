#include "client/ctl/machine_commands.h"

#include <nlohmann/json.hpp>

#include "tests/unit/client/ctl/ctl_test.h"
#include "tests/unit/client/join_port.h"

namespace werkplek {
namespace {

using testing::HasSubstr;
using testing::Not;

class MachineCommandsTest : public CtlTest {
 protected:
  void SetUp() override {
    CtlTest::SetUp();
    v1::AddJoinCodeResponse join;
    join.set_code("K7QX-2M4D");
    join.set_lifetime_s(900);
    join.set_ca_sha256("ab12");
    join.set_url("https://broker:7445/v1/join");
    broker_.Reply("AddJoinCode", join);
    broker_.Reply("CreateResource", NewResource(v1::RESOURCE_KIND_HOST, "hv-a1"));
  }
};

TEST_F(MachineCommandsTest, AddsAHostAndSaysWhatToRunThere) {
  const Result result = Run({"host", "add", "hv-a1", "--site", "a", "--max-desktops", "40"});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_EQ(result.out,
            "host hv-a1 created\n"
            "Run this on hv-a1 within 15m 0s (the code works once):\n\n"
            "  werkplek-agent join https://broker:7445/v1/join K7QX-2M4D ab12\n");
  const auto created = broker_.Requests<v1::CreateResourceRequest>("CreateResource").at(0);
  EXPECT_EQ(created.resource().host().site(), "a");
  EXPECT_EQ(created.resource().host().max_desktops(), 40);
  const auto code = broker_.Requests<v1::AddJoinCodeRequest>("AddJoinCode").at(0);
  EXPECT_EQ(code.identity(), v1::IDENTITY_HOST);
  EXPECT_EQ(code.name(), "hv-a1");
}

TEST_F(MachineCommandsTest, GivesAHostThatExistsANewCode) {
  broker_.Always("CreateResource", FakeBroker::Fails(grpc::StatusCode::ALREADY_EXISTS, "taken"));
  const Result result = Run({"host", "add", "hv-a1", "--site", "a"});
  EXPECT_EQ(result.code, ExitCode::kOk);
  EXPECT_THAT(result.out, HasSubstr("exists already"));
  EXPECT_THAT(result.out, HasSubstr("K7QX-2M4D"));
  EXPECT_THAT(result.err, HasSubstr("host update hv-a1"));
}

TEST_F(MachineCommandsTest, GivesNoCodeWhenTheHostWasRefused) {
  broker_.Always("CreateResource",
                 FakeBroker::Fails(grpc::StatusCode::INVALID_ARGUMENT, "site: there is no b"));
  const Result result = Run({"host", "add", "hv-a1", "--site", "b"});
  EXPECT_EQ(result.code, ExitCode::kRefused);
  EXPECT_THAT(result.out, Not(HasSubstr("K7QX")));
}

TEST_F(MachineCommandsTest, ClientsAndAdminsLearnTheBrokers) {
  const std::string line =
      "  werkplek join https://broker:7445/v1/join K7QX-2M4D ab12 --broker " + broker_.address();
  const std::string client = Run({"client", "add", "tc-017"}).out;
  EXPECT_THAT(client, HasSubstr(line + "\n"));
  // For a machine that many people use.
  EXPECT_THAT(client, HasSubstr(line + " --config /etc/werkplek/client.yaml --group GROUP\n"));
  const std::string admin = Run({"admin", "add", "beheer-2"}).out;
  EXPECT_THAT(admin, HasSubstr("  werkplekctl join https://"));
  EXPECT_THAT(admin, Not(HasSubstr("--group")));
  EXPECT_THAT(Run({"gateway", "add", "gw-a"}).out, HasSubstr("  werkplek-gateway join https://"));
  const auto sent = broker_.Requests<v1::AddJoinCodeRequest>("AddJoinCode");
  ASSERT_EQ(sent.size(), 3);
  EXPECT_EQ(sent[0].identity(), v1::IDENTITY_CLIENT);
  EXPECT_EQ(sent[1].identity(), v1::IDENTITY_ADMIN);
  EXPECT_EQ(sent[2].identity(), v1::IDENTITY_GATEWAY);
}

TEST_F(MachineCommandsTest, ListsHostsWithLivenessAndLoad) {
  v1::ListHostsResponse hosts;
  v1::HostStatus* up = hosts.add_hosts();
  up->set_host("hv-a1");
  up->set_site("a");
  up->set_liveness(v1::LIVENESS_UP);
  up->set_silent_ms(400);
  up->set_desktops(12);
  up->set_memory_committed_mib(49152);
  up->set_memory_limit_mib(65536);
  up->mutable_load()->set_cpu_used(0.314);
  up->mutable_load()->set_disk_free_mib(2048);
  up->set_agent_version("0.1.0");
  v1::HostStatus* silent = hosts.add_hosts();
  silent->set_host("hv-b1");
  silent->set_site("b");
  silent->set_liveness(v1::LIVENESS_DOWN);
  silent->set_silent_ms(-1);
  broker_.Reply("ListHosts", hosts);
  EXPECT_EQ(Run({"host", "list"}).out,
            "HOST   SITE  ALIVE  WORK  DESKTOPS  STARTS  MEMORY GIVEN     CPU  DISK FREE  "
            "LAST HEARD   AGENT\n"
            "hv-a1  a     up     open        12       0  49152/65536 MiB  31%  2.0 GiB    "
            "0s           0.1.0\n"
            "hv-b1  b     down   open         0       0  0/0 MiB            -  -          "
            "never heard  -\n");
  const auto json = nlohmann::json::parse(Run({"host", "list", "-o", "json"}).out);
  EXPECT_EQ(json["hosts"][1]["liveness"], "LIVENESS_DOWN");
}

TEST_F(MachineCommandsTest, JoinSaysWhatIsWrongBeforeAskingAnyone) {
  const std::string config = directory_ + "/sub/admin.yaml";
  const Result bad_pin = Run({"join", "https://127.0.0.1:1/v1/join", "CODE", "xyz", "--broker",
                              "127.0.0.1:7443", "--config", config});
  EXPECT_EQ(bad_pin.code, ExitCode::kLocal) << bad_pin.err;
  EXPECT_THAT(bad_pin.err, HasSubstr("64 hexadecimal digits"));
  const Result bad_broker = Run({"join", "https://127.0.0.1:1/v1/join", "CODE",
                                 std::string(64, 'a'), "--broker", "nowhere", "--config", config});
  EXPECT_EQ(bad_broker.code, ExitCode::kUsage);
  EXPECT_THAT(bad_broker.err, HasSubstr("--broker nowhere"));
  EXPECT_EQ(Run({"join", "https://127.0.0.1:1/v1/join", "CODE", std::string(64, 'a')}).code,
            ExitCode::kUsage);
  const std::string present = File("there.yaml", "");
  const Result exists = Run({"join", "https://127.0.0.1:1/v1/join", "CODE", std::string(64, 'a'),
                             "--broker", "127.0.0.1:7443", "--config", present});
  EXPECT_EQ(exists.code, ExitCode::kLocal);
  EXPECT_THAT(exists.err, HasSubstr("is there already"));
}

TEST_F(MachineCommandsTest, AJoinCodeThatIsRefusedIsNoMatterOfRoles) {
  const JoinPort port;
  const Result result = Run({"join", port.url(), "WRONG", port.ca_sha256(), "--broker",
                             "127.0.0.1:7443", "--config", directory_ + "/sub/admin.yaml"});
  EXPECT_EQ(result.code, ExitCode::kRefused);
  EXPECT_THAT(result.err, HasSubstr("the join code is unknown, used or too old"));
  EXPECT_THAT(result.err, HasSubstr("werkplekctl admin add NAME"));
  EXPECT_THAT(result.err, Not(HasSubstr("roles")));
}

}  // namespace
}  // namespace werkplek
