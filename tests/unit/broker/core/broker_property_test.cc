// Random days of a small municipality, with the promises of docs/architecture.md judged after every
// single decision.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/model/kept.h"
#include "tests/unit/broker/core/driver.h"
#include "tests/unit/broker/core/promises.h"

namespace werkplek {
namespace {

class Days {
 public:
  explicit Days(uint64_t seed) : random_(seed), checker_(driver_) {
    driver_.check = [this](const Event&, const Decision& decision) {
      FenceSilent();
      checker_.Judge(decision);
    };
    driver_.Create(MakeSite("a"));
    driver_.Create(MakeSite("b"));
    for (const std::string name : {"hv-a1", "hv-a2", "hv-b1"}) {
      v1::Resource host = MakeHost(name, name[3] == 'a' ? "a" : "b");
      host.mutable_host()->set_memory_limit_mib(6 * 1024);
      host.mutable_host()->set_max_desktops(6);
      host.mutable_host()->set_max_starts_in_flight(2);
      driver_.Create(host);
    }
    driver_.Create(MakeImage("tiny"));
    for (const std::string name : {"kantoor", "balie", "eigen"}) {
      v1::Resource pool = MakePool(name, 2, 6, 1);
      if (name == "eigen") {
        pool.mutable_pool()->set_kind(v1::POOL_KIND_DEDICATED);
        pool.mutable_pool()->set_storage("san");
        pool.mutable_pool()->set_min_desktops(0);
      }
      pool.mutable_pool()->mutable_disconnect()->set_suspend_after_s(20);
      pool.mutable_pool()->mutable_disconnect()->set_end_after_s(90);
      pool.mutable_pool()->set_start_deadline_s(20);
      pool.mutable_pool()->set_queue_deadline_s(60);
      if (name == "kantoor") pool.mutable_pool()->set_storage("san");
      driver_.Create(pool);
      driver_.Create(MakeEntitlement(name));
    }
    for (const std::string name : {"hv-a1", "hv-a2", "hv-b1"}) {
      FakeHost& host = driver_.AddHost(name);
      host.AttachStorage();
      host.report().set_migration_uri("qemu+tls://" + name + "/system");
    }
    checker_.allow_reset = true;
    driver_.lose_command = [this] { return lossy_ && Chance(20); };
  }

  void Run(int events) {
    for (int i = 0; i < events && !testing::Test::HasFatalFailure(); ++i) {
      OneThing();
      if (i % 50 == 0) checker_.JudgeStore();
    }
    checker_.JudgeStore();
  }

  uint64_t Moves(const std::string& outcome) const { return driver_.Counted("moves", outcome); }

  // After everything heals, nothing hangs.
  void HealAndJudge() {
    lossy_ = false;
    driver_.hold_moves = false;
    for (auto& [name, host] : driver_.hosts) {
      Wake(host);
      host.stuck = false;
      host.start_error.clear();
      host.move_error.clear();
      v1::SetSchedulabilityRequest request;
      request.set_kind(v1::RESOURCE_KIND_HOST);
      request.set_name(name);
      EXPECT_TRUE(driver_.Call(Fresh("beheer"), request).ok());
    }
    for (const std::string name : {"kantoor", "balie", "eigen"}) {
      v1::SetSchedulabilityRequest request;
      request.set_kind(v1::RESOURCE_KIND_POOL);
      request.set_name(name);
      EXPECT_TRUE(driver_.Call(Fresh("beheer"), request).ok());
    }
    // Everybody goes home.
    for (auto& [name, host] : driver_.hosts) {
      for (auto& desktop : *host.report().mutable_desktops()) desktop.set_viewer(v1::VIEWER_NONE);
    }
    driver_.Advance(absl::Minutes(5));
    for (const auto& entry : driver_.fleet().sessions) {
      EXPECT_EQ(entry.record->state(), v1::SESSION_STATE_ENDED) << entry.record->ShortDebugString();
    }
    std::map<std::string, int> ready;
    for (const auto& entry : driver_.fleet().desktops) {
      const v1::DesktopState state = entry.record->state();
      EXPECT_TRUE(state == v1::DESKTOP_STATE_READY || state == v1::DESKTOP_STATE_ASSIGNED ||
                  state == v1::DESKTOP_STATE_ERROR ||
                  (state == v1::DESKTOP_STATE_OFF && IsKept(*entry.record)))
          << entry.record->ShortDebugString();
      EXPECT_EQ(entry.record->moving_to(), "");
      ready[entry.record->pool()] += state == v1::DESKTOP_STATE_READY ? 1 : 0;
    }
    for (const std::string name : {"kantoor", "balie"}) {
      EXPECT_EQ(driver_.fleet().pool_soft.Find(name)->waiting, 0u) << name;
      EXPECT_EQ(driver_.fleet().pool_soft.Find(name)->breaker, "") << name;
    }
    // Somebody new gets a desktop.
    const CallId call = driver_.Connect(Fresh("nieuw"), "kantoor");
    driver_.Advance(absl::Seconds(10));
    EXPECT_TRUE(driver_.Last(call).has_ready()) << driver_.Last(call).ShortDebugString();
  }

 private:
  uint64_t Draw(uint64_t below) { return random_() % below; }
  bool Chance(uint64_t percent) { return Draw(100) < percent; }
  std::string User() { return absl::StrCat("u", Draw(12)); }
  std::string Pool() {
    const uint64_t which = Draw(10);
    return which < 5 ? "kantoor" : which < 7 ? "balie" : "eigen";
  }

  // A token of the user that lives.
  std::string Fresh(const std::string& user) {
    return tokens_[user] = driver_.SignIn(
               user, user == "beheer"
                         ? std::vector<v1::Role>{v1::ROLE_ADMINISTRATOR, v1::ROLE_HELPDESK}
                         : std::vector<v1::Role>{});
  }
  std::string Token(const std::string& user) {
    return tokens_.count(user) != 0 && !Chance(10) ? tokens_[user] : Fresh(user);
  }

  // The hypervisors are honest: of a fenced desktop no two copies ever run, and a host that was
  // silent for long has stopped its own.
  void FenceSilent() {
    for (auto& [name, host] : driver_.hosts) {
      const auto since = silent_since_.find(name);
      if (!host.silent || since == silent_since_.end() ||
          driver_.now - since->second < absl::Seconds(11)) {
        continue;
      }
      for (auto& desktop : *host.report().mutable_desktops()) {
        if (desktop.desktop().rfind("eigen", 0) != 0) continue;
        if (desktop.power() == v1::POWER_OFF) continue;
        desktop.set_power(v1::POWER_OFF);
        desktop.set_fenced(true);
      }
    }
    std::map<std::string, std::string> runs;
    for (auto& [name, host] : driver_.hosts) {
      for (const auto& desktop : host.report().desktops()) {
        if (desktop.desktop().rfind("eigen", 0) != 0 || desktop.power() == v1::POWER_OFF) continue;
        EXPECT_TRUE(runs.emplace(desktop.desktop(), name).second)
            << desktop.desktop() << " runs on " << runs[desktop.desktop()] << " and on " << name;
      }
    }
  }

  FakeHost& Host() {
    auto at = driver_.hosts.begin();
    std::advance(at, Draw(driver_.hosts.size()));
    return at->second;
  }

  // Its stream may be to a broker that is no more.
  void Wake(FakeHost& host) {
    if (!host.silent) return;
    host.silent = false;
    driver_.Apply(AgentAttached{host.name(), host.link});
  }

  v1::DesktopReport* AnyDesktop() {
    auto& desktops = *Host().report().mutable_desktops();
    return desktops.empty() ? nullptr : desktops.Mutable(static_cast<int>(Draw(desktops.size())));
  }

  void OneThing() {
    switch (Draw(21)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        calls_.push_back(driver_.Connect(Token(User()), Pool()));
        break;
      }
      case 4:
        if (!calls_.empty()) driver_.Apply(CallCancelled{calls_[Draw(calls_.size())]});
        break;
      case 5:
      case 6:
        OpenDisplay();
        break;
      case 7:
        LeaveDisplay();
        break;
      case 8:
      case 9:
        EndOrDisconnect();
        break;
      case 10:
        BreakDesktop();
        break;
      case 11:
        BreakHost();
        break;
      case 12:
        Administer();
        break;
      case 13:
        SignInWithOldCode();
        break;
      case 14:
        if (Chance(10)) {
          driver_.Restart();
        } else {
          lossy_ = Chance(30);
        }
        break;
      case 15:
        DrainOrOpen();
        break;
      default:
        driver_.Advance(absl::Milliseconds(250 + 250 * Draw(20)));
    }
  }

  void OpenDisplay() {
    v1::DesktopReport* desktop = AnyDesktop();
    if (desktop == nullptr || desktop->open_tickets().empty()) return;
    desktop->clear_open_tickets();
    desktop->set_viewer(v1::VIEWER_CONNECTED);
  }

  void LeaveDisplay() {
    v1::DesktopReport* desktop = AnyDesktop();
    if (desktop == nullptr || desktop->viewer() != v1::VIEWER_CONNECTED) return;
    desktop->set_viewer(v1::VIEWER_GONE);
    if (Chance(30)) desktop->set_guest(v1::GUEST_STATE_LOGGED_OUT);
  }

  void EndOrDisconnect() {
    const std::string user = User();
    const v1::Session* session = driver_.SessionOf(user);
    if (session == nullptr) return;
    const std::string id = session->id();
    switch (Draw(4)) {
      case 0: {
        v1::EndSessionRequest request;
        request.set_session(id);
        EXPECT_TRUE(driver_.Call(Fresh(user), request).ok());
        break;
      }
      case 1: {
        v1::DisconnectRequest request;
        request.set_session(id);
        EXPECT_TRUE(driver_.Call(Fresh(user), request).ok());
        break;
      }
      case 2: {
        v1::SignOutRequest request;
        EXPECT_TRUE(driver_.Call(Fresh(user), request).ok());
        break;
      }
      default: {
        v1::RevokeSignInsRequest request;
        request.set_user(user);
        EXPECT_TRUE(driver_.Call(Fresh("beheer"), request).ok());
        break;
      }
    }
  }

  void BreakDesktop() {
    FakeHost& host = Host();
    auto& desktops = *host.report().mutable_desktops();
    if (desktops.empty()) return;
    const int at = static_cast<int>(Draw(desktops.size()));
    switch (Draw(4)) {
      case 0:
        desktops.Mutable(at)->set_power(v1::POWER_OFF);
        break;
      case 1:
        desktops.DeleteSubrange(at, 1);
        break;
      case 2:
        desktops.Mutable(at)->set_generation(desktops.Get(at).generation() + 3);
        break;
      default: {
        v1::DesktopReport* foreign = desktops.Add();
        foreign->set_desktop(absl::StrCat("unknown-", Draw(3)));
        foreign->set_generation(1);
        break;
      }
    }
  }

  // One of two hosts of a site is emptied for a while, people and all.
  void DrainOrOpen() {
    v1::SetSchedulabilityRequest request;
    request.set_kind(v1::RESOURCE_KIND_HOST);
    request.set_name(Chance(50) ? "hv-a1" : "hv-a2");
    const v1::Host& host = driver_.fleet().hosts.Find(request.name())->host();
    request.set_schedulability(host.schedulability() == v1::SCHEDULABILITY_OPEN
                                   ? v1::SCHEDULABILITY_DRAINING
                                   : v1::SCHEDULABILITY_OPEN);
    EXPECT_TRUE(driver_.Call(Fresh("beheer"), request).ok());
  }

  void BreakHost() {
    FakeHost& host = Host();
    switch (Draw(7)) {
      case 0:
        if (!host.silent) silent_since_[host.name()] = driver_.now;
        host.silent = true;
        break;
      case 1:
        host.stuck = !host.stuck;
        break;
      case 2:
        host.start_error = Chance(50) ? "no space left" : "";
        break;
      case 3:
        host.move_error = Chance(50) ? "unsupported CPU" : "";
        break;
      case 4:
        // Moves last a while; some are over in the middle of other things.
        driver_.FinishMoves();
        driver_.hold_moves = Chance(50);
        break;
      default:
        Wake(host);
        host.start_error.clear();
        host.stuck = false;
    }
  }

  void Administer() {
    switch (Draw(5)) {
      case 4: {
        v1::RebalanceRequest request;
        request.set_site("a");
        request.set_dry_run(Chance(20));
        EXPECT_TRUE(driver_.Call(Fresh("beheer"), request).ok());
        break;
      }
      case 0: {
        v1::SetSchedulabilityRequest request;
        request.set_kind(Chance(50) ? v1::RESOURCE_KIND_HOST : v1::RESOURCE_KIND_POOL);
        request.set_name(request.kind() == v1::RESOURCE_KIND_HOST ? Host().name() : Pool());
        request.set_schedulability(static_cast<v1::Schedulability>(Draw(5) % 3));
        EXPECT_TRUE(driver_.Call(Fresh("beheer"), request).ok());
        break;
      }
      case 1: {
        v1::UpdateResourceRequest request;
        *request.mutable_resource() = *driver_.fleet().images.Find("tiny");
        request.mutable_resource()->mutable_image()->set_sha256(
            std::string(64, Chance(50) ? 'a' : 'b'));
        EXPECT_TRUE(driver_.Call(Fresh("beheer"), request).ok());
        break;
      }
      case 2: {
        v1::UpdateResourceRequest request;
        *request.mutable_resource() = *driver_.fleet().pools.Find(Pool());
        v1::Pool& pool = *request.mutable_resource()->mutable_pool();
        pool.set_max_desktops(static_cast<uint32_t>(2 + Draw(6)));
        pool.set_min_desktops(static_cast<uint32_t>(Draw(3)));
        pool.set_running_spares(static_cast<uint32_t>(Draw(3)));
        pool.set_memory_mib(Chance(50) ? 1024 : 1536);
        EXPECT_TRUE(driver_.Call(Fresh("beheer"), request).ok());
        break;
      }
      default: {
        if (driver_.fleet().desktops.empty()) return;
        v1::ResetDesktopRequest request;
        auto at = driver_.fleet().desktops.begin();
        for (uint64_t skip = Draw(driver_.fleet().desktops.size()); skip > 0; --skip) ++at;
        request.set_desktop(at->key);
        driver_.Call(Fresh("beheer"), request).IgnoreError();
        break;
      }
    }
  }

  void SignInWithOldCode() {
    const std::string user = User();
    Fresh(user);
    SignInChecked event = driver_.GoodSignIn(user);
    // Fresh has just used this one.
    --event.matched_step;
    driver_.Apply(event);
    EXPECT_EQ(driver_.fleet().sign_ins.Find(event.sign_in_id), nullptr) << "a code was taken twice";
  }

  std::mt19937_64 random_;
  Driver driver_;
  Promises checker_;
  bool lossy_ = false;
  std::map<std::string, absl::Time> silent_since_;
  std::map<std::string, std::string> tokens_;
  std::vector<CallId> calls_;
};

class BrokerPropertyTest : public testing::TestWithParam<int> {};

TEST_P(BrokerPropertyTest, ThePromisesHoldOnARandomDay) {
  Days days(static_cast<uint64_t>(GetParam()));
  days.Run(600);
  if (HasFailure()) return;
  days.HealAndJudge();
}

TEST(BrokerDaysTest, DesktopsMoveOnThem) {
  std::map<std::string, uint64_t> moves;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    Days days(seed);
    days.Run(300);
    for (const char* outcome : {"begun", "done", "failed"}) moves[outcome] += days.Moves(outcome);
  }
  for (const char* outcome : {"begun", "done", "failed"}) {
    EXPECT_GT(moves[outcome], 0u) << "the promises about moves were not judged on any " << outcome;
    RecordProperty(outcome, absl::StrCat(moves[outcome]));
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, BrokerPropertyTest, testing::Range(1, 101));

}  // namespace
}  // namespace werkplek
