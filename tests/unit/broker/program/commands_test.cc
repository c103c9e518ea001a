#include "broker/program/commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <future>
#include <sstream>
#include <string>

#include "broker/store/sqlite_store.h"
#include "broker/token/token_authority.h"
#include "common/base/loop_executor.h"
#include "tests/unit/broker/program/broker_files.h"

namespace werkplek {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

mode_t ModeOf(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}

// What the store holds now.
Fleet LoadFleet(const std::string& file) {
  std::promise<absl::StatusOr<Fleet>> loaded;
  LoopExecutor executor("test");
  const auto store = SqliteStore::Open(file, &executor);
  EXPECT_TRUE(store.ok()) << store.status();
  (*store)->ClaimEpoch([&](absl::StatusOr<uint64_t> epoch) {
    (*store)->Load(*epoch,
                   [&](absl::StatusOr<Fleet> fleet) { loaded.set_value(std::move(fleet)); });
  });
  return *loaded.get_future().get();
}

TEST(InitBrokerTest, MakesWhatIsMissingAndKeepsWhatIsThere) {
  BrokerFiles files(/*init=*/false);
  const auto config = LoadBrokerConfig(files.config_path(), ConfigCheck::kForm);
  ASSERT_TRUE(config.ok()) << config.status().message();
  std::ostringstream first;
  ASSERT_TRUE(InitBroker(*config, first).ok());
  EXPECT_EQ(ModeOf(config->authority.key), 0600u);
  EXPECT_EQ(ModeOf(config->tls.key), 0600u);
  EXPECT_EQ(ModeOf(config->sealing_key_file), 0600u);
  EXPECT_EQ(ModeOf(config->data_dir), 0700u);
  EXPECT_THAT(first.str(), HasSubstr("made " + config->sealing_key_file));
  const BrokerConfig whole = files.Config();
  std::ostringstream second;
  ASSERT_TRUE(InitBroker(*config, second).ok());
  EXPECT_THAT(second.str(), Not(HasSubstr("made ")));
  EXPECT_EQ(files.Config().sealing_key.Reveal(), whole.sealing_key.Reveal());
}

TEST(InitBrokerTest, HalfOfAPairIsRefused) {
  BrokerFiles files;
  const BrokerConfig config = files.Config();
  unlink(config.authority.key.c_str());
  std::ostringstream out;
  EXPECT_THAT(std::string(InitBroker(config, out).message()),
              HasSubstr("ca.key is not; restore the missing one"));
}

// A fresh sealing key beside an old store would make every token useless, silently.
TEST(InitBrokerTest, AStoreWithoutItsSealingKeyIsRefused) {
  BrokerFiles files;
  const BrokerConfig config = files.Config();
  unlink(config.sealing_key_file.c_str());
  std::ostringstream out;
  EXPECT_THAT(std::string(InitBroker(config, out).message()), HasSubstr("restore the key"));
}

TEST(IssueCertificateTest, TheFilesAreGoodForTheMachine) {
  BrokerFiles files;
  IssueTerms terms{.identity = "client", .name = "tc-001", .folder = files.folder().File("a/b")};
  std::ostringstream out;
  ASSERT_TRUE(IssueCertificate(files.Config(), terms, out).ok());
  const TlsFiles made{terms.folder + "/certificate.pem", terms.folder + "/key.pem",
                      terms.folder + "/ca.pem"};
  const auto material = LoadTlsFiles(made, absl::Now());
  ASSERT_TRUE(material.ok()) << material.status();
  EXPECT_EQ(PeerLabel(material->own.name), "client/tc-001");
  EXPECT_EQ(ModeOf(made.key), 0600u);
  terms.identity = "king";
  EXPECT_THAT(std::string(IssueCertificate(files.Config(), terms, out).message()),
              HasSubstr("\"king\" is none of client, host"));
}

TEST(EnrolFirstAdminTest, TheFirstAdministratorsTokenWorksOnce) {
  BrokerFiles files;
  const BrokerConfig config = files.Config();
  std::ostringstream out;
  const absl::Status status = EnrolFirstAdmin(config, "beheer1", out);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(out.str(), StartsWith("otpauth://totp/Gemeente%20Voorbeeld:beheer1?secret="));
  const Fleet fleet = LoadFleet(config.store.sqlite_file);
  const v1::TokenEnrolment* enrolment = fleet.tokens.Find("beheer1");
  ASSERT_NE(enrolment, nullptr);
  EXPECT_EQ(enrolment->state(), v1::TOKEN_STATE_ACTIVE);
  EXPECT_EQ(fleet.audit_sequence, 1u);
  const auto tokens = TokenAuthority::Create(config.sealing_key, config.organisation);
  EXPECT_EQ((*tokens)->OtpauthUri(*enrolment)->Reveal() + "\n", out.str());

  std::ostringstream again;
  EXPECT_TRUE(EnrolFirstAdmin(config, "beheer1", again).ok()) << "never used: a lost code";
  EXPECT_NE(again.str(), out.str());
  std::ostringstream other;
  EXPECT_EQ(EnrolFirstAdmin(config, "beheer2", other).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(other.str(), "");
}

TEST(EnrolFirstAdminTest, AUsedTokenIsNotReplaced) {
  BrokerFiles files;
  const BrokerConfig config = files.Config();
  {
    std::promise<absl::Status> done;
    LoopExecutor executor("test");
    const auto store = SqliteStore::Open(config.store.sqlite_file, &executor);
    (*store)->ClaimEpoch([&](absl::StatusOr<uint64_t> epoch) {
      v1::TokenEnrolment enrolment;
      enrolment.set_user("beheer1");
      enrolment.set_state(v1::TOKEN_STATE_ACTIVE);
      enrolment.set_last_step(5);
      v1::Change change;
      change.set_table(std::string(kTokenTable));
      change.set_key("beheer1");
      change.set_value(enrolment.SerializeAsString());
      (*store)->Commit(*epoch, {change}, [&](absl::Status s) { done.set_value(std::move(s)); });
    });
    ASSERT_TRUE(done.get_future().get().ok());
  }
  std::ostringstream out;
  EXPECT_THAT(std::string(EnrolFirstAdmin(config, "beheer1", out).message()),
              HasSubstr("is enrolled already"));
  EXPECT_THAT(std::string(EnrolFirstAdmin(config, "a b", out).message()), HasSubstr("--user: "));
}

TEST(WrongAccountWarningTest, RootIsToldWhoseTheDataFolderIs) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give the folder to another account";
  BrokerFiles files;
  const BrokerConfig config = files.Config();
  EXPECT_EQ(WrongAccountWarning(config, 0), "");
  ASSERT_EQ(chown(config.data_dir.c_str(), 65534, 65534), 0);
  EXPECT_THAT(WrongAccountWarning(config, 0), HasSubstr("runuser -u nobody -- werkplek-broker"));
  EXPECT_EQ(WrongAccountWarning(config, 65534), "");
  const auto check = RunProgram({BrokerBinary(), "--config", files.config_path(), "check-config"});
  ASSERT_TRUE(check.ok()) << check.status();
  EXPECT_THAT(*check, HasSubstr("is nobody's"));
}

// All of it once through the program, as an operator does it.
TEST(BrokerProgramTest, FromNothingToAnAdministrator) {
  BrokerFiles files(/*init=*/false);
  const std::string broker = BrokerBinary();
  const auto init = RunProgram({broker, "init", "--config", files.config_path()});
  ASSERT_TRUE(init.ok()) << init.status();
  EXPECT_THAT(*init, HasSubstr("authority sha256 "));
  const auto issue =
      RunProgram({broker, "issue", "--config", files.config_path(), "--identity", "admin", "--name",
                  "beheer-1", "--out", files.folder().File("admin"), "--lifetime", "7d"});
  ASSERT_TRUE(issue.ok()) << issue.status();
  EXPECT_THAT(*issue, HasSubstr("werkplek://admin/beheer-1"));
  const auto enrol = RunProgram(
      {broker, "enrol-first-admin", "--config", files.config_path(), "--user", "beheer1"});
  ASSERT_TRUE(enrol.ok()) << enrol.status();
  // Nothing but the URI: neither a log line nor anything else.
  EXPECT_THAT(*enrol, testing::MatchesRegex("otpauth://totp/[^\n]+\n"));
  EXPECT_FALSE(RunProgram({broker, "enrol-first-admin", "--config", files.config_path(), "--user",
                           "beheer2"})
                   .ok());
}

TEST(BrokerProgramTest, WrongUseExits64) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{},
                                                    {"--config", "x", "explode"},
                                                    {"init"},
                                                    {"issue", "--config", "x"}}) {
    std::vector<std::string> command = {BrokerBinary()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    ChildProcess broker(command);
    EXPECT_EQ(broker.Wait(absl::Seconds(20)), 64) << testing::PrintToString(arguments);
  }
}

}  // namespace
}  // namespace werkplek
