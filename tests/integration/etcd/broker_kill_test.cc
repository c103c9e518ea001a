// Two real broker programs on etcd, a real directory, and people who sign in all the time: the
// broker that leads is killed, and everybody goes on. WERKPLEK_KILLS=100 kills so often, and tells
// the figures of that.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "client/api/broker_client.h"
#include "client/api/client_config.h"
#include "common/base/mutex.h"
#include "common/tls/grpc_credentials.h"
#include "common/tls/process_tls.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/etcd/campaigner.h"
#include "tests/support/etcd/etcd_cluster.h"
#include "tests/support/slapd/slapd.h"
#include "tests/unit/broker/program/running_broker.h"
#include "werkplek/v1/session.grpc.pb.h"

namespace werkplek {
namespace {

using ::testing::HasSubstr;

constexpr int kPeople = 6;
constexpr int kKills = 4;
// Below what a broker keeps of one person by default.
constexpr size_t kKept = 20;
// Twice what is promised of a quiet machine.
constexpr absl::Duration kLongest = absl::Seconds(10);

int Kills() {
  const char* wanted = std::getenv("WERKPLEK_KILLS");
  return wanted == nullptr ? kKills : std::atoi(wanted);
}

// From one moment to another.
struct Span {
  absl::Time began;
  absl::Time ended;
  // What was tried again meanwhile, and when.
  std::string retries = "";
  absl::Duration took() const { return ended - began; }
  bool Overlaps(const Span& other) const { return began < other.ended && other.began < ended; }
};

// "median 1 s, 99 % within 2 s, longest 3 s"
std::string Figures(std::vector<absl::Duration> times) {
  if (times.empty()) return "none";
  std::sort(times.begin(), times.end());
  const auto text = [](absl::Duration time) {
    return absl::StrCat(absl::ToInt64Milliseconds(time), " ms");
  };
  return absl::StrCat("median ", text(times[times.size() / 2]), ", 99 % within ",
                      text(times[times.size() * 99 / 100]), ", longest ", text(times.back()));
}

size_t Mentions(const std::string& text, absl::string_view words) {
  return std::vector<absl::string_view>(absl::StrSplit(text, words)).size() - 1;
}

std::string Person(int number) { return absl::StrCat("p", number); }

SlapdOptions Directory(DirectoryAuthority& authority) {
  SlapdOptions options;
  options.certificate = authority.Issue({"localhost"}, {"127.0.0.1"});
  std::vector<std::string> all;
  for (int i = 0; i < kPeople; ++i) {
    options.ldif += PersonLdif(Person(i), "pw-" + Person(i));
    all.push_back(PersonDn(Person(i)));
  }
  options.ldif += GroupLdif("staff", all);
  return options;
}

class BrokerKillTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(RequireTls13InThisProcess().ok()); }

  void SetUp() override {
    brokers_[0] = std::make_unique<RunningBroker>(Replacements("b1"));
    brokers_[1] = std::make_unique<RunningBroker>(Replacements("b2"));
    // One authority and one sealing key for both.
    for (const char* file : {"ca.pem", "ca.key", "sealing.key"}) {
      ASSERT_TRUE(
          WriteFileAtomically(brokers_[1]->File(file), ReadWholeFile(brokers_[0]->File(file)), 0600)
              .ok());
    }
    for (const char* file : {"broker.pem", "broker.key"}) {
      ASSERT_EQ(unlink(brokers_[1]->File(file).c_str()), 0);
    }
    ASSERT_THAT(brokers_[1]->Command({"init"}), HasSubstr("broker.pem"));
    for (int i = 0; i < kPeople; ++i) {
      const std::string name = absl::StrCat("tc-", i);
      brokers_[0]->Command(
          {"issue", "--identity", "client", "--name", name, "--out", brokers_[0]->File(name)});
    }
    for (const auto& broker : brokers_) ASSERT_TRUE(broker->Start()) << broker->Log();
  }

  std::vector<std::pair<std::string, std::string>> Replacements(const std::string& name) {
    const int port = FreeLoopbackPort();
    ports_.push_back(port);
    return {{"name: b1\n", absl::StrCat("name: ", name, "\n")},
            {"127.0.0.1:7443", absl::StrCat("127.0.0.1:", port)},
            {"127.0.0.1:7444", absl::StrCat("127.0.0.1:", FreeLoopbackPort())},
            {"required: always", "required: except-on-networks\n  networks: [127.0.0.0/8]"},
            {"limits:\n", "limits:\n  sign_ins_per_machine: {per_second: 1000, burst: 1000}\n"},
            {"tls:\n", absl::StrCat(StoreSection(), "tls:\n")},
            {"ldaps://127.0.0.1:636", slapd_.url()},
            {"ldap-ca.pem", authority_.ca_file()},
            {"cn=werkplek,dc=example", Slapd::kServiceDn},
            {"bind.password", "service.password"},
            {"ou=people,dc=example", Slapd::kPeople},
            {"ou=groups,dc=example", Slapd::kGroups}};
  }

  std::string StoreSection() const {
    return absl::StrCat(
        "store:\n  etcd:\n    endpoints: [\"", absl::StrJoin(settings_.endpoints, "\", \""),
        "\"]\n    certificate: ", settings_.certificate, "\n    key: ", settings_.key,
        "\n    ca: ", settings_.ca, "\n    prefix: ", settings_.prefix, "\n    lease_ttl: 2s\n",
        "    request_timeout: 500ms\n");
  }

  std::unique_ptr<BrokerClient> ClientOf(int person, int first_broker) {
    const std::string folder = brokers_[0]->File(absl::StrCat("tc-", person));
    const TlsFiles files{folder + "/certificate.pem", folder + "/key.pem", folder + "/ca.pem"};
    std::vector<BrokerEndpoint> endpoints;
    for (int i = 0; i < 2; ++i) {
      const std::string address =
          absl::StrCat("127.0.0.1:", ports_[(first_broker + i) % ports_.size()]);
      const auto credentials = GrpcChannelCredentials(files, ExpectIdentity({v1::IDENTITY_BROKER}));
      EXPECT_TRUE(credentials.ok()) << credentials.status();
      endpoints.push_back(
          {address, grpc::CreateCustomChannel(address, *credentials, BrokerChannelArguments())});
    }
    return std::make_unique<BrokerClient>(std::move(endpoints), RetryPolicy());
  }

  // Signs in and uses the sign-in, again and again.
  void Live(int person) {
    const auto client = ClientOf(person, person % 2);
    while (!stop_) {
      const absl::Time began = absl::Now();
      std::string retries;
      client->SetRetryListener(
          [&](const std::string& address, const absl::Status& why, absl::Duration delay) {
            absl::StrAppend(&retries, "  ", FormatDuration(absl::Now() - began), " ", address, ": ",
                            why.ToString(), "; again in ", FormatDuration(delay), "\n");
          });
      v1::SignInRequest request;
      request.set_request_id(NewRequestId());
      request.set_user(Person(person));
      request.set_password("pw-" + Person(person));
      client->SetAccessToken(Secret());
      const auto signed_in = client->Call(&v1::SessionService::Stub::SignIn, request);
      const absl::Time ended = absl::Now();
      client->SetRetryListener(nullptr);
      absl::Status used;
      if (signed_in.ok()) {
        client->SetAccessToken(Secret(signed_in->access_token()));
        used = client->Call(&v1::SessionService::Stub::ListPools, v1::ListPoolsRequest()).status();
      }
      MutexLock lock(mutex_);
      last_[person] = began;
      sign_ins_.push_back({began, ended, std::move(retries)});
      if (!signed_in.ok()) failures_.push_back(signed_in.status().ToString());
      if (!used.ok()) failures_.push_back(absl::StrCat("lost: ", used.ToString()));
      if (!signed_in.ok()) continue;
      tokens_[person].push_back(signed_in->access_token());
      if (tokens_[person].size() > kKept) tokens_[person].pop_front();
    }
  }

  // True once everybody has signed in with a sign-in that began after now: a kill that follows is
  // the only one that anybody meets in one sign-in.
  bool EverybodySignsIn() {
    const absl::Time now = absl::Now();
    return Campaigner::Until([&] {
      MutexLock lock(mutex_);
      return std::all_of(last_.begin(), last_.end(), [&](absl::Time began) { return began > now; });
    });
  }

  // Nothing that was acknowledged is lost, whichever broker is asked. Nobody goes on meanwhile:
  // newer sign-ins would in the end take the place of these.
  void ExpectNothingLost() {
    MutexLock lock(mutex_);
    for (int person = 0; person < kPeople; ++person) {
      const auto client = ClientOf(person, (person + 1) % 2);
      for (const std::string& token : tokens_[person]) {
        client->SetAccessToken(Secret(token));
        const auto pools =
            client->Call(&v1::SessionService::Stub::ListPools, v1::ListPoolsRequest());
        EXPECT_TRUE(pools.ok()) << Person(person) << pools.status();
      }
    }
  }

  EtcdCluster cluster_;
  const EtcdSettings settings_ = cluster_.Settings();
  DirectoryAuthority authority_;
  Slapd slapd_{Directory(authority_)};
  std::vector<int> ports_;
  std::unique_ptr<RunningBroker> brokers_[2];
  std::atomic<bool> stop_{false};
  Mutex mutex_;
  // By person: when the last sign-in that ended began.
  std::vector<absl::Time> last_ ABSL_GUARDED_BY(mutex_) =
      std::vector<absl::Time>(kPeople, absl::InfinitePast());
  std::vector<Span> sign_ins_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> failures_ ABSL_GUARDED_BY(mutex_);
  // By person: the newest sign-ins.
  std::vector<std::deque<std::string>> tokens_ ABSL_GUARDED_BY(mutex_) =
      std::vector<std::deque<std::string>>(kPeople);
};

TEST_F(BrokerKillTest, PeopleGoOnSigningInWhileLeadersAreKilled) {
  std::vector<std::thread> people;
  for (int i = 0; i < kPeople; ++i) people.emplace_back([this, i] { Live(i); });
  EXPECT_TRUE(EverybodySignsIn());
  // From each kill to the next leader.
  std::vector<Span> without_leader;
  for (int kill = 0; kill < Kills(); ++kill) {
    RunningBroker& leader = *brokers_[kill % 2];
    RunningBroker& other = *brokers_[1 - kill % 2];
    EXPECT_THAT(leader.Log(), HasSubstr("event=leading")) << "the wrong one would be killed";
    const absl::Time killed = absl::Now();
    leader.Stop(SIGKILL);
    const std::string leads = absl::StrCat("event=leading epoch=", kill + 2);
    EXPECT_TRUE(Campaigner::Until([&] { return absl::StrContains(other.Log(), leads); }))
        << other.Log();
    without_leader.push_back({killed, absl::Now()});
    ExpectNothingLost();
    EXPECT_TRUE(EverybodySignsIn()) << other.Log();
    const size_t heard = Mentions(leader.Log(), "event=leader-answers");
    EXPECT_TRUE(leader.Start()) << leader.Log();
    // Who never heard the leader has to wait for the end of its lease (docs/adr/0085).
    EXPECT_TRUE(Campaigner::Until([&] {
      return Mentions(leader.Log(), "event=leader-answers") > heard;
    })) << leader.Log();
    EXPECT_TRUE(EverybodySignsIn()) << leader.Log();
  }
  stop_ = true;
  for (std::thread& person : people) person.join();
  ExpectNothingLost();

  MutexLock lock(mutex_);
  EXPECT_THAT(failures_, ::testing::IsEmpty());
  std::vector<absl::Duration> all, meanwhile, leaderless;
  for (const Span& one : sign_ins_) {
    all.push_back(one.took());
    const bool hit = std::any_of(without_leader.begin(), without_leader.end(),
                                 [&](const Span& span) { return one.Overlaps(span); });
    if (hit) meanwhile.push_back(one.took());
  }
  for (const Span& one : without_leader) leaderless.push_back(one.took());
  const Span& longest = *std::max_element(
      sign_ins_.begin(), sign_ins_.end(),
      [](const Span& one, const Span& other) { return one.took() < other.took(); });
  EXPECT_LT(longest.took(), kLongest);
  std::cout << "kills: " << leaderless.size() << "\nuntil the next leader: " << Figures(leaderless)
            << "\nsign-ins meanwhile: " << meanwhile.size() << ", " << Figures(meanwhile)
            << "\nall sign-ins: " << all.size() << ", " << Figures(all)
            << "\nthe longest: " << FormatDuration(longest.took()) << "\n"
            << longest.retries;
}

}  // namespace
}  // namespace werkplek
