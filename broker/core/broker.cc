#include "broker/core/broker.h"

#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "broker/core/certificates.h"
#include "broker/core/connect.h"
#include "broker/core/fences.h"
#include "broker/core/hosts.h"
#include "broker/core/person_checks.h"
#include "broker/core/pools.h"
#include "broker/core/requests.h"
#include "broker/core/sign_in.h"
#include "broker/core/state.h"
#include "broker/core/tick.h"
#include "broker/core/turn.h"

namespace werkplek {
namespace {

struct Handler {
  Turn& turn;

  void operator()(const CallRequested& event) const { HandleCall(turn, event); }
  void operator()(const SignInChecked& event) const { HandleSignIn(turn, event); }
  void operator()(const CallCancelled& event) const { CancelCall(turn, event.call); }
  void operator()(const AgentAttached& event) const { HandleAttached(turn, event); }
  void operator()(const AgentDetached& event) const { HandleDetached(turn, event); }
  void operator()(const AgentReported& event) const { HandleReported(turn, event); }
  void operator()(const SignInUsed& event) const { HandleSignInUsed(turn, event); }
  void operator()(const HostFenced& event) const { HandleHostFenced(turn, event); }
  void operator()(const PersonChecked& event) const { HandlePersonChecked(turn, event); }
  void operator()(const CertificateIssued& event) const { HandleCertificateIssued(turn, event); }
  void operator()(const Tick&) const { HandleTick(turn); }
};

// People who wait hear of changes with the tick; one who has just come hears at once.
void TellQueues(Turn& turn, const Event& event) {
  BrokerState& state = turn.state();
  if (std::holds_alternative<Tick>(event.what)) {
    std::vector<std::string> moved;
    for (const auto& [name, pool] : state.pools) {
      if (!pool.queue.empty()) moved.push_back(name);
    }
    for (const std::string& name : moved) TellQueue(turn, name);
    return;
  }
  const auto* call = std::get_if<CallRequested>(&event.what);
  if (call == nullptr) return;
  const auto at = state.calls.find(call->call);
  if (at != state.calls.end() && at->second.session.empty()) TellQueue(turn, at->second.pool);
}

}  // namespace

Broker::Broker(const BrokerSettings& settings, Fleet fleet, uint64_t epoch, absl::Time now,
               bool again)
    : state_(std::make_unique<BrokerState>()) {
  state_->settings = settings;
  state_->fleet = std::move(fleet);
  state_->epoch = epoch;
  if (again) state_->sent_before = now;
  RebuildState(*state_, now);
}

Broker::~Broker() = default;
Broker::Broker(Broker&&) noexcept = default;
Broker& Broker::operator=(Broker&&) noexcept = default;

const Fleet& Broker::fleet() const { return state_->fleet; }

Decision Broker::Apply(const Event& event, absl::Time now) {
  Turn turn(*state_, now, event.entropy);
  std::visit(Handler{turn}, event.what);
  ServeTouched(turn, /*all_dirty=*/std::holds_alternative<Tick>(event.what));
  TellQueues(turn, event);
  return turn.Finish();
}

}  // namespace werkplek
