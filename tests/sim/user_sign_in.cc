// How people sign in, and how codes are stolen.
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/token/one_time_code.h"
#include "common/base/crypto.h"
#include "tests/sim/user.h"
#include "tests/sim/world.h"

namespace werkplek::sim {

void User::SignIn() {
  Chance& chance = world_.chance();
  // People wait for a code they have not used.
  if (world_.wall_step() <= last_step_) return ActSoon(absl::Seconds(2), absl::Seconds(8));
  Say("signs in");
  const bool careful = probe_ || going_home_ || !world_.busy();
  const bool wrong_password = !careful && chance.Percent(5);
  const bool wrong_code = !careful && chance.Percent(6);
  v1::SignInRequest request;
  request.set_request_id(RequestId());
  request.set_user(name_);
  request.set_password(wrong_password ? "not my password" : password());
  const int64_t step = world_.wall_step();
  std::string code = TotpCode(seed_, step, 6, CodeHash::kSha1);
  if (wrong_code) code = code == "123456" ? "654321" : "123456";
  request.set_token_code(code);
  SignInTry attempt;
  attempt.at = world_.now();
  attempt.user = name_;
  attempt.peer = caller_.peer;
  attempt.request_id = request.request_id();
  attempt.password_right = !wrong_password;
  attempt.code_step = wrong_code ? -1 : step;
  attempt.seed_id = seed_id_;
  attempt.sent_step = step;
  if (!wrong_code && !wrong_password) last_step_ = step;
  world_.history().sign_ins.push_back(attempt);
  TrySignIn(request, world_.history().sign_ins.size() - 1, 0);
}

void User::TrySignIn(const v1::SignInRequest& request, size_t attempt, int tries) {
  client_.SignIn(
      caller_, request,
      [this, attempt](const BrokerProcess::Answer& answer) {
        SignInTry& seen = world_.history().sign_ins[attempt];
        seen.accepted = seen.accepted || answer.ok();
        seen.answered_at = world_.now();
      },
      [this, request, attempt, tries](const BrokerProcess::Answer& answer) {
        if (answer.ok()) {
          return SignedIn(request, attempt, static_cast<const v1::SignInResponse&>(**answer));
        }
        world_.Say(name_, " sign-in: ", absl::StatusCodeToString(answer.status().code()));
        if (Client::MayRetry(answer.status()) && tries < 3) {
          return world_.After(
              world_.chance().Between(absl::Milliseconds(100), absl::Seconds(2)),
              [this, request, attempt, tries] { TrySignIn(request, attempt, tries + 1); });
        }
        ActSoon(absl::Seconds(2), absl::Seconds(10));
      });
}

void User::SignedIn(const v1::SignInRequest& request, size_t attempt,
                    const v1::SignInResponse& response) {
  Say("is signed in");
  signed_in_ = true;
  caller_.token_sha256 = Sha256(response.access_token());
  world_.history().sign_ins[attempt].token_sha256 = caller_.token_sha256;
  if (world_.busy() && world_.chance().Percent(40)) ReplayCode(request, attempt);
  ActSoon(absl::Milliseconds(100), absl::Seconds(2));
}

void User::ReplayCode(const v1::SignInRequest& request, size_t attempt) {
  world_.After(world_.chance().Between(absl::Milliseconds(1), absl::Seconds(45)), [this, request,
                                                                                   attempt] {
    v1::SignInRequest again = request;
    again.set_request_id(RequestId());
    SignInTry replay = world_.history().sign_ins[attempt];
    replay.at = world_.now();
    replay.request_id = again.request_id();
    replay.accepted = false;
    replay.token_sha256.clear();
    // As sent: the code is of the first attempt's step.
    replay.sent_step = world_.wall_step();
    world_.history().sign_ins.push_back(replay);
    // At any broker.
    BrokerProcess& broker = *world_.chance().Pick(world_.brokers());
    broker.SignIn(
        client_.machine(), caller_, again,
        [this, index = world_.history().sign_ins.size() - 1](const BrokerProcess::Answer& answer) {
          world_.history().sign_ins[index].accepted = answer.ok();
        },
        [](const BrokerProcess::Answer&) {});
  });
}

}  // namespace werkplek::sim
