#include "tests/sim/user.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/crypto.h"
#include "tests/sim/otpauth.h"
#include "tests/sim/world.h"

namespace werkplek::sim {

User::User(World& world, int index, std::string seed, std::string seed_id,
           std::vector<std::string> groups)
    : world_(world),
      name_(absl::StrCat("user", index)),
      groups_(std::move(groups)),
      seed_(std::move(seed)),
      seed_id_(std::move(seed_id)),
      client_(world, absl::StrCat("tc-", index), static_cast<size_t>(index)) {
  caller_.identity = v1::IDENTITY_CLIENT;
  caller_.peer = absl::StrCat("client/tc-", index);
  caller_.certificate_sha256 = Sha256(absl::StrCat("certificate of tc-", index));
  caller_.address = absl::StrCat("10.0.1.", index, ":1000");
}

std::string User::RequestId() { return absl::StrCat(name_, "-", next_request_++); }

void User::Say(const std::string& what) {
  doing_ = what;
  doing_since_ = world_.now();
  world_.Say(name_, " ", what);
}

std::string User::Doing() const {
  return absl::StrCat(name_, " ", doing_, " for ",
                      absl::FormatDuration(world_.now() - doing_since_));
}

void User::Begin(absl::Duration after) { ActSoon(after, after); }

void User::ActSoon(absl::Duration least, absl::Duration most) {
  world_.After(world_.chance().Between(least, most), [this, plan = ++plan_] {
    if (plan == plan_) Act();
  });
}

void User::GoHome() {
  going_home_ = true;
  // A plan that waits for an answer goes on; one that only waits for time is made now.
  if (display_ != 0 || doing_ == "rests" || doing_ == "sleeps") {
    ActSoon(absl::ZeroDuration(), absl::Seconds(2));
  }
}

void User::NewToken(const std::string& uri, const std::string& seed_id) {
  seed_ = SeedOfUri(uri);
  seed_id_ = seed_id;
  last_step_ = world_.wall_step();
}

void User::Probe(std::function<void(bool)> done) {
  probe_ = std::move(done);
  home_ = going_home_ = false;
  Act();
}

void User::DropToken() {
  signed_in_ = false;
  caller_.token_sha256.clear();
}

void User::Act() {
  if (home_) return;
  if (going_home_) return HeadHome();
  if (!world_.busy() && !probe_ && display_ == 0 && session_.empty()) {
    doing_ = "rests";
    return ActSoon(absl::Seconds(2), absl::Seconds(5));
  }
  if (!signed_in_) return SignIn();
  if (display_ == 0) return Connect();
  Work();
}

void User::HeadHome() {
  if (display_ != 0) CloseDisplay();
  // As `werkplek list` tells: also a session whose `ready` never arrived.
  const Picture fleet = world_.picture();
  if (session_.empty() && fleet != nullptr) {
    const std::string prefix = LiveSessionKey(name_, "");
    const auto own = fleet->live_sessions.After(prefix);
    if (own != fleet->live_sessions.end() && own->key.rfind(prefix, 0) == 0) {
      session_ = *own->record;
    }
  }
  if (!session_.empty()) {
    if (!signed_in_) return SignIn();
    return EndSession(0);
  }
  if (signed_in_) return SignOut(0);
  home_ = true;
  Say("is home");
}

void User::Work() {
  Chance& chance = world_.chance();
  const Scenario& scenario = world_.scenario();
  if (probe_) return;
  const uint64_t what = chance.Below(100);
  const bool restless = scenario.Has(Workload::kReconnects);
  if (what < (restless ? 50u : 15u)) {
    Say("closes the viewer");
    CloseDisplay();
    ActSoon(absl::Milliseconds(500), absl::Seconds(restless ? 20 : 60));
  } else if (what < 60) {
    Say("connects again from the same client");
    Connect();
  } else if (what < 68) {
    Disconnect();
  } else if (what < 76 && scenario.guest_agent) {
    Say("logs out inside");
    if (Machine* machine = world_.MachineOf(desktop_)) machine->hypervisor().LogOutInside(desktop_);
    ActSoon(absl::Seconds(1), absl::Seconds(10));
  } else if (what < 80) {
    Say("switches the desktop off inside");
    if (Machine* machine = world_.MachineOf(desktop_)) {
      machine->hypervisor().PowerOffInside(desktop_);
    }
    ActSoon(absl::Seconds(1), absl::Seconds(10));
  } else if (what < 92) {
    EndSession(0);
  } else {
    CloseDisplay();
    SignOut(0);
  }
}

void User::Disconnect() {
  Say("disconnects");
  auto request = std::make_shared<v1::DisconnectRequest>();
  request->set_request_id(RequestId());
  request->set_session(session_);
  client_.Call(
      caller_, request, [](const BrokerProcess::Answer&) {},
      [this](const BrokerProcess::Answer& answer) {
        if (absl::IsUnauthenticated(answer.status())) DropToken();
        ActSoon(absl::Seconds(1), absl::Seconds(20));
      });
}

void User::EndSession(int tries) {
  Say("ends the session");
  auto request = std::make_shared<v1::EndSessionRequest>();
  request->set_request_id(RequestId());
  request->set_session(session_);
  client_.Call(
      caller_, request,
      [this, session = session_](const BrokerProcess::Answer& answer) {
        if (!answer.ok()) return;
        ChangeAcknowledged change;
        change.kind = ChangeAcknowledged::Kind::kEndSession;
        change.at = world_.now();
        change.after_commits = world_.history().commits.size();
        change.what = session;
        world_.history().acknowledged.push_back(change);
      },
      [this, tries](const BrokerProcess::Answer& answer) {
        if (Client::MayRetry(answer.status()) && tries < 100) {
          return world_.After(absl::Seconds(1), [this, tries] { EndSession(tries + 1); });
        }
        if (absl::IsUnauthenticated(answer.status())) {
          DropToken();
        } else {
          session_.clear();
        }
        CloseDisplay();
        doing_ = "rests";
        ActSoon(absl::Seconds(1), absl::Seconds(going_home_ ? 2 : 15));
      });
}

void User::SignOut(int tries) {
  Say("signs out");
  auto request = std::make_shared<v1::SignOutRequest>();
  request->set_request_id(RequestId());
  const std::string token = caller_.token_sha256;
  client_.Call(
      caller_, request,
      [this, token](const BrokerProcess::Answer& answer) {
        if (!answer.ok()) return;
        ChangeAcknowledged change;
        change.kind = ChangeAcknowledged::Kind::kSignOut;
        change.at = world_.now();
        change.after_commits = world_.history().commits.size();
        change.what = token;
        world_.history().acknowledged.push_back(change);
      },
      [this, tries, token](const BrokerProcess::Answer& answer) {
        if (Client::MayRetry(answer.status()) && tries < 100) {
          return world_.After(absl::Seconds(1), [this, tries] { SignOut(tries + 1); });
        }
        DropToken();
        if (answer.ok() && world_.busy()) UseDeadToken(token);
        doing_ = "rests";
        ActSoon(absl::Seconds(1), absl::Seconds(going_home_ ? 2 : 20));
      });
}

void User::UseDeadToken(const std::string& token_sha256) {
  world_.After(world_.chance().Between(absl::Milliseconds(10), absl::Seconds(40)),
               [this, token_sha256] {
                 Caller caller = caller_;
                 caller.token_sha256 = token_sha256;
                 auto request = std::make_shared<v1::DisconnectRequest>();
                 request->set_request_id(RequestId());
                 request->set_session("none");
                 const absl::Duration sent = world_.now();
                 client_.Call(
                     caller, request,
                     [this, token_sha256, sent](const BrokerProcess::Answer& answer) {
                       const bool taken = answer.ok() || absl::IsNotFound(answer.status());
                       world_.history().tokens_used.push_back({sent, token_sha256, taken});
                     },
                     [](const BrokerProcess::Answer&) {});
               });
}

}  // namespace werkplek::sim
