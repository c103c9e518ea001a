// How calls reach a broker, are served there or at the leader, and how answers come back.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/token/token_authority.h"
#include "common/base/crypto.h"
#include "tests/sim/broker_process.h"
#include "tests/sim/world.h"

namespace werkplek::sim {
namespace {

constexpr absl::Duration kUnaryTimeout = absl::Seconds(15);
constexpr absl::Duration kLeaderTimeout = absl::Seconds(5);
constexpr absl::Duration kKeepalive = absl::Seconds(20);
constexpr absl::Duration kConnectTimeout = absl::Minutes(10);

}  // namespace

BrokerProcess::ExchangePointer BrokerProcess::Begin(const std::string& machine,
                                                    absl::Duration timeout,
                                                    std::function<void(const absl::Status&)> fail) {
  const auto exchange = std::make_shared<Exchange>();
  exchange->machine = machine;
  exchange->fail = std::move(fail);
  Track(exchange);
  world_.After(timeout,
               [this, exchange] { Fail(exchange, absl::DeadlineExceededError("no answer")); });
  return exchange;
}

void BrokerProcess::Track(const ExchangePointer& exchange) {
  exchanges_.remove_if([](const std::weak_ptr<Exchange>& weak) {
    const ExchangePointer other = weak.lock();
    return other == nullptr || other->ended;
  });
  exchanges_.push_back(exchange);
}

void BrokerProcess::Fail(const ExchangePointer& exchange, const absl::Status& why) {
  if (std::exchange(exchange->ended, true)) return;
  if (BrokerProcess* server = exchange->server; server != nullptr && exchange->call != 0) {
    // The broker sees the stream end.
    server->executor_.PostAfter(Hop(), [server, run = exchange->server_run, call = exchange->call] {
      if (server->up() && run == server->run_) server->node_->Cancel(call);
    });
  }
  exchange->fail(why);
}

void BrokerProcess::FailLater(const ExchangePointer& exchange, const char* why) {
  // The connection breaks and tells soon, or only its keepalive notices.
  const absl::Duration noticed = world_.chance().Percent(70) ? Hop() * 20 : kKeepalive;
  world_.After(noticed, [this, exchange, why] { Fail(exchange, absl::UnavailableError(why)); });
}

void BrokerProcess::Travel(const ExchangePointer& exchange, const std::string& from,
                           BrokerProcess& to, std::function<void()> arrive) {
  if (world_.chance().Percent(world_.loss()) || !world_.network().OpenBothWays(from, to.name_)) {
    return FailLater(exchange, "broken");
  }
  if (!to.up()) {
    world_.After(
        Hop(), [this, exchange] { Fail(exchange, absl::UnavailableError("connection refused")); });
    return;
  }
  to.executor_.PostAfter(Hop(), [this, exchange, &to, run = to.run_, arrive = std::move(arrive)] {
    if (exchange->ended) return;
    if (!to.up() || run != to.run_) {
      Fail(exchange, absl::UnavailableError("connection reset"));
    } else {
      arrive();
    }
  });
}

void BrokerProcess::ServeOrForward(const ExchangePointer& exchange, Serve serve) {
  BrokerProcess* leader = leads() ? this : world_.BrokerNamed(election_->leader().name);
  if (leader == nullptr || (leader == this && !leads())) {
    world_.After(Hop(), [this, exchange] {
      Fail(exchange, absl::UnavailableError("no broker leads now; try again"));
    });
    return;
  }
  const auto begin = [exchange, leader, serve = std::move(serve)] {
    exchange->server = leader;
    exchange->server_run = leader->run_;
    serve(*leader);
  };
  if (leader == this) return begin();
  // It breaks with either of the two.
  leader->Track(exchange);
  Travel(exchange, name_, *leader, begin);
}

void BrokerProcess::Return(const ExchangePointer& exchange, BrokerProcess& entry,
                           absl::Duration delay, std::function<void()> land) {
  const Network& network = world_.network();
  const bool forwarded = &entry != this;
  if (world_.chance().Percent(world_.loss()) || !network.Open(entry.name_, exchange->machine) ||
      (forwarded && !network.Open(name_, entry.name_))) {
    return FailLater(exchange, "broken");
  }
  entry.executor_.PostAfter(delay, std::move(land));
}

BrokerProcess::Done BrokerProcess::Landing(const ExchangePointer& exchange, BrokerProcess& entry,
                                           Served served, Done done) {
  return [this, run = run_, exchange, &entry, served = std::move(served),
          done = std::move(done)](const Answer& answer) {
    if (run != run_) return;
    served(answer);
    const absl::Duration delay = &entry == this ? Hop() : Hop() + Hop();
    Return(exchange, entry, delay, [exchange, done, answer] {
      if (!std::exchange(exchange->ended, true)) done(answer);
    });
  };
}

void BrokerProcess::SignIn(const std::string& machine, const Caller& caller,
                           const v1::SignInRequest& request, Served served, Done done) {
  const auto exchange =
      Begin(machine, kUnaryTimeout, [done](const absl::Status& why) { done(why); });
  Travel(exchange, machine, *this, [=, this] {
    const bool alone = world_.scenario().sabotage == Sabotage::kFollowerCountsCode && !leads();
    if (!alone) return node_->SignIn(caller, request, Landing(exchange, *this, served, done));
    directory_.Authenticate(request.user(), Secret(request.password()),
                            [=, this, run = run_](const DirectoryAnswer& judged) {
                              if (run != run_ || exchange->ended) return;
                              CountCodeAlone(exchange, request, judged, served, done);
                            });
  });
}

template <typename Answer>
void BrokerProcess::AskLeader(
    absl::AnyInvocable<void(absl::StatusOr<Answer>)> done,
    std::function<void(BrokerProcess& leader, std::function<void(absl::StatusOr<Answer>)> reply)>
        there) {
  const auto waits = std::make_shared<decltype(done)>(std::move(done));
  const auto once = [this, waits, run = run_](absl::StatusOr<Answer> answer) {
    if (run != run_ || *waits == nullptr) return;
    auto first = std::exchange(*waits, nullptr);
    first(std::move(answer));
  };
  executor_.PostAfter(kLeaderTimeout, [once] { once(absl::UnavailableError("no answer")); });
  BrokerProcess* leader = world_.BrokerNamed(election_->leader().name);
  if (leader == nullptr || leader == this || !leader->up() ||
      !world_.network().OpenBothWays(name_, leader->name_)) {
    executor_.PostAfter(Hop(), [once] { once(absl::UnavailableError("no leader")); });
    return;
  }
  leader->executor_.PostAfter(Hop(), [this, leader, once, there, run = leader->run_] {
    if (!leader->up() || run != leader->run_) return;
    there(*leader, [this, leader, once](absl::StatusOr<Answer> answer) {
      if (!world_.network().Open(leader->name_, name_)) return;
      executor_.PostAfter(Hop(), [once, answer = std::move(answer)] { once(answer); });
    });
  });
}

LeaderFunctions BrokerProcess::AskingLeader() {
  LeaderFunctions functions;
  functions.get_enrolment = [this](const Caller& caller, const std::string& user,
                                   bool tries_password, EnrolmentCallback done) {
    AskLeader<Enrolment>(
        std::move(done),
        [caller, user, tries_password](
            BrokerProcess& leader, const std::function<void(absl::StatusOr<Enrolment>)>& reply) {
          const Picture fleet = leader.picture();
          if (fleet == nullptr) return reply(TryAgain());
          const absl::Status may =
              tries_password ? leader.node_->TryPassword(caller, user) : absl::OkStatus();
          if (!may.ok()) return reply(may);
          reply(Enrolment(fleet->tokens.FindShared(user)));
        });
  };
  functions.submit_sign_in = [this](const SignInChecked& checked, ReplyCallback done) {
    AskLeader<MessagePointer>(std::move(done), [checked](BrokerProcess& leader,
                                                         const std::function<void(Answer)>& reply) {
      leader.node_->SubmitSignIn(checked, [reply](Answer answer) { reply(std::move(answer)); });
    });
  };
  return functions;
}

void BrokerProcess::CountCodeAlone(const ExchangePointer& exchange,
                                   const v1::SignInRequest& request, const DirectoryAnswer& judged,
                                   const Served& served, const Done& done) {
  const auto records = world_.store().memory().Records();
  const auto at = records.find({std::string(kTokenTable), request.user()});
  v1::TokenEnrolment token;
  if (at != records.end()) token.ParseFromString(at->second);
  const int64_t step = world_.tokens().MatchedStep(&token, request.token_code(), executor_.Now());
  int64_t& last = own_steps_[request.user()];
  Answer answer = absl::UnauthenticatedError("refused");
  if (judged.outcome == DirectoryOutcome::kOk && step > last && step >= 0) {
    last = step;
    auto response = std::make_shared<v1::SignInResponse>();
    response->set_access_token(absl::StrCat("alone-", request.request_id()));
    answer = MessagePointer(response);
  }
  Landing(exchange, *this, served, done)(answer);
}

void BrokerProcess::Call(const std::string& machine, const Caller& caller, MessagePointer request,
                         Served served, Done done) {
  const auto exchange =
      Begin(machine, kUnaryTimeout, [done](const absl::Status& why) { done(why); });
  Travel(exchange, machine, *this, [=, this] {
    ServeOrForward(exchange, [=, this](BrokerProcess& leader) {
      const auto seen = [this, caller, request, served](const Answer& answer) {
        world_.NoteAnswer(caller, *request, answer);
        served(answer);
      };
      leader.node_->Call(caller, request, leader.Landing(exchange, *this, seen, done));
    });
  });
}

void BrokerProcess::Connect(const std::string& machine, const Caller& caller,
                            const v1::ConnectRequest& request, ServedUpdate served,
                            OnUpdate update) {
  const auto exchange =
      Begin(machine, kConnectTimeout, [update](const absl::Status& why) { update(why, true); });
  Travel(exchange, machine, *this, [=, this] {
    ServeOrForward(exchange, [=, this](BrokerProcess& leader) {
      leader.ServeConnect(exchange, *this, caller, request, served, update);
    });
  });
}

void BrokerProcess::ServeConnect(const ExchangePointer& exchange, BrokerProcess& entry,
                                 const Caller& caller, const v1::ConnectRequest& request,
                                 ServedUpdate served, OnUpdate update) {
  // Messages of one stream arrive in order.
  const auto lands = std::make_shared<absl::Duration>(world_.now());
  exchange->call = node_->Connect(
      caller, request,
      [this, run = run_, exchange, &entry, served, update, lands](Update message, bool last) {
        if (run != run_ || exchange->ended) return;
        served(message);
        const absl::Duration hops = &entry == this ? Hop() : Hop() + Hop();
        *lands = std::max(*lands, world_.now() + hops);
        Return(exchange, entry, *lands - world_.now(), [exchange, update, message, last] {
          if (exchange->ended) return;
          exchange->ended = last;
          update(message, last);
        });
      });
}

}  // namespace werkplek::sim
