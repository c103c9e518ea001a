#include "broker/core/tick.h"

#include <string>
#include <utility>
#include <vector>

#include "broker/core/balance.h"
#include "broker/core/connect.h"
#include "broker/core/hosts.h"
#include "broker/core/sessions.h"
#include "broker/core/sign_in.h"
#include "broker/core/sites.h"

namespace werkplek {
namespace {

// One tick forgets and fires so many at most; the rest waits for the next.
constexpr int kMostPerTick = 5'000;

void FireTimers(Turn& turn) {
  for (int fired = 0; fired < kMostPerTick; ++fired) {
    const std::string key = turn.state().timers.PopDue(turn.now());
    if (key.empty()) return;
    const std::string id = key.substr(2);
    switch (key[0]) {
      case 'd':
        DesktopTimerFired(turn, id);
        break;
      case 's':
        SessionTimerFired(turn, id);
        break;
      default:
        SignInTimerFired(turn, id);
        break;
    }
  }
}

void ForgetAnswered(Turn& turn) {
  auto& order = turn.state().answered;
  const absl::Duration kept = turn.settings().answered_kept;
  for (int forgotten = 0; forgotten < kMostPerTick && !order.empty(); ++forgotten) {
    if (turn.now() - order.front().first < kept) return;
    const v1::AnsweredRequest* answered = turn.fleet().answered.Find(order.front().second);
    // A key that was answered again since then has a later place in the order.
    if (answered != nullptr &&
        turn.now() - absl::FromUnixMillis(answered->answered_unix_ms()) >= kept) {
      turn.EraseAnswered(order.front().second);
    }
    order.pop_front();
  }
}

void ForgetSessions(Turn& turn) {
  auto& order = turn.state().ended_sessions;
  for (int forgotten = 0; forgotten < kMostPerTick && !order.empty(); ++forgotten) {
    if (turn.now() - order.front().first < turn.settings().ended_session_kept) return;
    turn.EraseSession(order.front().second);
    order.pop_front();
  }
}

}  // namespace

void HandleTick(Turn& turn) {
  BrokerState& state = turn.state();
  std::vector<std::string> hosts;
  hosts.reserve(state.fleet.hosts.size());
  for (const auto& entry : state.fleet.hosts) hosts.push_back(entry.key);
  for (const std::string& host : hosts) JudgeHost(turn, host);
  JudgeSilence(turn);
  FireTimers(turn);
  for (auto& [name, pool] : state.pools) {
    if (!pool.queue.empty()) ExpireQueue(turn, name);
  }
  ForgetAnswered(turn);
  ForgetSessions(turn);
  Balance(turn);
  turn.TouchAllPools();
}

}  // namespace werkplek
