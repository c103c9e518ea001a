#include "tests/sim/client.h"

#include "tests/sim/world.h"

namespace werkplek::sim {

bool Client::MayRetry(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status);
}

BrokerProcess& Client::Target() {
  const auto brokers = world_.brokers();
  return *brokers[next_ % brokers.size()];
}

void Client::SignIn(const Caller& caller, const v1::SignInRequest& request,
                    BrokerProcess::Served served, BrokerProcess::Done done) {
  Target().SignIn(machine_, caller, request, std::move(served),
                  [this, done = std::move(done)](const BrokerProcess::Answer& answer) {
                    NoteOutcome(answer.status());
                    done(answer);
                  });
}

void Client::Call(const Caller& caller, MessagePointer request, BrokerProcess::Served served,
                  BrokerProcess::Done done) {
  Chance& chance = world_.chance();
  if (world_.scenario().repeats && world_.busy() && chance.Percent(30)) {
    // Soon, so that it may overtake the first; or long after. If the first was refused, the repeat
    // may be obeyed, so none comes when all has been put right.
    const absl::Duration late = absl::Seconds(chance.Percent(70) ? 2 : 120);
    world_.After(chance.Between(absl::ZeroDuration(), late), [this, caller, request] {
      if (world_.busy()) world_.RepeatCall(machine_, caller, request);
    });
  }
  Target().Call(machine_, caller, std::move(request), std::move(served),
                [this, done = std::move(done)](const BrokerProcess::Answer& answer) {
                  NoteOutcome(answer.status());
                  done(answer);
                });
}

void Client::Connect(const Caller& caller, const v1::ConnectRequest& request,
                     BrokerProcess::ServedUpdate served, BrokerProcess::OnUpdate update) {
  Target().Connect(
      machine_, caller, request, std::move(served),
      [this, update = std::move(update)](const BrokerProcess::Update& message, bool last) {
        NoteOutcome(message.status());
        update(message, last);
      });
}

}  // namespace werkplek::sim
