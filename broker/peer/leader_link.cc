#include "broker/peer/leader_link.h"

#include <cstdint>
#include <list>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/node/broker_node.h"
#include "broker/peer/knock.h"
#include "broker/peer/peer_call.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/support/channel_arguments.h"

namespace werkplek {
namespace {

using Calls = std::vector<std::weak_ptr<LeaderCall>>;

// A port may be closed for a moment, while a program comes up again.
constexpr int kRefusals = 2;

void AbandonAll(const Calls& calls) {
  for (const auto& weak : calls) {
    if (const auto call = weak.lock(); call != nullptr) call->Abandon();
  }
}

std::shared_ptr<grpc::Channel> NewConnection(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  // Each channel has a connection of its own: the leader bounds the calls on one.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // As in the agent's link: the messages are small.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // gRPC's name for how long one attempt to connect may take; the pauses between are the other two.
  // A greeting waits less, so nobody waits for this: it only leaves a slow handshake its time.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 3000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

}  // namespace

struct LeaderLink::Connection {
  LeaderPort port;
  std::shared_ptr<grpc::Channel> channel;
  size_t calls = 0;
};

// One broker's lead, as it is known here. What may change is guarded by State::mutex_.
struct LeaderLink::Leader {
  LeaderInfo info;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  std::list<Connection> connections;
  std::map<uint64_t, std::weak_ptr<LeaderCall>> calls;
  // Until the first greeting has ended, the best is assumed.
  bool answers = true;
  // It has answered before. Only then can it be told from one that this broker never reached.
  bool answered = false;
  // It is being seen whether its port refuses connections; how often it did, in a row.
  bool knocking = false;
  int refusals = 0;
};

class LeaderLink::State : public std::enable_shared_from_this<State> {
 public:
  State(LeaderLinkSettings settings, LeaderLinkParts parts)
      : settings_(std::move(settings)), parts_(std::move(parts)) {}

  const LeaderLinkParts& parts() const { return parts_; }
  void Look();
  void Stop();
  absl::StatusOr<Lease> Open(LeaderPort port, const std::weak_ptr<LeaderCall>& call)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void GiveBack(Lease& lease);
  LeaderInfo leader() const;
  bool usable() const;

 private:
  using Greeting = PeerCall<v1::GreetRequest, v1::GreetResponse>;

  bool IsOther(const LeaderInfo& info) const;
  void Follow(const LeaderInfo& info);
  // Of the leader that does not answer; 0: it does, or there is none.
  uint64_t SilentEpoch() const;
  void Greet();
  void Greeted(const std::shared_ptr<Leader>& leader, const absl::Status& status);
  void BeginKnock(const std::shared_ptr<Leader>& leader);
  void EndKnock(const std::shared_ptr<Leader>& leader, bool refused);
  // A place at the current leader, on the first connection with fewer calls than this.
  Lease Take(LeaderPort port, size_t calls_per_connection, const std::weak_ptr<LeaderCall>& call)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static Calls CallsOf(const Leader& leader);

  const LeaderLinkSettings settings_;
  const LeaderLinkParts parts_;
  mutable Mutex mutex_;
  CondVar all_back_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<Leader> current_ ABSL_GUARDED_BY(mutex_);
  // Kept until their last call is over; they go on the executor, not on a thread of gRPC's.
  std::list<std::shared_ptr<Leader>> retired_ ABSL_GUARDED_BY(mutex_);
  bool greeting_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  size_t leases_ ABSL_GUARDED_BY(mutex_) = 0;
};

bool LeaderLink::State::IsOther(const LeaderInfo& info) const {
  return info.epoch != 0 && info.name != settings_.own_name && !info.client_address.empty() &&
         !info.agent_address.empty();
}

Calls LeaderLink::State::CallsOf(const Leader& leader) {
  Calls calls;
  for (const auto& [id, call] : leader.calls) calls.push_back(call);
  return calls;
}

void LeaderLink::State::Look() {
  const LeaderInfo info = parts_.leader();
  const bool other = IsOther(info);
  Calls abandoned;
  std::list<std::shared_ptr<Leader>> gone;
  bool follow = false;
  {
    MutexLock lock(mutex_);
    if (stopped_) return;
    if (current_ != nullptr && (!other || current_->info != info)) {
      abandoned = CallsOf(*current_);
      retired_.push_back(std::move(current_));
      current_ = nullptr;
    }
    for (auto at = retired_.begin(); at != retired_.end();) {
      const auto next = std::next(at);
      if (at->use_count() == 1) gone.splice(gone.end(), retired_, at);
      at = next;
    }
    follow = other && current_ == nullptr;
  }
  AbandonAll(abandoned);
  if (follow) Follow(info);
  if (const uint64_t epoch = SilentEpoch(); epoch != 0) parts_.seen(epoch, LeaderSign::kSilent);
  Greet();
  parts_.executor->PostAfter(settings_.look_interval, [weak = weak_from_this()] {
    if (const auto self = weak.lock(); self != nullptr) self->Look();
  });
}

void LeaderLink::State::Follow(const LeaderInfo& info) {
  auto credentials = parts_.credentials(info.name);
  if (!credentials.ok()) {
    Log(Severity::kError, "leader-not-followed",
        {{"leader", info.name}, {"why", std::string(credentials.status().message())}});
    return;
  }
  auto leader = std::make_shared<Leader>();
  leader->info = info;
  leader->credentials = *std::move(credentials);
  Log(Severity::kInfo, "following",
      {{"leader", info.name},
       {"epoch", absl::StrCat(info.epoch)},
       {"clients", info.client_address},
       {"agents", info.agent_address}});
  MutexLock lock(mutex_);
  if (!stopped_) current_ = std::move(leader);
}

uint64_t LeaderLink::State::SilentEpoch() const {
  MutexLock lock(mutex_);
  return current_ == nullptr || current_->answers ? 0 : current_->info.epoch;
}

void LeaderLink::State::Greet() {
  auto call = std::make_shared<std::weak_ptr<Leader>>();
  const auto greeting = std::make_shared<Greeting>(
      v1::GreetRequest(), [self = shared_from_this(), call](const auto& answer) {
        if (const auto leader = call->lock(); leader != nullptr) {
          self->Greeted(leader, answer.status());
        }
      });
  Lease lease;
  {
    MutexLock lock(mutex_);
    if (stopped_ || greeting_ || current_ == nullptr) return;
    // Also one that did not answer last time, and however many calls there are.
    lease = Take(LeaderPort::kAgents, settings_.calls_per_connection + 1, greeting);
    *call = current_;
    greeting_ = true;
  }
  Greeting::Begin(greeting, std::move(lease),
                  &v1::PeerService::StubInterface::async_interface::Greet, settings_.answer_limit);
}

void LeaderLink::State::Greeted(const std::shared_ptr<Leader>& leader, const absl::Status& status) {
  Calls abandoned;
  bool news = false;
  bool knock = false;
  {
    MutexLock lock(mutex_);
    greeting_ = false;
    // The first answer is news too: from it on, a leader that is killed can be told from a wall.
    news = leader->answers != status.ok() || (status.ok() && !leader->answered);
    leader->answers = status.ok();
    if (status.ok()) leader->answered = true;
    if (!status.ok()) abandoned = CallsOf(*leader);
    knock = !status.ok() && leader->answered && !std::exchange(leader->knocking, true);
  }
  if (knock) {
    parts_.executor->Post([weak = weak_from_this(), doubted = std::weak_ptr(leader)] {
      const auto self = weak.lock();
      const auto leader = doubted.lock();
      if (self != nullptr && leader != nullptr) self->BeginKnock(leader);
    });
  }
  if (news && status.ok()) {
    Log(Severity::kInfo, "leader-answers", {{"leader", leader->info.name}});
  } else if (news) {
    Log(Severity::kWarning, "leader-silent",
        {{"leader", leader->info.name}, {"why", status.ToString()}});
  }
  AbandonAll(abandoned);
}

void LeaderLink::State::BeginKnock(const std::shared_ptr<Leader>& leader) {
  const auto knock = std::make_shared<Knock>(leader->info.agent_address);
  parts_.executor->PostAfter(settings_.knock_limit,
                             [weak = weak_from_this(), doubted = std::weak_ptr(leader), knock] {
                               const auto self = weak.lock();
                               const auto leader = doubted.lock();
                               if (self != nullptr && leader != nullptr)
                                 self->EndKnock(leader, knock->Refused());
                             });
}

void LeaderLink::State::EndKnock(const std::shared_ptr<Leader>& leader, bool refused) {
  bool again = false;
  bool gone = false;
  {
    MutexLock lock(mutex_);
    if (stopped_ || current_ != leader) return;
    leader->refusals = refused ? leader->refusals + 1 : 0;
    gone = leader->refusals >= kRefusals;
    again = refused && !gone;
    if (!again) {
      leader->knocking = false;
      leader->refusals = 0;
    }
  }
  if (again) return BeginKnock(leader);
  if (gone) parts_.seen(leader->info.epoch, LeaderSign::kGone);
}

absl::StatusOr<LeaderLink::Lease> LeaderLink::State::Open(LeaderPort port,
                                                          const std::weak_ptr<LeaderCall>& call) {
  MutexLock lock(mutex_);
  if (stopped_ || current_ == nullptr || !current_->answers) return TryAgain();
  if (current_->calls.size() >= settings_.max_calls) {
    return absl::ResourceExhaustedError("too many calls are under way; try again in a moment");
  }
  return Take(port, settings_.calls_per_connection, call);
}

LeaderLink::Lease LeaderLink::State::Take(LeaderPort port, size_t calls_per_connection,
                                          const std::weak_ptr<LeaderCall>& call) {
  Connection* free = nullptr;
  for (Connection& connection : current_->connections) {
    if (connection.port == port && connection.calls < calls_per_connection) {
      free = &connection;
      break;
    }
  }
  if (free == nullptr) {
    const LeaderInfo& info = current_->info;
    const std::string& address =
        port == LeaderPort::kClients ? info.client_address : info.agent_address;
    free = &current_->connections.emplace_back(
        Connection{port, NewConnection(address, current_->credentials)});
  }
  ++free->calls;
  ++leases_;
  Lease lease;
  lease.state_ = shared_from_this();
  lease.leader_ = current_;
  lease.connection_ = free;
  lease.id_ = next_id_++;
  current_->calls.emplace(lease.id_, call);
  return lease;
}

void LeaderLink::State::GiveBack(Lease& lease) {
  {
    MutexLock lock(mutex_);
    --lease.connection_->calls;
    lease.leader_->calls.erase(lease.id_);
  }
  lease.leader_.reset();
  MutexLock lock(mutex_);
  if (--leases_ == 0) all_back_.SignalAll();
}

LeaderInfo LeaderLink::State::leader() const {
  MutexLock lock(mutex_);
  return current_ == nullptr ? LeaderInfo{} : current_->info;
}

bool LeaderLink::State::usable() const {
  MutexLock lock(mutex_);
  return current_ != nullptr && current_->answers;
}

void LeaderLink::State::Stop() {
  Calls abandoned;
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    if (current_ != nullptr) abandoned = CallsOf(*current_);
    for (const auto& leader : retired_) {
      const Calls more = CallsOf(*leader);
      abandoned.insert(abandoned.end(), more.begin(), more.end());
    }
  }
  AbandonAll(abandoned);
  std::list<std::shared_ptr<Leader>> gone;
  MutexLock lock(mutex_);
  while (leases_ > 0) all_back_.Wait(mutex_);
  gone.swap(retired_);
  if (current_ != nullptr) gone.push_back(std::move(current_));
}

LeaderLink::Lease::Lease(Lease&& other) noexcept { *this = std::move(other); }

LeaderLink::Lease& LeaderLink::Lease::operator=(Lease&& other) noexcept {
  std::swap(state_, other.state_);
  std::swap(leader_, other.leader_);
  std::swap(connection_, other.connection_);
  std::swap(id_, other.id_);
  return *this;
}

LeaderLink::Lease::~Lease() {
  if (leader_ != nullptr) state_->GiveBack(*this);
}

const std::shared_ptr<grpc::Channel>& LeaderLink::Lease::channel() const {
  return connection_->channel;
}

LeaderLink::LeaderLink(LeaderLinkSettings settings, LeaderLinkParts parts)
    : state_(std::make_shared<State>(std::move(settings), std::move(parts))) {}

LeaderLink::~LeaderLink() { Stop(); }

void LeaderLink::Start() {
  state_->parts().executor->Post([weak = std::weak_ptr(state_)] {
    if (const auto state = weak.lock(); state != nullptr) state->Look();
  });
}

void LeaderLink::Stop() { state_->Stop(); }

absl::StatusOr<LeaderLink::Lease> LeaderLink::Open(LeaderPort port,
                                                   const std::weak_ptr<LeaderCall>& call) {
  return state_->Open(port, call);
}

LeaderInfo LeaderLink::leader() const { return state_->leader(); }
bool LeaderLink::usable() const { return state_->usable(); }

}  // namespace werkplek
