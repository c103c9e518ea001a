// Servers that are down, silent, slow, frozen, restarted, or point elsewhere.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/integration/directory/directory_harness.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

// Takes connections on a loopback port and never says a word.
class SilentServer {
 public:
  SilentServer() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 128), 0);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~SilentServer() {
    stopping_ = true;
    thread_.join();
    for (const int connection : connections_) close(connection);
    close(listener_);
  }

  int port() const { return port_; }
  std::string url() const { return absl::StrCat("ldaps://127.0.0.1:", port_); }
  int taken() const { return taken_; }

 private:
  void Run() {
    while (!stopping_) {
      pollfd wait = {.fd = listener_, .events = POLLIN, .revents = 0};
      if (poll(&wait, 1, 20) != 1) continue;
      connections_.push_back(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
      ++taken_;
    }
  }

  const int listener_;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> taken_ = 0;
  std::vector<int> connections_;
  std::thread thread_;
};

class FailoverTest : public testing::Test {
 protected:
  SlapdOptions Options(int port = 0) {
    SlapdOptions options;
    options.port = port;
    options.certificate = authority_.Issue({}, {"127.0.0.1"});
    options.ldif = PersonLdif("jan", "right") + GroupLdif("team", {PersonDn("jan")});
    return options;
  }

  // Short, so that tests of silence are short.
  DirectorySettings Settings(const std::vector<std::string>& servers) const {
    DirectorySettings settings = SettingsFor(servers, authority_.ca_file());
    settings.network_timeout = absl::Milliseconds(300);
    settings.operation_timeout = absl::Milliseconds(400);
    settings.answer_timeout = absl::Milliseconds(2'000);
    settings.group_cache_time = absl::Nanoseconds(1);
    return settings;
  }

  // Asks until the answer is the wanted one; false after 30 s.
  static bool Becomes(DirectoryHarness& harness, DirectoryOutcome wanted) {
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while (absl::Now() < deadline) {
      if (harness.Authenticate("jan", "right").outcome == wanted) return true;
    }
    return false;
  }

  static std::string NobodyListens() {
    return absl::StrCat("ldaps://127.0.0.1:", FreeLoopbackPort());
  }

  DirectoryAuthority authority_;
};

TEST_F(FailoverTest, TheNextServerAnswersWhenTheFirstIsDown) {
  Slapd second(Options());
  DirectoryHarness harness(Settings({NobodyListens(), second.url()}));
  for (int i = 0; i < 20; ++i) {
    const DirectoryAnswer answer = harness.Authenticate("jan", "right");
    EXPECT_EQ(answer.outcome, DirectoryOutcome::kOk) << answer.detail;
    EXPECT_EQ(harness.Authenticate("jan", "wrong").outcome, DirectoryOutcome::kDenied);
  }
}

TEST_F(FailoverTest, TheNextServerAnswersWhenTheFirstIsSilent) {
  const SilentServer silent;
  Slapd second(Options());
  DirectoryHarness harness(Settings({silent.url(), second.url()}));
  const DirectoryAnswer answer = harness.Authenticate("jan", "right");
  EXPECT_EQ(answer.outcome, DirectoryOutcome::kOk) << answer.detail;
  EXPECT_GE(silent.taken(), 1);
}

TEST_F(FailoverTest, TheDefaultTimesLeaveRoomForTheNextServer) {
  const SilentServer silent;
  Slapd second(Options());
  DirectoryHarness harness(SettingsFor({silent.url(), second.url()}, authority_.ca_file()));
  EXPECT_EQ(harness.Authenticate("jan", "right").outcome, DirectoryOutcome::kOk);
}

TEST_F(FailoverTest, AllDownIsUnavailableAndNeverWrongPassword) {
  const SilentServer silent;
  DirectoryHarness harness(Settings({NobodyListens(), silent.url()}));
  for (int i = 0; i < 3; ++i) {
    const DirectoryAnswer answer = harness.Authenticate("jan", "right");
    EXPECT_EQ(answer.outcome, DirectoryOutcome::kUnavailable);
    EXPECT_THAT(answer.detail, HasSubstr("127.0.0.1"));
    EXPECT_EQ(harness.Find("jan").status().code(), absl::StatusCode::kUnavailable);
  }
}

TEST_F(FailoverTest, ASilentServerIsGivenUpAndProbedUntilItIsBack) {
  auto silent = std::make_unique<SilentServer>();
  DirectoryHarness harness(Settings({silent->url()}));
  // Ten failures open the circuit.
  while (harness.Authenticate("jan", "right").detail != "no directory server answers") {
    ASSERT_LE(silent->taken(), 40);
  }
  const int taken = silent->taken();
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(harness.Authenticate("jan", "right").outcome, DirectoryOutcome::kUnavailable);
  }
  // At most a probe went out meanwhile.
  EXPECT_LE(silent->taken(), taken + 1);

  const int port = silent->port();
  silent.reset();
  Slapd back(Options(port));
  EXPECT_TRUE(Becomes(harness, DirectoryOutcome::kOk));
}

TEST_F(FailoverTest, AServerThatIsKilledAndComesBackIsUsedAgain) {
  Slapd slapd(Options());
  DirectoryHarness harness(Settings({slapd.url()}));
  ASSERT_EQ(harness.Authenticate("jan", "right").outcome, DirectoryOutcome::kOk);
  slapd.Stop();
  EXPECT_EQ(harness.Authenticate("jan", "right").outcome, DirectoryOutcome::kUnavailable);
  slapd.Start();
  EXPECT_TRUE(Becomes(harness, DirectoryOutcome::kOk));
}

TEST_F(FailoverTest, ARestartBetweenTwoSignInsIsNotNoticed) {
  Slapd slapd(Options());
  DirectoryHarness harness(Settings({slapd.url()}));
  for (int i = 0; i < 3; ++i) {
    const DirectoryAnswer answer = harness.Authenticate("jan", "right");
    EXPECT_EQ(answer.outcome, DirectoryOutcome::kOk) << answer.detail;
    slapd.Stop();
    slapd.Start();
  }
}

TEST_F(FailoverTest, IdleConnectionsThatTheServerClosesAreReplaced) {
  SlapdOptions options = Options();
  options.global_config = "idletimeout 1";
  Slapd slapd(options);
  DirectoryHarness harness(Settings({slapd.url()}));
  ASSERT_EQ(harness.Authenticate("jan", "right").outcome, DirectoryOutcome::kOk);
  ASSERT_TRUE(slapd.LogShows("closed (idletimeout)"));
  EXPECT_EQ(harness.Authenticate("jan", "right").outcome, DirectoryOutcome::kOk);
}

TEST_F(FailoverTest, AFrozenServersCallsMoveToTheNext) {
  Slapd first(Options());
  Slapd second(Options());
  DirectoryHarness harness(Settings({first.url(), second.url()}));
  ASSERT_EQ(harness.Authenticate("jan", "right").outcome, DirectoryOutcome::kOk);
  ASSERT_EQ(second.CountInLog(" BIND dn=\"uid=jan"), 0);
  first.Freeze();
  for (int i = 0; i < 20; ++i) {
    const DirectoryAnswer answer = harness.Authenticate("jan", "right");
    EXPECT_EQ(answer.outcome, DirectoryOutcome::kOk) << answer.detail;
  }
  EXPECT_TRUE(second.LogShows(" BIND dn=\"uid=jan", 20));
  // Back again, it is the first choice again.
  first.Thaw();
  const int before = first.CountInLog(" RESULT tag=97 err=0");
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (first.CountInLog(" RESULT tag=97 err=0") < before + 5 && absl::Now() < deadline) {
    EXPECT_EQ(harness.Authenticate("jan", "right").outcome, DirectoryOutcome::kOk);
  }
  EXPECT_GE(first.CountInLog(" RESULT tag=97 err=0"), before + 5);
}

TEST_F(FailoverTest, ManyCallsToAFrozenServerAreAllAnswered) {
  Slapd slapd(Options());
  DirectorySettings settings = Settings({slapd.url()});
  settings.max_calls = 100;
  DirectoryHarness harness(settings);
  ASSERT_EQ(harness.Authenticate("jan", "right").outcome, DirectoryOutcome::kOk);
  slapd.Freeze();
  std::vector<std::future<DirectoryAnswer>> answers;
  for (int i = 0; i < 300; ++i) {
    auto promise = std::make_shared<std::promise<DirectoryAnswer>>();
    answers.push_back(promise->get_future());
    harness.directory().Authenticate("jan", Secret("right"), [promise](DirectoryAnswer answer) {
      promise->set_value(std::move(answer));
    });
  }
  int overloaded = 0;
  for (std::future<DirectoryAnswer>& answer : answers) {
    const DirectoryOutcome outcome = answer.get().outcome;
    EXPECT_TRUE(outcome == DirectoryOutcome::kUnavailable ||
                outcome == DirectoryOutcome::kOverloaded);
    if (outcome == DirectoryOutcome::kOverloaded) ++overloaded;
  }
  // Beyond the limit: refused at once.
  EXPECT_GE(overloaded, 200);
  slapd.Thaw();
  EXPECT_TRUE(Becomes(harness, DirectoryOutcome::kOk));
}

TEST_F(FailoverTest, GoingAwayAnswersWhatIsUnderWay) {
  const SilentServer silent;
  std::future<DirectoryAnswer> answer;
  LoopExecutor executor("test-loop");
  {
    auto made = LdapDirectory::Create(Settings({silent.url()}), &executor);
    ASSERT_TRUE(made.ok()) << made.status();
    auto promise = std::make_shared<std::promise<DirectoryAnswer>>();
    answer = promise->get_future();
    (*made)->Authenticate("jan", Secret("right"), [promise](DirectoryAnswer result) {
      promise->set_value(std::move(result));
    });
  }
  EXPECT_EQ(answer.get().outcome, DirectoryOutcome::kUnavailable);
}

TEST_F(FailoverTest, ReferralsAreNotFollowed) {
  Slapd elsewhere(Options());
  SlapdOptions options = Options();
  // For everything that this server does not hold; and one that hangs below the people.
  options.global_config = "referral " + elsewhere.url();
  options.ldif +=
      absl::StrCat("dn: ou=moved,", Slapd::kPeople,
                   "\nobjectClass: referral\nobjectClass: extensibleObject\nou: moved\n",
                   "ref: ", elsewhere.url(), "/", Slapd::kPeople, "\n\n");
  Slapd pointing(options);
  DirectoryHarness below(Settings({pointing.url()}));
  EXPECT_EQ(below.Authenticate("jan", "right").outcome, DirectoryOutcome::kOk);
  EXPECT_EQ(below.Authenticate("nobody", "right").outcome, DirectoryOutcome::kDenied);

  DirectorySettings settings = Settings({pointing.url()});
  settings.user_base = "ou=people,dc=elders,dc=nl";
  DirectoryHarness outside(settings);
  const DirectoryAnswer answer = outside.Authenticate("jan", "right");
  EXPECT_EQ(answer.outcome, DirectoryOutcome::kUnavailable);
  EXPECT_THAT(answer.detail, HasSubstr("LDAP result 10"));

  // The other server never heard of us.
  EXPECT_EQ(elsewhere.CountInLog(" ACCEPT from IP="), 0);
  EXPECT_EQ(elsewhere.CountInLog(" BIND "), 0);
  EXPECT_EQ(elsewhere.CountInLog(" SRCH "), 0);
}

}  // namespace
}  // namespace werkplek
