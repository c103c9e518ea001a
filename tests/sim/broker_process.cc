#include "tests/sim/broker_process.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/sim/world.h"

namespace werkplek::sim {
namespace {

constexpr absl::Duration kUnaryTimeout = absl::Seconds(15);
constexpr absl::Duration kKeepalive = absl::Seconds(20);
constexpr absl::Duration kConnectTimeout = absl::Minutes(10);

}  // namespace

BrokerProcess::BrokerProcess(World& world, FaultyStore* store, const TokenAuthority* tokens)
    : world_(world),
      store_(store, &world.executor(), &world.chance(), world.scenario().sabotage),
      tokens_(tokens),
      directory_(std::make_unique<FakeDirectory>(&world.executor())) {}

void BrokerProcess::SetNewsDelay(absl::Duration delay) {
  news_delay_ = delay;
  if (election_ != nullptr) election_->SetNewsDelay(delay);
}

void BrokerProcess::Start() {
  if (up()) return;
  ++run_;
  store_.run = run_;
  world_.Say("broker starts");
  election_ = std::make_unique<FakeElection>(&world_.executor());
  election_->Surpass(world_.highest_epoch());
  election_->SetNewsDelay(news_delay_);
  NodeSettings settings;
  settings.broker = world_.broker_settings();
  if (world_.scenario().sabotage == Sabotage::kSkipToken) {
    settings.token_waived_networks = {"0.0.0.0/0"};
  }
  settings.role_groups = {{v1::ROLE_ADMINISTRATOR, "admins"}, {v1::ROLE_HELPDESK, "admins"}};
  NodeParts parts;
  parts.executor = &world_.executor();
  parts.store = &store_;
  parts.election = election_.get();
  parts.directory = directory_.get();
  parts.agents = this;
  parts.tokens = tokens_;
  node_ = std::make_unique<BrokerNode>(settings, parts);
  node_->Start();
}

void BrokerProcess::Kill() {
  if (!up()) return;
  world_.Say("broker is killed");
  ++run_;
  store_.run = run_;
  world_.NoteEpoch(election_->last_epoch());
  const auto broken = std::exchange(exchanges_, {});
  node_.reset();
  election_.reset();
  for (const std::weak_ptr<Exchange>& weak : broken) {
    if (const ExchangePointer exchange = weak.lock()) {
      world_.After(
          Hop(), [this, exchange] { Fail(exchange, absl::UnavailableError("connection reset")); });
    }
  }
  world_.BrokerGone();
}

absl::Duration BrokerProcess::Hop() {
  return world_.chance().Between(absl::Microseconds(100), absl::Milliseconds(4));
}

BrokerProcess::ExchangePointer BrokerProcess::Begin(absl::Duration timeout,
                                                    std::function<void(const absl::Status&)> fail) {
  const auto exchange = std::make_shared<Exchange>();
  exchange->fail = std::move(fail);
  exchanges_.remove_if([](const std::weak_ptr<Exchange>& weak) {
    const ExchangePointer other = weak.lock();
    return other == nullptr || other->ended;
  });
  exchanges_.push_back(exchange);
  world_.After(timeout, [this, exchange] {
    if (node_ != nullptr && exchange->call != 0 && !exchange->ended) node_->Cancel(exchange->call);
    Fail(exchange, absl::DeadlineExceededError("no answer"));
  });
  return exchange;
}

void BrokerProcess::Fail(const ExchangePointer& exchange, const absl::Status& why) {
  if (std::exchange(exchange->ended, true)) return;
  exchange->fail(why);
}

void BrokerProcess::Deliver(const ExchangePointer& exchange, std::function<void()> arrive) {
  if (world_.chance().Percent(loss_)) {
    // The connection breaks and tells soon, or only its keepalive notices.
    const absl::Duration noticed = world_.chance().Percent(70) ? Hop() * 20 : kKeepalive;
    world_.After(noticed, [this, exchange] { Fail(exchange, absl::UnavailableError("broken")); });
    return;
  }
  world_.After(Hop(), [this, exchange, arrive = std::move(arrive)] {
    if (exchange->ended) return;
    if (node_ == nullptr) {
      Fail(exchange, absl::UnavailableError("connection refused"));
    } else {
      arrive();
    }
  });
}

void BrokerProcess::Return(const ExchangePointer& exchange, std::function<void()> land) {
  if (world_.chance().Percent(loss_)) {
    world_.After(Hop() * 20,
                 [this, exchange] { Fail(exchange, absl::UnavailableError("broken")); });
    return;
  }
  world_.After(Hop(), std::move(land));
}

void BrokerProcess::SignIn(const Caller& caller, const v1::SignInRequest& request, Served served,
                           Done done) {
  const auto exchange = Begin(kUnaryTimeout, [done](const absl::Status& why) { done(why); });
  Deliver(exchange, [this, exchange, caller, request, served, done] {
    node_->SignIn(caller, request, [this, run = run_, exchange, served, done](Answer answer) {
      if (run != run_) return;
      served(answer);
      Return(exchange, [exchange, done, answer] {
        if (!std::exchange(exchange->ended, true)) done(answer);
      });
    });
  });
}

void BrokerProcess::Call(const Caller& caller, MessagePointer request, Served served, Done done) {
  const auto exchange = Begin(kUnaryTimeout, [done](const absl::Status& why) { done(why); });
  Deliver(exchange, [this, exchange, caller, request, served, done] {
    node_->Call(caller, request, [this, run = run_, exchange, served, done](Answer answer) {
      if (run != run_) return;
      served(answer);
      Return(exchange, [exchange, done, answer] {
        if (!std::exchange(exchange->ended, true)) done(answer);
      });
    });
  });
}

void BrokerProcess::Connect(const Caller& caller, const v1::ConnectRequest& request,
                            ServedUpdate served, OnUpdate update) {
  const auto exchange =
      Begin(kConnectTimeout, [update](const absl::Status& why) { update(why, true); });
  Deliver(exchange, [this, exchange, caller, request, served, update] {
    // Messages of one stream arrive in order.
    const auto lands = std::make_shared<absl::Duration>(world_.now());
    exchange->call = node_->Connect(
        caller, request,
        [this, run = run_, exchange, served, update, lands](Update message, bool last) {
          if (run != run_ || exchange->ended) return;
          served(message);
          if (world_.chance().Percent(loss_)) {
            node_->Cancel(exchange->call);
            world_.After(Hop() * 20,
                         [this, exchange] { Fail(exchange, absl::UnavailableError("broken")); });
            return;
          }
          *lands = std::max(*lands, world_.now() + Hop());
          world_.After(*lands - world_.now(), [exchange, update, message, last] {
            if (exchange->ended) return;
            exchange->ended = last;
            update(message, last);
          });
        });
  });
}

// A stream belongs to one run of a broker; what is said on it after that run is heard by nobody.
uint64_t BrokerProcess::Attach(const std::string& host) {
  return node_ == nullptr ? 0 : run_ << 32 | node_->AgentAttached(host);
}

void BrokerProcess::Report(const std::string& host, uint64_t link, const v1::AgentReport& report) {
  if (node_ != nullptr && link >> 32 == run_) node_->AgentReported(host, link & UINT32_MAX, report);
}

void BrokerProcess::Detach(const std::string& host, uint64_t link) {
  if (node_ != nullptr && link >> 32 == run_) node_->AgentDetached(host, link & UINT32_MAX);
}

void BrokerProcess::Send(const std::string& host, uint64_t link, const v1::AgentCommand& command) {
  world_.agent(host).Deliver(run_ << 32 | link, command);
}

void BrokerProcess::Close(const std::string& host, uint64_t link, const absl::Status&) {
  world_.agent(host).Closed(run_ << 32 | link);
}

}  // namespace werkplek::sim
