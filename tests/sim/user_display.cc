// How people get their desktops and see them, and how tickets are abused.
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/crypto.h"
#include "tests/sim/user.h"
#include "tests/sim/world.h"

namespace werkplek::sim {

void User::Connect() {
  Chance& chance = world_.chance();
  std::string pool = session_pool_;
  if (session_.empty() || pool.empty()) {
    // Mostly a pool of one's own, at times one that is not.
    pool = absl::StrCat("pool-", chance.Below(world_.scenario().pools));
    const bool careful = probe_ || !world_.busy();
    if (careful || chance.Percent(60)) pool = "pool-0";
  }
  v1::ConnectRequest request;
  request.set_request_id(RequestId());
  request.set_pool(pool);
  Say(absl::StrCat("waits for ", pool));
  TryConnect(request, 0);
}

void User::TryConnect(const v1::ConnectRequest& request, int tries) {
  const uint64_t plan = ++plan_;
  client_.Connect(
      caller_, request,
      [this, pool = request.pool()](const BrokerProcess::Update& update) {
        if (!update.ok() || !update->has_ready()) return;
        const v1::Ready& ready = update->ready();
        world_.history().readies.push_back({world_.now(), world_.history().commits.size(), name_,
                                            pool, ready.session(), ready.desktop(), ready.host(),
                                            Sha256(ready.ticket()), caller_.certificate_sha256});
      },
      [this, request, tries, plan](const BrokerProcess::Update& update, bool last) {
        if (plan == plan_) OnUpdate(request, tries, update, last);
      });
}

void User::OnUpdate(const v1::ConnectRequest& request, int tries,
                    const BrokerProcess::Update& update, bool last) {
  if (!update.ok()) {
    world_.Say(name_, " connect: ", absl::StatusCodeToString(update.status().code()));
    if (absl::IsUnauthenticated(update.status())) DropToken();
    if (Client::MayRetry(update.status()) && tries < 20) {
      return world_.After(world_.chance().Between(absl::Milliseconds(200), absl::Seconds(3)),
                          [this, request, tries, plan = plan_] {
                            if (plan == plan_) TryConnect(request, tries + 1);
                          });
    }
    return ActSoon(absl::Seconds(1), absl::Seconds(8));
  }
  if (update->has_refused()) {
    world_.Say(name_, " is refused: ", update->refused().rule());
    session_pool_.clear();
    doing_ = "rests";
    return ActSoon(absl::Seconds(3), absl::Seconds(20));
  }
  if (!update->has_ready()) {
    if (last) ActSoon(absl::Seconds(1), absl::Seconds(5));
    return;
  }
  const v1::Ready ready = update->ready();
  session_ = ready.session();
  session_pool_ = request.pool();
  desktop_ = ready.desktop();
  host_ = ready.host();
  Say(absl::StrCat("has ", ready.desktop(), " in session ", ready.session()));
  if (world_.busy() && !going_home_ && world_.chance().Percent(6)) {
    // Leaves it lie, and somebody finds it.
    AbuseTicket(ready);
    return ActSoon(absl::Seconds(1), absl::Seconds(50));
  }
  OpenDisplay(ready, 0);
}

void User::OpenDisplay(const v1::Ready& ready, int tries) {
  if (going_home_) return ActSoon(absl::ZeroDuration(), absl::Seconds(1));
  AgentProcess& agent = world_.agent(ready.host());
  const auto again = [this, ready, tries, plan = plan_] {
    if (tries >= 5) return ActSoon(absl::Milliseconds(500), absl::Seconds(3));
    world_.After(absl::Milliseconds(400), [this, ready, tries, plan] {
      if (plan == plan_) OpenDisplay(ready, tries + 1);
    });
  };
  if (!agent.up()) return again();
  AgentProcess::Viewer viewer;
  viewer.desktop = ready.desktop();
  viewer.user = name_;
  viewer.machine = client_.machine();
  viewer.session = ready.session();
  viewer.ticket_sha256 = Sha256(ready.ticket());
  viewer.certificate_sha256 = caller_.certificate_sha256;
  viewer.viewer = absl::StrCat(name_, "-viewer-", next_viewer_++);
  const uint64_t display = next_display_++;
  viewer.answer = [this, ready, again, display, plan = plan_](agent::TicketAnswer answer,
                                                              uint64_t channel) {
    if (answer != agent::TicketAnswer::kGranted) {
      if (plan == plan_) again();
      return;
    }
    display_ = display;
    ShowDisplay(ready, channel);
  };
  viewer.gone = [this, display] { DisplayGone(display); };
  agent.Present(viewer);
  // A request that nobody answers (the agent died meanwhile) is made again.
  world_.After(absl::Seconds(3), [this, display, again, plan = plan_] {
    if (plan == plan_ && display_ < display) again();
  });
}

void User::ShowDisplay(const v1::Ready& ready, uint64_t channel) {
  channel_ = channel;
  channel_host_ = ready.host();
  Say(absl::StrCat("sees ", ready.desktop()));
  if (probe_) {
    const auto done = std::exchange(probe_, nullptr);
    return done(true);
  }
  Chance& chance = world_.chance();
  if (world_.busy() && chance.Percent(30)) AbuseTicket(ready);
  const bool restless = world_.scenario().Has(Workload::kReconnects);
  ActSoon(absl::Seconds(1), absl::Seconds(restless ? 15 : 40));
}

void User::DisplayGone(uint64_t display) {
  if (display != display_) return;
  display_ = 0;
  channel_ = 0;
  // Whoever takes the own session over sees the old display close, and waits for the new one.
  const bool waits = doing_.rfind("waits", 0) == 0;
  world_.Say(name_, " lost the display");
  if (waits) return;
  Say("looks at a dark screen");
  ActSoon(absl::Milliseconds(300), absl::Seconds(5));
}

void User::CloseDisplay() {
  if (display_ == 0) return;
  display_ = 0;
  world_.agent(channel_host_).CloseChannel(channel_);
}

void User::AbuseTicket(const v1::Ready& ready) {
  Chance& chance = world_.chance();
  AgentProcess::Viewer viewer;
  viewer.desktop = ready.desktop();
  viewer.user = name_;
  viewer.machine = client_.machine();
  viewer.session = ready.session();
  viewer.ticket_sha256 = Sha256(ready.ticket());
  viewer.certificate_sha256 = caller_.certificate_sha256;
  viewer.viewer = absl::StrCat(name_, "-abuse-", next_viewer_++);
  viewer.answer = [](agent::TicketAnswer, uint64_t) {};
  viewer.gone = [] {};
  absl::Duration after = chance.Between(absl::Milliseconds(10), absl::Seconds(60));
  if (chance.Percent(40)) {
    // Another person, from another client.
    viewer.user = "thief";
    viewer.session = "theft";
    viewer.certificate_sha256 = Sha256("certificate of a thief");
    after = chance.Between(absl::Milliseconds(1), absl::Seconds(5));
  }
  world_.After(after, [this, host = ready.host(), viewer] {
    if (world_.agent(host).up()) world_.agent(host).Present(viewer);
  });
}

}  // namespace werkplek::sim
