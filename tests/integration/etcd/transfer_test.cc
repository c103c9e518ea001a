// A whole store moves between a file and etcd and back, and nothing is lost.
#include <sys/stat.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include "broker/etcd/leadership.h"
#include "broker/program/offline_store.h"
#include "broker/program/store_file.h"
#include "broker/program/store_transfer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/etcd/etcd_cluster.h"
#include "tests/support/store_client.h"
#include "tests/unit/broker/program/broker_files.h"

namespace werkplek {
namespace {

using ::testing::HasSubstr;

class TransferTest : public ::testing::Test {
 protected:
  StoreConfig File(const std::string& name) {
    StoreConfig config;
    config.sqlite_file = folder_.File(name);
    return config;
  }
  StoreConfig Etcd() {
    StoreConfig config;
    config.in_etcd = true;
    config.etcd = cluster_.Settings();
    config.lease_ttl = absl::Seconds(2);
    return config;
  }
  // Everything in a store, and the epoch that this look at it took.
  struct Content {
    std::string bytes;
    uint64_t epoch = 0;
  };
  static Content Read(const StoreConfig& config) {
    Content content;
    const auto store = OfflineStore::Open(config);
    EXPECT_TRUE(store.ok()) << store.status();
    if (!store.ok()) return content;
    content.epoch = (*store)->epoch();
    const auto fleet = (*store)->Load();
    EXPECT_TRUE(fleet.ok()) << fleet.status();
    if (!fleet.ok()) return content;
    for (const v1::Change& change : RecordsOf(*fleet)) content.bytes += change.SerializeAsString();
    for (uint64_t last = 0;;) {
      const auto page = (*store)->ReadAudit(last, 700);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok() || page->empty()) return content;
      for (const v1::AuditRecord& record : *page) content.bytes += record.SerializeAsString();
      last = page->back().sequence();
    }
  }
  static absl::Status Export(const StoreConfig& from, const std::string& path) {
    std::ostringstream out;
    return ExportStore(from, path, out);
  }
  static absl::Status Import(const StoreConfig& into, const std::string& path) {
    std::ostringstream out;
    return ImportStore(into, path, out);
  }
  // One of each table, many desktops and many audit records.
  void Fill(const StoreConfig& config) {
    const auto store = OfflineStore::Open(config);
    ASSERT_TRUE(store.ok()) << store.status();
    ChangeSet changes;
    for (const char* table : {"site", "host", "image", "pool", "entitlement"}) {
      v1::Resource resource;
      resource.set_name(std::string("the-") + table);
      changes.push_back(PutChange(table, resource.name(), resource.SerializeAsString()));
    }
    for (int i = 0; i < 3000; ++i) changes.push_back(PutDesktop("d" + std::to_string(i), i));
    v1::TokenEnrolment token;
    token.set_user("jan");
    token.set_sealed_seed(std::string("\0\xff sealed", 9));
    token.set_last_step(4711);
    changes.push_back(PutChange("token", "jan", token.SerializeAsString()));
    v1::AnsweredRequest answered;
    answered.set_key("client/tc-1/x'/\n");
    changes.push_back(PutChange("answered", answered.key(), answered.SerializeAsString()));
    v1::Revocation revocation;
    revocation.set_peer("client/tc-1");
    changes.push_back(PutChange("revocation", "client/tc-1", revocation.SerializeAsString()));
    changes.push_back(PutChange("site_loss", "b", v1::SiteLoss().SerializeAsString()));
    changes.push_back(PutChange("session", "s-1", v1::Session().SerializeAsString()));
    changes.push_back(PutChange("sign_in", "si-1", v1::SignIn().SerializeAsString()));
    for (uint64_t i = 1; i <= 2500; ++i) changes.push_back(AppendAudit(i, "user:jan"));
    ASSERT_TRUE((*store)->Commit(std::move(changes)).ok());
  }

  TemporaryFolder folder_;
  EtcdCluster cluster_;
};

TEST_F(TransferTest, FromAFileToEtcdAndBackNothingIsLost) {
  const StoreConfig first = File("first.sqlite");
  const StoreConfig etcd = Etcd();
  const StoreConfig second = File("second.sqlite");
  Fill(first);
  const Content before = Read(first);
  EXPECT_GT(before.bytes.size(), 100'000u);
  ASSERT_TRUE(Export(first, folder_.File("a")).ok());
  struct stat facts;
  ASSERT_EQ(stat(folder_.File("a").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  const absl::Status in = Import(etcd, folder_.File("a"));
  ASSERT_TRUE(in.ok()) << in;
  const Content between = Read(etcd);
  EXPECT_TRUE(between.bytes == before.bytes) << "etcd holds something else";
  EXPECT_GT(between.epoch, before.epoch);
  ASSERT_TRUE(Export(etcd, folder_.File("b")).ok());
  ASSERT_TRUE(Import(second, folder_.File("b")).ok());
  const Content after = Read(second);
  EXPECT_TRUE(after.bytes == before.bytes) << "the second file holds something else";
  EXPECT_GT(after.epoch, between.epoch);
}

TEST_F(TransferTest, ABackupBesideALeaderIsOfOneRevisionAndClaimsNothing) {
  StoreConfig etcd = Etcd();
  Fill(etcd);
  // So small that most of it is folded while it is read.
  etcd.etcd_store.fold_entries = 4;
  const auto leader = OfflineStore::Open(etcd);
  ASSERT_TRUE(leader.ok()) << leader.status();
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> committed = 2500;
  std::thread writer([&] {
    for (uint64_t i = committed + 1; !stop; ++i) {
      if (!(*leader)->Commit({PutDesktop("d0", i), AppendAudit(i, "user:jan")}).ok()) return;
      committed = i;
    }
  });
  for (int round = 0; round < 5; ++round) {
    const std::string path = folder_.File("backup" + std::to_string(round));
    std::ostringstream out;
    const absl::Status done = BackUpStore(etcd, path, out);
    EXPECT_TRUE(done.ok()) << done;
    uint64_t desktops = 0, generation = 0, audits = 0, last = 0;
    const auto facts = ReadStoreFile(path, [&](v1::Change& change) {
      v1::Desktop desktop;
      desktops += change.table() == "desktop" ? 1 : 0;
      audits += change.table() == "audit" ? 1 : 0;
      if (change.table() == "audit") last = std::stoull(change.key());
      if (change.key() == "d0" && desktop.ParseFromString(change.value())) {
        generation = desktop.generation();
      }
      return absl::OkStatus();
    });
    ASSERT_TRUE(facts.ok()) << facts.status();
    EXPECT_EQ(facts->epoch, (*leader)->epoch());
    EXPECT_EQ(desktops, 3000u);
    EXPECT_EQ(audits, last);
    EXPECT_TRUE(generation == last || last == 2500u) << generation << " and " << last;
  }
  stop = true;
  writer.join();
  EXPECT_GT(committed, 2500u);
  const auto after = (*leader)->Commit({AppendAudit(committed + 1, "user:jan")});
  EXPECT_TRUE(after.ok()) << "the lead is still the leader's: " << after;
}

TEST_F(TransferTest, ABackupOfEtcdIsRestoredIntoEtcdAndIntoAFile) {
  const StoreConfig etcd = Etcd();
  std::ostringstream out;
  EXPECT_THAT(BackUpStore(etcd, folder_.File("a"), out).ToString(),
              HasSubstr("there is no store in etcd under " + etcd.etcd.prefix));
  Fill(etcd);
  ASSERT_TRUE(BackUpStore(etcd, folder_.File("a"), out).ok());
  const Content before = Read(etcd);
  const RestoreTerms terms{.now = absl::FromUnixSeconds(1'800'000'000)};
  EXPECT_THAT(RestoreStore(etcd, folder_.File("a"), terms, out).ToString(),
              HasSubstr("etcd holds something under"));
  for (const StoreConfig& target : {Etcd(), File("restored.sqlite")}) {
    const absl::Status done = RestoreStore(target, folder_.File("a"), terms, out);
    ASSERT_TRUE(done.ok()) << done;
    const Content content = Read(target);
    EXPECT_EQ(content.epoch, 1'800'000'001u);
    ASSERT_GT(content.bytes.size(), before.bytes.size());
    // The restore itself is in the audit.
    EXPECT_TRUE(content.bytes.substr(0, before.bytes.size()) == before.bytes);
    EXPECT_THAT(content.bytes.substr(before.bytes.size()), HasSubstr("store.restore"));
  }
}

TEST_F(TransferTest, ATargetThatHoldsSomethingIsRefused) {
  const StoreConfig file = File("first.sqlite");
  const StoreConfig etcd = Etcd();
  Fill(file);
  ASSERT_TRUE(Export(file, folder_.File("a")).ok());
  EXPECT_EQ(Export(file, folder_.File("a")).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(Import(file, folder_.File("a")).message()),
              HasSubstr("is there already"));
  ASSERT_TRUE(Import(etcd, folder_.File("a")).ok());
  EXPECT_THAT(std::string(Import(etcd, folder_.File("a")).message()),
              HasSubstr("etcd holds something under"));
}

TEST_F(TransferTest, TheAdminsToolDoesAll) {
  const BrokerFiles broker;
  const std::string tool = std::string(std::getenv("WERKPLEK_BIN_DIR")) + "/werkplekctl";
  const std::string config = broker.config_path();
  const std::string file = folder_.File("exported");
  const auto run = [&](const std::string& verb, const std::string& flag) {
    const auto output = RunProgram({tool, "store", verb, "--broker-config", config, flag, file});
    return output.ok() ? *output : std::string(output.status().message());
  };
  EXPECT_THAT(run("export", "--to"), HasSubstr("exported "));
  EXPECT_THAT(run("import", "--from"), HasSubstr("is there already"));
  std::remove(broker.folder().File("data/fleet.sqlite").c_str());
  EXPECT_THAT(run("import", "--from"), HasSubstr("imported "));
  EXPECT_THAT(run("backup", "--to"), HasSubstr("is there already"));
  std::remove(file.c_str());
  EXPECT_THAT(run("backup", "--to"), HasSubstr("backed up "));
  EXPECT_THAT(run("restore", "--from"), HasSubstr("restored "));
}

TEST_F(TransferTest, AStoreInUseIsRefused) {
  const StoreConfig file = File("first.sqlite");
  const StoreConfig etcd = Etcd();
  const auto file_user = OfflineStore::Open(file);
  const auto etcd_user = OfflineStore::Open(etcd);
  ASSERT_TRUE(file_user.ok() && etcd_user.ok()) << etcd_user.status();
  EXPECT_THAT(std::string(Export(file, folder_.File("a")).message()),
              HasSubstr("is open in another broker"));
  EXPECT_THAT(std::string(Export(etcd, folder_.File("a")).message()), HasSubstr("is in use by"));
}

TEST_F(TransferTest, AFileThatIsCutOrChangedImportsNothing) {
  const StoreConfig file = File("first.sqlite");
  const StoreConfig etcd = Etcd();
  Fill(file);
  ASSERT_TRUE(Export(file, folder_.File("a")).ok());
  const std::string whole = ReadWholeFile(folder_.File("a"));
  for (const size_t cut : {size_t{0}, size_t{5}, size_t{17}, whole.size() / 2, whole.size() - 1}) {
    const std::string path = folder_.Write("cut", whole.substr(0, cut));
    EXPECT_FALSE(Import(etcd, path).ok()) << cut;
    EXPECT_FALSE(Import(File("new.sqlite"), path).ok()) << cut;
  }
  for (size_t at = 20; at < whole.size(); at += whole.size() / 20) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 4);
    EXPECT_FALSE(Import(etcd, folder_.Write("flipped", flipped)).ok()) << at;
  }
  EXPECT_EQ(cluster_.Ctl({"get", etcd.etcd.prefix, "--prefix", "--keys-only"}), "");
  EXPECT_NE(access(folder_.File("new.sqlite").c_str(), F_OK), 0);
}

TEST_F(TransferTest, AnImportThatWasCutShortIsNoStore) {
  const StoreConfig etcd = Etcd();
  cluster_.Ctl({"put", etcd.etcd.prefix + "schema", std::string(kEtcdImporting)});
  const auto client = cluster_.Client(etcd.etcd);
  const auto claim = std::make_shared<std::promise<absl::Status>>();
  ClaimLead(client.get(), EtcdKeys(etcd.etcd.prefix), {}, 0, absl::Seconds(5),
            [claim](const auto& answer) { claim->set_value(answer.status()); });
  EXPECT_THAT(std::string(claim->get_future().get().message()),
              HasSubstr("an import into etcd under " + etcd.etcd.prefix + " has not finished"));
}

}  // namespace
}  // namespace werkplek
