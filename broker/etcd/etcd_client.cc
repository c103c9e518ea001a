#include "broker/etcd/etcd_client.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/client_callback.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/etcd/etcd_credentials.h"
#include "broker/etcd/etcd_verdict.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/grpc/calls_under_way.h"
#include "etcd_proto/etcd.grpc.pb.h"

namespace werkplek {
namespace {

// A page of records may be large; more than this is asked for in smaller pages.
constexpr int kMaxAnswerBytes = 32 << 20;
constexpr int kMaxRequestBytes = 8 << 20;

grpc::ChannelArguments ChannelSettings() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  arguments.SetMaxSendMessageSize(kMaxRequestBytes);
  // A member that was away is tried again soon; the next one is asked meanwhile.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  // etcd allows one ping in 5 s (--grpc-keepalive-min-time).
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 3'000);
  // Only this client repeats calls: it knows which may be.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // One connection per member, whatever else of this process talks to it.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return arguments;
}

using Clock = std::chrono::steady_clock;

}  // namespace

// Outlives the calls under way, and goes on the thread that ends the client: gRPC must not take its
// channels down on a thread of its own, which it would wait for.
class EtcdClient::Core {
 public:
  struct Member {
    std::unique_ptr<etcdserverpb::KV::Stub> kv;
    std::unique_ptr<etcdserverpb::Lease::Stub> lease;
  };

  Core(EtcdSettings given, const std::shared_ptr<grpc::ChannelCredentials>& credentials)
      : settings(std::move(given)) {
    for (const std::string& endpoint : settings.endpoints) {
      const std::shared_ptr<grpc::Channel> channel =
          grpc::CreateCustomChannel(endpoint, credentials, ChannelSettings());
      members.push_back(
          {etcdserverpb::KV::NewStub(channel), etcdserverpb::Lease::NewStub(channel)});
    }
  }

  size_t preferred() {
    MutexLock lock(mutex);
    return preferred_member;
  }
  void Prefer(size_t member) {
    MutexLock lock(mutex);
    preferred_member = member;
  }
  // Whoever was preferred has failed: from now on another one is asked first.
  void Avoid(size_t member) {
    MutexLock lock(mutex);
    if (preferred_member == member) preferred_member = (member + 1) % members.size();
  }

  const EtcdSettings settings;
  std::vector<Member> members;
  CallsUnderWay calls;

 private:
  Mutex mutex;
  size_t preferred_member ABSL_GUARDED_BY(mutex) = 0;
};

namespace {

// One renewal of a lease: a stream with one request and one answer.
class KeepLeaseStream : public grpc::ClientBidiReactor<etcdserverpb::LeaseKeepAliveRequest,
                                                       etcdserverpb::LeaseKeepAliveResponse> {
 public:
  KeepLeaseStream(etcdserverpb::Lease::Stub* stub, grpc::ClientContext* context,
                  const etcdserverpb::LeaseKeepAliveRequest& request,
                  etcdserverpb::LeaseKeepAliveResponse* response,
                  std::function<void(grpc::Status)> done)
      : context_(context), request_(request), response_(response), done_(std::move(done)) {
    stub->async()->LeaseKeepAlive(context, this);
    StartRead(response_);
    StartWriteLast(&request_, grpc::WriteOptions());
    StartCall();
  }
  void OnReadDone(bool ok) override {
    answered_ = ok;
    // etcd would keep the stream open.
    if (ok) context_->TryCancel();
  }
  void OnDone(const grpc::Status& status) override {
    done_(answered_ ? grpc::Status::OK : status);
    delete this;
  }

 private:
  grpc::ClientContext* const context_;
  const etcdserverpb::LeaseKeepAliveRequest request_;
  etcdserverpb::LeaseKeepAliveResponse* const response_;
  const std::function<void(grpc::Status)> done_;
  bool answered_ = false;
};

}  // namespace

// One call, over the members until one answers.
template <typename Core, typename Request, typename Response>
class EtcdCall : public std::enable_shared_from_this<EtcdCall<Core, Request, Response>> {
 public:
  using Member = typename Core::Member;
  using Send = std::function<void(Member&, grpc::ClientContext*, const Request&, Response*,
                                  std::function<void(grpc::Status)>)>;

  EtcdCall(Core* core, Request request, Send send, EtcdRepeat repeat, absl::Duration limit,
           EtcdClient::Done<Response> done)
      : core_(core),
        request_(std::move(request)),
        send_(std::move(send)),
        repeat_(repeat),
        ends_(Clock::now() + absl::ToChronoNanoseconds(limit)),
        member_(core_->preferred()),
        done_(std::move(done)) {}

  void Try() {
    ++tries_;
    response_ = Response();
    context_ = std::make_unique<grpc::ClientContext>();
    const auto deadline =
        std::min(ends_, Clock::now() + absl::ToChronoNanoseconds(core_->settings.attempt_timeout));
    // gRPC takes deadlines by the wall clock here, and keeps them as a distance from now.
    context_->set_deadline(std::chrono::system_clock::now() + (deadline - Clock::now()));
    if (!core_->calls.Add(*context_)) {
      done_(worst_.ok() ? absl::UnavailableError("the connection to etcd is being closed")
                        : worst_);
      return;
    }
    send_(
        core_->members[member_], context_.get(), request_, &response_,
        [self = this->shared_from_this()](const grpc::Status& status) { self->Answered(status); });
  }

 private:
  void Answered(const grpc::Status& status) {
    const EtcdVerdict verdict = JudgeEtcdStatus(status);
    // Told as ended only after the callback: the client's destructor waits for callbacks too.
    std::unique_ptr<grpc::ClientContext> context = std::move(context_);
    if (verdict.outcome == EtcdOutcome::kDone) {
      core_->Prefer(member_);
      done_(std::move(response_));
    } else if (verdict.outcome == EtcdOutcome::kRefused) {
      // What an earlier try may have done stays open.
      done_(absl::IsUnknown(worst_) ? worst_ : verdict.status);
    } else {
      core_->Avoid(member_);
      if (worst_.ok() || verdict.outcome == EtcdOutcome::kUnknown) worst_ = verdict.status;
      const bool again = verdict.outcome == EtcdOutcome::kNotDone || repeat_ == EtcdRepeat::kAlways;
      if (again && tries_ < core_->members.size() && Clock::now() < ends_) {
        member_ = (member_ + 1) % core_->members.size();
        Try();
      } else {
        done_(worst_);
      }
    }
    // The last touch: the client may be gone after it.
    core_->calls.Remove(std::move(context));
  }

  Core* const core_;
  const Request request_;
  const Send send_;
  const EtcdRepeat repeat_;
  const Clock::time_point ends_;
  size_t member_;
  size_t tries_ = 0;
  // What the failed tries amount to.
  absl::Status worst_;
  std::unique_ptr<grpc::ClientContext> context_;
  Response response_;
  EtcdClient::Done<Response> done_;
};

namespace {

template <typename Request, typename Response, typename Core, typename Send>
void StartCall(Core* core, Request request, Send send, EtcdRepeat repeat, absl::Duration limit,
               EtcdClient::Done<Response> done) {
  std::make_shared<EtcdCall<Core, Request, Response>>(core, std::move(request), send, repeat, limit,
                                                      std::move(done))
      ->Try();
}

}  // namespace

absl::StatusOr<std::unique_ptr<EtcdClient>> EtcdClient::Create(EtcdSettings settings) {
  if (settings.endpoints.empty()) return absl::InvalidArgumentError("etcd has no endpoints");
  ASSIGN_OR_RETURN(const auto credentials, EtcdCredentials(settings));
  return std::unique_ptr<EtcdClient>(
      new EtcdClient(std::make_unique<Core>(std::move(settings), credentials)));
}

EtcdClient::EtcdClient(std::unique_ptr<Core> core) : core_(std::move(core)) {}

EtcdClient::~EtcdClient() { core_->calls.CancelAndWait(); }

const EtcdSettings& EtcdClient::settings() const { return core_->settings; }

void EtcdClient::Txn(etcdserverpb::TxnRequest request, EtcdRepeat repeat, absl::Duration limit,
                     Done<etcdserverpb::TxnResponse> done) {
  StartCall<etcdserverpb::TxnRequest, etcdserverpb::TxnResponse>(
      core_.get(), std::move(request),
      [](Core::Member& member, auto* context, const auto& sent, auto* response, auto answered) {
        member.kv->async()->Txn(context, &sent, response, std::move(answered));
      },
      repeat, limit, std::move(done));
}

void EtcdClient::Range(etcdserverpb::RangeRequest request, absl::Duration limit,
                       Done<etcdserverpb::RangeResponse> done) {
  StartCall<etcdserverpb::RangeRequest, etcdserverpb::RangeResponse>(
      core_.get(), std::move(request),
      [](Core::Member& member, auto* context, const auto& sent, auto* response, auto answered) {
        member.kv->async()->Range(context, &sent, response, std::move(answered));
      },
      EtcdRepeat::kAlways, limit, std::move(done));
}

void EtcdClient::Compact(int64_t revision, absl::Duration limit,
                         Done<etcdserverpb::CompactionResponse> done) {
  etcdserverpb::CompactionRequest request;
  request.set_revision(revision);
  StartCall<etcdserverpb::CompactionRequest, etcdserverpb::CompactionResponse>(
      core_.get(), std::move(request),
      [](Core::Member& member, auto* context, const auto& sent, auto* response, auto answered) {
        member.kv->async()->Compact(context, &sent, response, std::move(answered));
      },
      EtcdRepeat::kAlways, limit, std::move(done));
}

void EtcdClient::GrantLease(int64_t ttl_seconds, absl::Duration limit,
                            Done<etcdserverpb::LeaseGrantResponse> done) {
  etcdserverpb::LeaseGrantRequest request;
  request.set_ttl(ttl_seconds);
  StartCall<etcdserverpb::LeaseGrantRequest, etcdserverpb::LeaseGrantResponse>(
      core_.get(), std::move(request),
      [](Core::Member& member, auto* context, const auto& sent, auto* response, auto answered) {
        member.lease->async()->LeaseGrant(context, &sent, response, std::move(answered));
      },
      EtcdRepeat::kAlways, limit, std::move(done));
}

void EtcdClient::RevokeLease(int64_t lease, absl::Duration limit,
                             Done<etcdserverpb::LeaseRevokeResponse> done) {
  etcdserverpb::LeaseRevokeRequest request;
  request.set_id(lease);
  StartCall<etcdserverpb::LeaseRevokeRequest, etcdserverpb::LeaseRevokeResponse>(
      core_.get(), std::move(request),
      [](Core::Member& member, auto* context, const auto& sent, auto* response, auto answered) {
        member.lease->async()->LeaseRevoke(context, &sent, response, std::move(answered));
      },
      EtcdRepeat::kAlways, limit, std::move(done));
}

void EtcdClient::KeepLease(int64_t lease, absl::Duration limit,
                           Done<etcdserverpb::LeaseKeepAliveResponse> done) {
  etcdserverpb::LeaseKeepAliveRequest request;
  request.set_id(lease);
  StartCall<etcdserverpb::LeaseKeepAliveRequest, etcdserverpb::LeaseKeepAliveResponse>(
      core_.get(), std::move(request),
      [](Core::Member& member, auto* context, const auto& sent, auto* response, auto answered) {
        new KeepLeaseStream(member.lease.get(), context, sent, response, std::move(answered));
      },
      EtcdRepeat::kAlways, limit,
      [done =
           std::move(done)](absl::StatusOr<etcdserverpb::LeaseKeepAliveResponse> answer) mutable {
        if (answer.ok() && answer->ttl() <= 0) answer = absl::NotFoundError("the lease is gone");
        done(std::move(answer));
      });
}

void EtcdClient::LeaseTimeToLive(int64_t lease, absl::Duration limit,
                                 Done<etcdserverpb::LeaseTimeToLiveResponse> done) {
  etcdserverpb::LeaseTimeToLiveRequest request;
  request.set_id(lease);
  StartCall<etcdserverpb::LeaseTimeToLiveRequest, etcdserverpb::LeaseTimeToLiveResponse>(
      core_.get(), std::move(request),
      [](Core::Member& member, auto* context, const auto& sent, auto* response, auto answered) {
        member.lease->async()->LeaseTimeToLive(context, &sent, response, std::move(answered));
      },
      EtcdRepeat::kAlways, limit, std::move(done));
}

absl::StatusOr<etcdserverpb::TxnResponse> EtcdClient::TxnAndWait(etcdserverpb::TxnRequest request,
                                                                 EtcdRepeat repeat,
                                                                 absl::Duration limit) {
  auto promise = std::make_shared<std::promise<absl::StatusOr<etcdserverpb::TxnResponse>>>();
  auto answer = promise->get_future();
  Txn(std::move(request), repeat, limit,
      [promise](auto response) { promise->set_value(std::move(response)); });
  return answer.get();
}

}  // namespace werkplek
